"""What is particular to Litestar: guards, several paths, mounted applications, layers."""

from typing import Annotated, Any

import pytest

from asgi_multitier import CacheMiddleware, ConfigError, Policy, Rule, cached
from asgi_multitier.routing import RouteTable
from tests.support import Client

from .support import logging_as_before, memory, served

__all__ = ["logging_as_before"]

litestar = pytest.importorskip("litestar")


def app(*handlers: Any, **options: Any) -> Any:
    """An application without its own documentation."""
    return litestar.Litestar(list(handlers), logging_config=None, openapi_config=None, **options)


def parameter(kind: str, name: str) -> Any:
    """What declares a header or a cookie; newer versions have a class for each."""
    from litestar import params

    made = getattr(params, f"{kind.title()}Parameter", None)
    return params.Parameter(**{kind: name}) if made is None else made(name=name)


@pytest.mark.parametrize("place", ["handler", "router", "application"])
def test_a_guarded_route_is_refused(place: str) -> None:
    """A hit runs no guard, wherever it was given; the error says what to write."""

    def signed_in(*_: Any) -> None: ...

    guards = {"guards": [signed_in]}

    @litestar.get("/a", sync_to_thread=False, **(guards if place == "handler" else {}))
    @cached(60)
    def mine() -> str:
        return ""

    router = litestar.Router("/r", route_handlers=[mine], **(guards if place == "router" else {}))
    made = app(router, **(guards if place == "application" else {}))

    with pytest.raises(ConfigError, match=r"signed_in: a hit runs no authentication"):
        RouteTable(made).check()
    with pytest.raises(ConfigError, match=r"Rule\('/r/\*'\).* depends on the guard"):
        RouteTable(made, rules=[Rule("/r/*", 60, override=True)]).check()
    assert RouteTable(made, default=Policy(60)).resolve("GET", "/r/a").policy is None


@pytest.mark.parametrize("place", ["handler", "controller", "router"])
def test_a_route_behind_a_before_request_function_is_refused(place: str) -> None:
    """It may read who asks, and answer by itself; a hit does not run it."""

    def asking(request: Any) -> None: ...

    before = {"before_request": asking}

    class All(litestar.Controller):  # type: ignore[misc,name-defined]
        before_request = asking if place == "controller" else None

        @litestar.get("/a", sync_to_thread=False, **(before if place == "handler" else {}))
        @cached(60)
        def mine(self) -> str:
            return ""

    made = app(
        litestar.Router("/r", route_handlers=[All], **(before if place == "router" else {})),
        before_request=lambda request: None,
    )

    with pytest.raises(ConfigError, match=r"before_request function .*asking: a hit runs no"):
        RouteTable(made).check()
    assert RouteTable(made).resolve("GET", "/r/a").reason == "security"


def test_a_before_request_function_of_the_application_is_like_a_middleware() -> None:
    """It stands before all routes, and the usual protection holds."""

    @litestar.get("/a", sync_to_thread=False)
    @cached(60)
    def mine() -> str:
        return ""

    table = RouteTable(app(mine, before_request=lambda request: None))
    table.check()

    assert table.resolve("GET", "/a").reason == "annotation"


@pytest.mark.filterwarnings("ignore:.*Inferred dependency", "ignore:.*[Rr]eserved")
@pytest.mark.parametrize("through", ["handler", "dependency"])
def test_a_route_that_declares_a_header_or_a_cookie_is_refused(through: str) -> None:
    """One client's copy would be another's; named in `vary=` or `cookies=`, it is cached."""
    from litestar.di import Provide

    def header(it: Annotated[str, parameter("header", "X-Currency")]) -> str:
        return it

    def cookie(it: Annotated[str, parameter("cookie", "currency")]) -> str:
        return it

    def headers(headers: dict[str, str]) -> str:
        return str(headers)

    def cookies(cookies: dict[str, str]) -> str:
        return str(cookies)

    for reads, keyed, what in (
        (header, {"vary": ["x-currency"]}, "the header X-Currency"),
        (cookie, {"cookies": ["currency"]}, "the cookie currency"),
        (headers, {"public": True}, r"all headers \(headers\)"),
        (cookies, {"vary": ["cookie"]}, r"all cookies \(cookies\)"),
    ):

        def given(made: str) -> str:
            return made

        below = {"made": Provide(reads, sync_to_thread=False)} if through == "dependency" else {}
        get = litestar.get("/a", sync_to_thread=False, dependencies=below)
        made = app(get(given if below else reads))
        rules = [Rule("/a", 60, **keyed)]

        with pytest.raises(ConfigError, match=f"depends on {what}"):
            RouteTable(made, rules=[Rule("/a", 60)]).check()
        RouteTable(made, rules=rules).check()
        assert RouteTable(made, rules=rules).resolve("GET", "/a").reason == "rule"


def test_a_guarded_route_that_separates_users_is_cached() -> None:
    """By `vary_by=`, or by `public=True` where all get the same."""

    def signed_in(*_: Any) -> None: ...

    @litestar.get("/a", sync_to_thread=False, guards=[signed_in])
    @cached(60, vary_by=lambda request: request.headers.get("x-user"))
    def mine() -> str:
        return ""

    table = RouteTable(app(mine))
    table.check()

    assert table.resolve("GET", "/a").reason == "annotation"


def test_a_handler_of_several_paths() -> None:
    """Each is a route; where two of them take a path, none is named."""

    @litestar.get(["/a", "/b/{id:int}", "/{id:str}/c"], sync_to_thread=False)
    @cached(60, tags=["t:{id}"])
    def product() -> str:
        return ""

    table = RouteTable(app(product))
    found = {path: table.resolve("GET", path) for path in ("/a", "/b/7", "/x/c", "/b/c")}

    assert [one.route for one in found.values()] == ["/a", "/b/{id:int}", "/{id:str}/c", ""]
    assert found["/b/7"].texts == {"id": "7"}


async def test_the_mark_of_a_controller_may_stand_above() -> None:
    """Litestar copies handlers of controllers; their marks are copied with them."""

    class All(litestar.Controller):  # type: ignore[misc,name-defined]
        path = "/all"

        @cached(60)
        @litestar.get("/x", sync_to_thread=False)
        def products(self) -> str:
            return "x"

    async with served(CacheMiddleware(app(All), memory())) as client:
        assert [(await client.get("/all/x")).hit for _ in range(2)] == [False, True]


async def test_a_mounted_application_has_rules_alone() -> None:
    """What it does with a path is its own; also where a marked route has the same path."""

    @litestar.asgi("/m", is_mount=True, copy_scope=True)
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    @litestar.get("/m/inner", sync_to_thread=False)
    @cached(60)
    def inner() -> str:
        return "inner"

    made = app(mounted, inner)
    async with served(CacheMiddleware(made, memory(), rules=[Rule("/m/kept", 60)])) as client:
        replies = {path: [await client.get(path) for _ in range(2)] for path in ("/m/x", "/m/kept")}
        again = [await client.get("/m/inner") for _ in range(2)]

    assert [reply.hit for reply in replies["/m/x"]] == [False, False]
    assert [reply.hit for reply in replies["/m/kept"]] == [False, True]
    assert again[0].body == again[1].body == (await Client(made).get("/m/inner")).body


def test_a_handler_that_is_registered_later_at_a_path_with_another_is_seen() -> None:
    """The number of paths stays the same then; handlers that were there stay known, too."""

    @litestar.put("/a", sync_to_thread=False)
    def change() -> None: ...

    @litestar.get("/a", sync_to_thread=False)
    @cached(60)
    def late() -> str:
        return ""

    made = app(change)
    table = RouteTable(made)
    assert table.resolve("GET", "/a").leaf is None

    made.register(late)

    assert table.resolve("GET", "/a").reason == "annotation"
    assert table.resolve("PUT", "/a").route == "/a"


async def test_routes_that_are_registered_later_are_seen() -> None:
    """`app.register` adds them while the application runs."""

    @litestar.get("/late", sync_to_thread=False)
    @cached(60)
    def late() -> str:
        return "late"

    made = app()
    async with served(CacheMiddleware(made, memory())) as client:
        assert (await client.get("/late")).status == 404
        made.register(late)
        # The first shows that there are more routes than were known.
        assert [(await client.get("/late")).hit for _ in range(3)] == [False, False, True]


async def test_another_handler_than_expected_is_not_stored() -> None:
    """A layer inside of the cache gives the router another path."""

    @litestar.get("/a", sync_to_thread=False)
    @cached(60)
    def marked() -> str:
        return "a"

    @litestar.get("/b", sync_to_thread=False)
    def other() -> str:
        return "b"

    made = app(marked, other)

    class Moves:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope["path"] = "/b"
            await self.app(scope, receive, send)

    async with served(CacheMiddleware(Moves(made), manager := memory())) as client:
        replies = [await client.get("/a") for _ in range(2)]
        assert manager.stats().failures["route-mismatch"] > 0

    assert [(reply.hit, reply.body) for reply in replies] == [(False, b"b")] * 2
