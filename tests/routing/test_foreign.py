"""Applications whose routes are of other kinds: reading them never raises."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.applications import Starlette
from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route

from asgi_multitier import CacheMiddleware, ConfigError, Rule, cached
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.routing import RouteTable
from tests.support import Client, Origin, caching


class Raising(Origin):
    """Its table of routes raises."""

    @property
    def routes(self) -> Any:
        raise RuntimeError("not yet")


class Named(Origin):
    """Has a list of something else under this name."""

    routes = ["/a", "/b"]  # noqa: RUF012


class Shy(Origin):
    """Its list holds what raises whatever it is asked."""

    class Thing:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    routes = [Thing()]  # noqa: RUF012


class Falsy(Origin):
    """Its inner application cannot be said to be true or false."""

    class Inner(Origin):
        def __bool__(self) -> bool:
            raise RuntimeError("neither")

    app = Inner()


@pytest.mark.parametrize("kind", [Raising, Named, Shy, Falsy])
async def test_rules_hold_where_the_routes_cannot_be_read(kind: Callable[[], Origin]) -> None:
    """No URL fails, and what a rule names is cached."""
    app = kind()
    async with caching(app, [Rule("/a", 60)]) as cache:
        assert (await cache.get("/a")).stored
        assert (await cache.get("/a")).hit
        assert (await cache.get("/b")).detail == "no-rule"
    assert app.calls == 2


async def test_a_middleware_with_a_list_of_this_name_is_looked_through() -> None:
    """Its `routes` is a setting of its own; the application inside has the routes."""

    @cached(60)
    async def page(request: Request) -> Response:
        return PlainTextResponse("page")

    class Limiter:
        def __init__(self, app: Any, routes: list[str]) -> None:
            self.app, self.routes = app, routes

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)

    for routes in ([], ["/page"]):
        app = Limiter(Starlette(routes=[Route("/page", page)]), routes)
        async with caching(app, []) as cache:
            assert (await cache.get("/page")).stored
            assert (await cache.get("/page")).hit


class Bare(BaseRoute):
    """A kind of route that nothing is known of; it takes what ends in `/bare`."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        return (Match.FULL if scope["path"].endswith("/bare") else Match.NONE), {}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"{scope['asked']}")(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        raise LookupError(name)


async def test_no_rule_holds_where_a_route_of_an_unknown_kind_may_answer() -> None:
    """It may read anything of the request."""
    app = Starlette(routes=[Bare()])
    async with caching(app, [Rule("*", 60)]) as cache:
        first, again = [await cache.get("/bare", asked=number) for number in (1, 2)]

    assert (first.body, again.body, again.detail) == (b"1", b"2", "no-rule")


def front_end(directory: Path) -> FastAPI:
    """A public front end, and one below it that asks who comes."""
    (directory / "index.html").write_text("front")
    app = FastAPI(title="Front")
    if not hasattr(app, "frontend"):
        pytest.skip("this FastAPI has no static front ends")
    app.frontend("/", directory=directory)
    inner = APIRouter(prefix="/admin", dependencies=[Depends(HTTPBearer())])
    inner.frontend("/", directory=directory)
    app.include_router(inner)
    return app


async def test_a_static_front_end_is_cached_by_a_rule(tmp_path: Path) -> None:
    """FastAPI lists its front ends nowhere, and asks them last."""
    rules = [Rule("/admin/*", None), Rule("*", 60)]
    async with caching(front_end(tmp_path), rules) as cache:
        assert (await cache.get("/index.html")).stored
        assert (await cache.get("/index.html")).hit
        assert (await cache.get("/admin/index.html")).detail == "no-cache-annotation"


async def test_a_front_end_that_asks_who_comes_is_not_shared(tmp_path: Path) -> None:
    """As for any route: a hit would check nothing."""
    app = front_end(tmp_path)
    if (await Client(app).get("/admin/index.html")).status not in (401, 403):
        pytest.skip("this FastAPI runs no dependencies for static front ends")
    table = RouteTable(app, rules=[Rule("*", 60)])

    with pytest.raises(ConfigError, match="HTTPBearer"):
        table.check()
    assert table.resolve("GET", "/admin/index.html").reason == "security"
    assert table.resolve("GET", "/index.html").reason == "rule"


class Old:
    """An application of ASGI 2: one call for the scope, one for the channel."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await PlainTextResponse(self.scope["path"])(self.scope, receive, send)


def old(scope: Scope) -> Any:
    return Old(scope)


@pytest.mark.parametrize("app", [Old, old, functools.partial(old)])
async def test_an_application_of_asgi_2_is_cached(app: Any) -> None:
    """As a server runs it."""
    async with caching(app) as cache:
        first, again = [await cache.get("/a") for _ in range(2)]

    assert (first.body, first.stored, again.hit) == (b"/a", True, True)


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return [b""]


@pytest.mark.parametrize("app", [wsgi, 7, None, "shop:app"])
def test_what_is_no_asgi_application_is_refused(app: Any) -> None:
    """When it is wrapped, not at the first request."""
    with pytest.raises(ConfigError, match="expected an ASGI application"):
        CacheMiddleware(app)


async def test_a_callable_whose_arguments_nobody_knows_is_taken_as_it_is() -> None:
    """A mock, or a compiled one."""
    origin = Origin()

    async def any_arguments(*args: Any) -> None:
        await origin(*args)

    assert (await Client(CacheMiddleware(any_arguments)).get("/a")).status == 200


class Unprintable(Convertor[object]):
    """Its values cannot be written as text."""

    regex = "[a-z]+"

    def convert(self, value: str) -> object:
        class Value:
            def __str__(self) -> str:
                raise RuntimeError("no text")

        return Value()

    def to_string(self, value: object) -> str:
        return "x"


async def test_a_parameter_that_has_no_text_does_not_fail_its_route(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The application answers alone."""
    monkeypatch.setitem(CONVERTOR_TYPES, "unprintable", Unprintable())
    app = Starlette(routes=[Route("/p/{value:unprintable}", lambda r: PlainTextResponse("page"))])
    async with caching(app, [Rule("*", 60)]) as cache:
        reply = await cache.get("/p/a")

    assert (reply.body, reply.detail) == (b"page", "no-rule")
