"""Marks of objects' methods, and marks where they can do nothing."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from httpx import ASGITransport, AsyncClient

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, cached, invalidates
from asgi_multitier.manager.routes import routes_of
from asgi_multitier.routing import RouteTable
from asgi_multitier.routing.annotations import annotations_of
from asgi_multitier.testing import FakeClock


class Shop:
    """Endpoints that are methods of an object made with settings."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name = name
        self.router = APIRouter()
        self.router.add_api_route(f"/{name}", cached(seconds)(self.read))

    async def read(self) -> str:
        return self.name


def wrapped(app: FastAPI) -> CacheMiddleware:
    return CacheMiddleware(app, cache=CacheManager(redis_url=None, clock=FakeClock()))


async def asked(app: Any, *paths: str) -> list[str]:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        return [(await client.get(path)).headers["cache-status"] for path in paths]


async def test_methods_of_two_objects_have_marks_of_their_own() -> None:
    """The function that they share has none, and neither has a third object's method."""
    tea, coffee, plain = Shop("tea", 60), Shop("coffee", 600), Shop("plain", 1)
    plain.router = APIRouter()
    app = FastAPI()
    app.include_router(tea.router)
    app.include_router(coffee.router)

    for shop, seconds in ((tea, 60), (coffee, 600), (plain, 1)):
        policy = annotations_of(shop.read).policy
        assert policy is not None
        assert policy.lifetime == seconds
    assert annotations_of(Shop.read).policy is None
    assert annotations_of(functools.partial(tea.read)).policy == annotations_of(tea.read).policy
    statuses = await asked(wrapped(app), "/tea", "/coffee", "/tea", "/coffee")
    assert "hit; ttl=60" in statuses[2]
    assert "hit; ttl=600" in statuses[3]


def test_a_method_is_marked_once_by_each_object() -> None:
    """What the class says holds for all of them."""

    class Marked:
        @invalidates(tags=["t"])
        async def read(self) -> None: ...

    one, other = Marked(), Marked()
    cached(60)(one.read)

    assert annotations_of(one.read).policy is not None
    assert annotations_of(one.read).invalidations is not None
    assert annotations_of(other.read).policy is None
    with pytest.raises(ConfigError, match="cached already"):
        cached(60)(one.read)


def test_an_object_that_takes_no_attributes_says_so() -> None:
    """With what to do instead."""

    class Small:
        __slots__ = ()

        async def read(self) -> None: ...

    with pytest.raises(ConfigError, match=r"Small.read.*mark the function or use a Rule"):
        cached(60)(Small().read)


def silent(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that forgets what it wraps."""

    async def wrapper() -> Any:
        return await function()

    return wrapper


async def test_marks_that_no_route_carries_are_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line at start names each; those that do something are not among them."""

    @cached(60)
    def helper() -> int:
        return 1

    @cached(60)
    def dependency() -> int:
        return helper()

    app, unused = FastAPI(), APIRouter()

    @app.get("/used")
    @cached(60)
    async def used(value: int = Depends(dependency)) -> int:
        return value

    @app.get("/outside")
    @silent
    @cached(60)
    async def hidden() -> int:
        return 1

    @unused.get("/unused")
    @invalidates(tags=["t"])
    async def unmet() -> int:
        return 1

    @app.websocket("/socket")
    @cached(60)
    async def socket(socket: WebSocket) -> None: ...

    @cached(60)
    class NoEndpoint:
        pass

    with caplog.at_level(logging.WARNING, "asgi_multitier"):
        await asked(wrapped(app), "/used")
        lines = [r.getMessage() for r in caplog.records if "marks such as" in r.getMessage()]
        await asked(wrapped(app), "/used")

    assert len(lines) == 1
    for name in ("helper", "dependency", "hidden", "unmet", "socket", "NoEndpoint"):
        assert f"<locals>.{name}" in lines[0]
    assert "<locals>.used" not in lines[0]
    assert [r.getMessage() for r in caplog.records if "marks such as" in r.getMessage()] == lines


async def test_marks_of_other_packages_are_not_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """They may be those of another application in this process."""

    async def elsewhere() -> None: ...

    elsewhere.__module__ = "another.package"
    cached(60)(elsewhere)
    app = FastAPI()

    @app.get("/")
    async def used() -> int:
        return 1

    with caplog.at_level(logging.WARNING, "asgi_multitier"):
        await asked(wrapped(app), "/")

    assert not [r for r in caplog.records if "elsewhere" in r.getMessage()]


async def test_marks_above_the_decorator_of_a_route_are_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the mark is a function around the endpoint: at start once, by the lint each time."""
    app = FastAPI()
    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, clock=FakeClock()))

    @cached(60, guarded="shared", tags=["b"])
    @app.get("/guarded")
    async def read() -> int:
        return 1

    @invalidates(tags=["{item.sku}", "b"])
    @app.put("/guarded")
    async def write(item: dict[str, str]) -> int:
        return 1

    @cached(60)
    @app.get("/plain")
    async def plain() -> int:
        return 1

    @app.get("/below")
    @cached(60, guarded="shared")
    async def below() -> int:
        return 1

    def missed() -> list[str]:
        return sorted(one.route for one in routes_of(app).findings if one.code == "W7")

    before = missed()
    with caplog.at_level(logging.WARNING, "asgi_multitier"):
        await asked(app, "/below")
    (line,) = [r.getMessage() for r in caplog.records if "marks such as" in r.getMessage()]

    assert [route.rpartition(" ")[0] for route in before] == [
        "route GET /guarded",
        "route PUT /guarded",
    ]
    assert "<locals>.read, " in line
    assert "<locals>.write: they stand above the decorator of the route" in line
    assert "move them below it, such as below @app.get" in line
    assert missed() == before


async def test_a_mark_around_an_endpoint_of_another_route_is_well() -> None:
    """One function may be at two routes, and be cached at one of them."""
    app = FastAPI()
    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, clock=FakeClock()))

    async def read() -> int:
        return 1

    app.add_api_route("/plain", read)
    app.add_api_route("/cached", cached(60, guarded="shared")(read))

    assert routes_of(app).findings == ()
    await asked(app, "/cached")
    assert RouteTable(app).stray() == ([], [])


async def test_a_marked_function_that_says_it_wraps_itself_is_at_no_route() -> None:
    """Some decorators and mocks do so; the application starts."""
    app = FastAPI()

    @app.get("/used")
    async def used() -> int:
        return 1

    @cached(60)
    async def odd() -> int:
        return 1

    odd.__wrapped__ = odd  # type: ignore[attr-defined]

    assert f"{odd.__module__}.{odd.__qualname__}" in RouteTable(app).stray().unused
