"""What a server's protocol asks a cache: the middleware's own decision, or nothing."""

from typing import Any

from starlette.responses import PlainTextResponse

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier.asgi.in_front import Found
from tests.support import Client, scope_of


class Door:
    """A cache around an application, and a client of each of its doors."""

    def __init__(self, **options: Any) -> None:
        self.manager = CacheManager(redis_url=None)
        self.headers: dict[str, str] = {}
        self.app = CacheMiddleware(
            self._application, self.manager, rules=[Rule("*", 300, **options)]
        )
        self.client = Client(self.app)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("hello", headers=self.headers)(scope, receive, send)

    def find(self, *headers: tuple[str, str], method: str = "GET") -> Found | None:
        """What is known of a request."""
        return self.app.in_front.find(scope_of(method, "/", headers))

    def is_ready(self, found: Found | None) -> bool:
        """Whether it is answered."""
        return found is not None and self.app.in_front.ready(found) is not None


async def test_a_target_is_known_when_the_middleware_was_asked() -> None:
    """Before that, nothing is; and a hit is counted where it is given."""
    door = Door()
    async with door.manager:
        assert door.find() is None
        await door.client.get("/")
        found = door.find()

        assert door.is_ready(found)
        assert door.is_ready(found)
        assert door.manager.stats().total.hits == {1: 2}
        assert found is not None
        door.app.in_front.withdraw(found)
        assert door.manager.stats().total.hits == {1: 1}


async def test_an_invalidation_holds_at_once() -> None:
    """For what was found before, too."""
    door = Door()
    async with door.manager:
        await door.client.get("/")
        found = door.find()
        assert door.is_ready(found)
        await door.manager.invalidate_path("/")

        assert not door.is_ready(found)
        assert door.manager.stats().total.hits == {1: 1}


async def test_plans_that_are_forgotten_hold_no_longer() -> None:
    """As when routes are added or the mode changes."""
    door = Door()
    async with door.manager:
        await door.client.get("/")
        found = door.find()
        door.app._planning.forget()

        assert not door.is_ready(found)
        assert door.find() is None
        await door.client.get("/")
        assert door.is_ready(door.find())


async def test_a_sample_of_requests_is_taken_by_the_middleware() -> None:
    """It notes what clients ask for; nothing of it is used up here."""
    door = Door()
    async with door.manager:
        await door.client.get("/")
        found = door.find()
        door.app._planning.remembered.overlook(1)

        assert door.find() is None
        assert not door.is_ready(found)
        assert door.find() is None
        await door.client.get("/")
        assert door.is_ready(door.find())


async def test_fields_that_come_to_count() -> None:
    """Once a response varies, a request whose fields were not kept is asked again."""
    door = Door()
    async with door.manager:
        await door.client.get("/")
        found = door.find(("accept-language", "de"))
        assert door.is_ready(found)
        door.headers = {"Vary": "Accept-Language"}
        await door.manager.clear()
        for language in ("de", "en", "de", "en"):
            await door.client.get("/", [("accept-language", language)])

        assert not door.is_ready(found)
        assert door.is_ready(door.find(("accept-language", "de")))


async def test_vary_by_is_asked_by_the_middleware() -> None:
    """It is called once for each request, and gets the framework's request."""
    door = Door(vary_by=lambda request: "x")
    async with door.manager:
        await door.client.get("/")
        await door.client.get("/")

        assert door.find() is None


async def test_refused_requests_find_nothing() -> None:
    """Credentials without a rule for them, a method that the rule leaves out."""
    door = Door()
    async with door.manager:
        await door.client.get("/")
        await door.client.request("HEAD", "/")

        assert not door.is_ready(door.find(("x-api-key", "1")))
        assert not door.is_ready(door.find(("content-length", "3")))
        assert door.is_ready(door.find(method="HEAD"))
