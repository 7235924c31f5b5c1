"""What those meet who have never seen the package: each message says what to write instead."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from fastapi.testclient import TestClient
from pydantic import BaseModel

from asgi_multitier import (
    CacheManager,
    CacheMiddleware,
    CacheStrategy,
    ConfigError,
    Policy,
    Rule,
    cached,
    invalidates,
)
from asgi_multitier.config.process import CacheConfig

bearer = HTTPBearer()


class User(BaseModel):
    """Who asks."""

    id: int


def user(sent: Annotated[Any, Depends(bearer)]) -> User:
    """Who asks, by a token."""
    return User(id=int(sent.credentials))


async def endpoint(number: int = 1) -> int:
    """Return what it got."""
    return number


def middleware(**options: Any) -> None:
    """Make a middleware with options as they were given, as a framework does at start."""
    app = FastAPI()
    app.add_middleware(CacheMiddleware, **options)
    with TestClient(app):
        pass


def start(mark: Any, method: str = "GET", path: str = "/products/{number}") -> None:
    """Start an application with one marked endpoint."""

    async def product(number: int = 1) -> int:
        return number

    app = FastAPI()
    app.add_api_route(path, mark(product), methods=[method])
    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, namespace="shop"))
    with TestClient(app):
        pass


def behind_a_guard(**options: Any) -> None:
    """Start an application whose endpoint takes the user."""

    async def notes(user: Annotated[User, Depends(user)]) -> int:
        return user.id

    app = FastAPI()
    app.add_api_route("/notes", cached(60, **options)(notes))
    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, namespace="shop"))
    with TestClient(app) as client:
        for token in ("1", "2", "1"):
            answer = client.get("/notes", headers={"authorization": f"Bearer {token}"})
            assert answer.json() == int(token)


def environment(**given: str) -> None:
    """Read settings from an environment."""
    CacheConfig.resolve(environ=given, dotenv=None)


def twice() -> None:
    """Two caches around an application."""
    app = FastAPI()
    for name in ("one", "two"):
        cache = CacheManager(redis_url=None, namespace=name)
        app.add_middleware(CacheMiddleware, cache=cache)
    with TestClient(app):
        pass


def anything(call: Any, *arguments: Any, **options: Any) -> Callable[[], Any]:
    """A call that type checkers would not let pass."""
    return lambda: call(*arguments, **options)


manager = CacheManager
MISTAKES: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "a strategy as text": (
        lambda: cached("SHORT_TERM")(endpoint),  # type: ignore[arg-type]
        ("@cached on endpoint: strategy='SHORT_TERM'", "CacheStrategy.SHORT_TERM", "such as 60"),
    ),
    "no parentheses": (anything(cached, endpoint), ("write @cached() with parentheses",)),
    "no parentheses at a change": (
        anything(invalidates, endpoint),
        ("@invalidates: expected a name", "tags=['product:{id}']"),
    ),
    "a tag without a name": (
        anything(invalidates, "product:{id}"),
        ("@invalidates('product:{id}')", "tags=['product:{id}']"),
    ),
    "the name of another library for the lifetime": (
        lambda: cached(ttl=60)(endpoint),  # type: ignore[call-arg]
        ("ttl is not an option", "@cached(60)"),
    ),
    "the name of another library for the key": (
        lambda: cached(60, key_builder=str)(endpoint),  # type: ignore[call-arg]
        ("key_builder is not an option", "the key is the whole URL", "vary_by="),
    ),
    "a misspelt option": (
        lambda: cached(60, tag=["x"])(endpoint),  # type: ignore[call-arg]
        ("tag is not an option; did you mean tags?",),
    ),
    "a parameter that the path has not": (
        lambda: start(cached(60, tags=["product:{id}"])),
        ("route GET /products/{number}", "tags='product:{id}'", "places among {number}"),
    ),
    "a parameter that a change has not": (
        lambda: start(invalidates(tags=["product:{id}"]), "PUT"),
        ("route PUT /products/{number}", "places among {number}"),
    ),
    "a cached POST": (
        lambda: start(cached(60), "POST"),
        ("only POST is taken", "methods=['POST'], body=True"),
    ),
    "a GET that invalidates": (
        lambda: start(invalidates(tags=["x"])),
        ("only GET is taken", "invalidate_tags"),
    ),
    "a class in place of a manager": (
        lambda: middleware(cache=CacheManager),
        ("CacheMiddleware: cache=", "an object such as CacheManager("),
    ),
    "an address in place of a manager": (
        lambda: middleware(cache="redis://localhost"),
        ("CacheManager(redis_url='redis://127.0.0.1:6379')",),
    ),
    "a manager's option at the middleware": (
        lambda: middleware(redis_url="redis://localhost"),
        ("redis_url is not an option", "cache=CacheManager(redis_url=...)"),
    ),
    "another name for the manager": (
        lambda: middleware(manager=None),
        ("manager is not an option", "did you mean cache?"),
    ),
    "an unknown option of the middleware": (
        lambda: middleware(colour="red"),
        ("colour is not an option", "one of cache, rules, default, read_your_writes, warm"),
    ),
    "rules as a dictionary": (
        lambda: middleware(rules={"/a": 60}),
        ("rules={'/a': 60}", "[Rule('/products/*', 60)]"),
    ),
    "one rule in place of a list": (
        lambda: middleware(rules=Rule("/a", 60, tags=["a"])),
        ("policy=Policy(60.0, tags=(Template('a'),))", "[Rule('/products/*', 60)]"),
    ),
    "a lifetime as the default": (
        lambda: middleware(default=60),
        ("default=60", "Policy.from_origin()"),
    ),
    "two managers": (twice, ("two managers", "install it once, or give both the same one")),
    "a rule without a slash": (
        lambda: Rule("products/*", 60),
        ("glob='products/*'", "begins with '/' or '*'"),
    ),
    "an address without a scheme": (
        lambda: manager(redis_url="localhost:6379"),
        ("redis_url", "redis://127.0.0.1:6379", "REDIS_URL=none"),
    ),
    "an address in the first place": (
        anything(manager, "redis://localhost"),
        ("l1='redis://localhost'", "redis_url="),
    ),
    "an application in the first place": (
        anything(manager, FastAPI()),
        ("CacheMiddleware(app, CacheManager())",),
    ),
    "another name for the address": (
        lambda: manager(url="redis://x"),  # type: ignore[call-arg]
        ("url is not an option; did you mean redis_url?",),
    ),
    "a name with a blank": (
        lambda: manager(redis_url=None, namespace="my shop"),
        ("namespace='my shop'", "letters, digits"),
    ),
    "a secret as text": (
        lambda: manager(redis_url=None, secret="abc"),  # type: ignore[arg-type]
        ("secret is not allowed", "secrets.token_bytes(32)"),
    ),
    "a misspelt variable": (
        lambda: environment(ASGI_MULTITIER_REDISURL="x"),
        ("did you mean ASGI_MULTITIER_REDIS_URL?",),
    ),
    "a unit in a variable": (
        lambda: environment(ASGI_MULTITIER_L1_BYTES="64MB"),
        ("environment: l1_bytes='64MB'", "a whole number, without a unit"),
    ),
    "a unit in a time": (
        lambda: environment(ASGI_MULTITIER_REDIS_TIMEOUT="2s"),
        ("redis_timeout='2s'", "a number of seconds, without a unit"),
    ),
    "a decorator of the manager without parentheses": (
        anything(manager(redis_url=None).cached, endpoint),
        ("@cache.cached('user:{id}')",),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_what_to_write(name: str) -> None:
    """The option, what was given, and what to write instead; on one line."""
    make, parts = MISTAKES[name]
    with pytest.raises(ConfigError) as caught:
        make()
    said = str(caught.value)

    assert [part for part in parts if part not in said] == []
    assert "\n" not in said
    assert len(said) < 600


async def test_what_cannot_be_called_is_told() -> None:
    """A coroutine is closed, so that it does not warn."""

    async def load() -> int:
        return 1

    async with CacheManager(redis_url=None, namespace="shop") as cache:
        for given in (load(), 5):
            with pytest.raises(ConfigError, match="without parentheses: load"):
                await anything(cache.get_or_compute, "a", given)()


def test_who_follows_the_message_about_a_guard_ends_in_a_safe_place() -> None:
    """From one message to the next, each first advice followed: no user gets another's answer."""
    with pytest.raises(ConfigError, match=r"expected guarded=True, with which it runs on hits"):
        behind_a_guard()
    with pytest.raises(ConfigError, match=r"such as vary_by='\{user.id\}'"):
        behind_a_guard(guarded=True)
    behind_a_guard(guarded=True, vary_by="{user.id}")
    behind_a_guard(vary=["authorization"])


def test_a_mark_above_the_route_works() -> None:
    """As below it: the order does not matter."""
    app = FastAPI()

    @cached(CacheStrategy.SHORT_TERM)
    @app.get("/products")
    async def products() -> int:
        return 1

    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, namespace="shop"))
    client = TestClient(app)

    assert ["hit" in client.get("/products").headers["cache-status"] for _ in "ab"] == [False, True]


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        (Policy(), "Policy(300.0)"),
        (Policy.from_origin(), "Policy(None)"),
        (Policy(60, tags="a", guarded=True), "Policy(60.0, tags=(Template('a'),), guarded=True)"),
    ],
)
def test_a_policy_shows_what_was_given(policy: Policy, shown: str) -> None:
    """Not forty options as they are without being given."""
    assert repr(policy) == shown


class Own(CacheMiddleware):
    """A user's own, with an option more."""

    def __init__(self, app: Any, *, colour: str, **options: Any) -> None:
        super().__init__(app, **options)
        self.colour = colour


def test_a_subclass_may_have_options_of_its_own() -> None:
    """They are no unknown ones."""
    made = Own(FastAPI(), colour="red", cache=CacheManager(redis_url=None))

    assert made.colour == "red"
