"""Layers outside find the same route in the scope, whether the application ran or not."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, NullLocalTier, Rule, cached
from asgi_multitier._types import ASGIApp, Message, Receive, Scope, Send
from asgi_multitier.testing import FakeClock
from tests.http.test_shared_tiers import DictTier
from tests.support import Client, Visit, caching, scope_of, settled

Told = tuple[Any, str | None, Any, Any]


async def shown(request: Request) -> Response:
    """Its path parameters."""
    return PlainTextResponse(repr(request.path_params), headers={"etag": '"1"'})


class Shown(HTTPEndpoint):
    """The same, of a class."""

    async def get(self, request: Request) -> Response:
        """Answer a GET."""
        return await shown(request)


def _told(scope: Scope) -> Told:
    """What a layer outside finds."""
    found = scope.get("endpoint"), getattr(scope.get("route"), "path", None)
    return *found, scope["path_params"], scope.get("router")


class Around:
    """A layer around the cache that notes the route with the start of a response.

    Args:
        app: The cached application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.found: list[Told] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.found.append(_told(scope))
            await send(message)

        await self.app(scope, receive, noting)
        if scope["type"] == "http":
            assert self.found[-1] == _told(scope)


def fastapi() -> FastAPI:
    """An application with routers in routers, and others mounted in it."""

    async def numbered(number: int) -> int:
        return number

    app, inner, outer, mounted = FastAPI(), APIRouter(prefix="/in"), APIRouter(), FastAPI()
    app.get("/direct/{number}")(numbered)
    inner.get("/{number}")(numbered)
    outer.include_router(inner, prefix="/of/{name}")
    app.include_router(outer)
    mounted.get("/{number}")(numbered)
    app.mount("/mounted/{name}", mounted)
    app.mount("/other", starlette())
    return app


def starlette() -> Starlette:
    """One of functions, classes and mounts."""
    below = [Route("/{number:int}", shown), Route("/plain", Shown)]
    return Starlette(routes=[Route("/{number:float}", shown), Mount("/below/{name}", routes=below)])


APPS: list[tuple[Callable[[], ASGIApp], str]] = [
    (fastapi, "/direct/1"),
    (fastapi, "/of/x/in/2"),
    (fastapi, "/mounted/x/3"),
    (fastapi, "/other/4.5"),
    (starlette, "/1.5"),
    (starlette, "/below/x/7"),
    (starlette, "/below/x/plain"),
    (lambda: Starlette(routes=[Mount("/own", fastapi())]), "/own/direct/1"),
]


@pytest.mark.parametrize(("make", "target"), APPS)
@pytest.mark.parametrize("options", [{}, {"vary_by": lambda _: "x"}], ids=["alone", "vary_by"])
async def test_a_hit_tells_what_a_miss_has_told(
    make: Callable[[], ASGIApp], target: str, options: dict[str, Any]
) -> None:
    """Endpoint, route and path parameters; of a hit in any way, also when it is the first."""
    async with caching(make(), [Rule("*", 60, **options)]) as cache:
        layer = cache.client.app = Around(cache.middleware)
        assert (await cache.get(target)).stored
        for method, *fields in ("GET",), ("HEAD",), ("GET", ("range", "bytes=0-1")), ("GET",):
            assert (await cache.client.request(method, target, fields)).hit
        first, *others = layer.found

    endpoint, route, params, router = first
    assert endpoint is not None
    assert params is not None
    assert router is not None
    assert all(params is not other for _, _, other, _ in others)
    # Starlette before 1.0 leaves no route.
    assert others == [(endpoint, route or others[0][1], params, router)] * 4
    assert others[0][1]


OUTCOMES: dict[str, tuple[Rule, float, list[tuple[str, str]], str]] = {
    "hit": (Rule("*", 60), 1, [], "hit; ttl=59"),
    "304": (Rule("*", 60), 1, [("if-none-match", '"1"')], "hit; ttl=59"),
    "with a condition": (Rule("*", 60), 1, [("if-none-match", '"0", "1"')], "hit; ttl=59"),
    "stale": (Rule("*", 60, stale_while_revalidate=60), 61, [], "hit; ttl=-1; detail=stale"),
    "bypass": (Rule("*", 60), 1, [("authorization", "Basic x")], "fwd=bypass"),
    "miss": (Rule("*", 60), 61, [], "fwd=stale; stored; ttl=60"),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("outside", ["wrapped", "added"])
async def test_every_outcome_tells_it(outcome: str, outside: str) -> None:
    """Whichever door answers."""
    rule, passing, fields, expected = OUTCOMES[outcome]
    app, clock = starlette(), FakeClock()
    manager = CacheManager(redis_url=None, clock=clock, wall=clock, namespace="test")
    layers: list[Around] = []

    def around(inner: ASGIApp) -> Around:
        layers.append(Around(inner))
        return layers[-1]

    client = Client(app)
    if outside == "added":
        app.add_middleware(CacheMiddleware, cache=manager, rules=[rule])
        app.add_middleware(around)  # type: ignore[arg-type]  # it makes one
    else:
        client = Client(around(CacheMiddleware(app, manager, rules=[rule])))
    async with manager:
        assert (await client.get("/below/x/7")).stored
        clock.advance(passing)
        reply = await client.get("/below/x/7", fields)
        await manager.engine.stack.settle()
    assert reply.cache.startswith(expected.partition(";")[0])
    (layer,) = layers
    assert layer.found[0] == layer.found[1]
    assert layer.found[1][0] is shown


async def test_those_that_wait_for_another_ones_run_are_told_as_well() -> None:
    """Each in its own scope."""
    gate, asked = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(request: Request) -> Response:
        asked.release()
        await gate.wait()
        return PlainTextResponse("x")

    async with caching(Starlette(routes=[Route("/{name}", slow)])) as cache:
        layer = cache.client.app = Around(cache.middleware)
        tasks = [cache.client.begin("/a")]
        await asked.acquire()
        tasks += [cache.client.begin("/a") for _ in range(2)]
        await settled()
        gate.set()
        replies = await asyncio.gather(*tasks)

    assert sum("collapsed" in reply.cache for reply in replies) == 2
    assert [(told[0], told[2]) for told in layer.found] == [(slow, {"name": "a"})] * 3


@pytest.mark.parametrize("fields", [(), [("if-none-match", '"0", "1"')]], ids=["plain", "304"])
async def test_a_hit_of_a_shared_tier_tells_it(fields: Any) -> None:
    """Also where nothing is left of the request that has stored it."""
    async with caching(starlette(), l1=NullLocalTier(), l2=DictTier()) as cache:
        layer = cache.client.app = Around(cache.middleware)
        await cache.get("/below/x/7")
        await cache.manager.engine.stack.settle()
        other = cache.client.app = Around(cache.middleware.over(cache.manager))
        reply = await cache.get("/below/x/7", fields)
    assert "detail=l2" in reply.cache
    assert layer.found == other.found
    assert other.found[0][:3] == (shown, "/{number:int}", {"name": "x", "number": 7})


async def test_a_router_around_the_cache_is_not_what_is_told() -> None:
    """Its own endpoint is the cache."""
    async with caching(starlette(), [Rule("*", 20, stale_while_revalidate=60)]) as cache:
        layer = cache.client.app = Around(Starlette(routes=[Mount("/o", cache.middleware)]))
        for _ in range(3):
            reply = await cache.get("/o/below/x/7")
            cache.clock.advance(15)
            await cache.manager.engine.stack.settle()
    assert reply.cache.startswith("hit; ttl=-10")
    assert [told[0] for told in layer.found] == [shown] * 3
    assert [told[2] for told in layer.found] == [layer.found[0][2]] * 3


async def test_a_guarded_hit_tells_it() -> None:
    """Its framework runs, and leaves it itself."""
    app, clock = FastAPI(title="Office"), FakeClock()

    def user() -> str:
        return "x"

    @app.get("/orders/{number}")
    @cached(60, guarded=True)
    async def order(number: int, name: str = Depends(user)) -> int:
        return number

    manager = CacheManager(redis_url=None, clock=clock, wall=clock)
    app.add_middleware(CacheMiddleware, cache=manager)
    layer = Around(app)
    async with manager:
        replies = [await Client(layer).get("/orders/1") for _ in range(3)]
    assert [reply.hit for reply in replies] == [False, True, True]
    assert [told[1:3] for told in layer.found] == [("/orders/{number}", {"number": "1"})] * 3


async def test_a_layer_that_calls_the_application_in_another_task_is_told() -> None:
    """As Starlette's base class for layers does."""
    found: list[Any] = []

    class Noting(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            response: Response = await call_next(request)
            found.append((request.scope.get("endpoint"), request.scope.get("path_params")))
            return response

    async with caching(starlette()) as cache:
        cache.client.app = Noting(cache.middleware)
        for _ in range(3):
            await cache.get("/1.5")
    assert found == [(shown, {"number": 1.5})] * 3


def server(app: ASGIApp, module: str) -> ASGIApp:
    """A caller of an application, as if its code were in a module of this name."""
    space: dict[str, Any] = {"__name__": module, "app": app}
    exec(  # frames are asked for their module
        "async def call(scope, receive, send):\n    await app(scope, receive, send)", space
    )
    call: ASGIApp = space["call"]
    return call


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("uvicorn.protocols.http.h11_impl", False),
        ("hypercorn.asyncio.tcp_server", False),
        ("metrics.layer", True),
        ("uvicorn_metrics", True),
    ],
)
async def test_a_hit_tells_no_server_that_calls_the_cache_at_once(module: str, told: bool) -> None:
    """It does not look, so the hit does not work for it."""
    async with caching(starlette()) as cache:
        for _ in range(2):
            scope, visit = scope_of("GET", "/1.5"), Visit()
            await server(cache.middleware, module)(scope, visit.receive, visit.send)
        assert visit.reply.hit
        assert ("endpoint" in scope) is told


@pytest.mark.parametrize("added", [False, True])
async def test_applications_of_starlette_are_no_layers_that_look(added: bool) -> None:
    """Unless one was added around the cache."""
    app, manager = starlette(), CacheManager(redis_url=None, namespace="test")
    app.add_middleware(CacheMiddleware, cache=manager, rules=[Rule("*", 60)])
    if added:
        app.add_middleware(Around)
    async with manager:
        for _ in range(2):
            scope, visit = scope_of("GET", "/1.5"), Visit()
            await server(app, "uvicorn.protocols.http.h11_impl")(scope, visit.receive, visit.send)
    assert visit.reply.hit
    assert ("endpoint" in scope) is added


async def test_one_that_comes_later_is_told_from_the_next_request_on_that_is_no_hit() -> None:
    """A second server's application, say, around the same cache."""
    async with caching(starlette()) as cache:
        for target in ("/1.5", "/1.5", "/2.5"):
            await server(cache.middleware, "uvicorn.main")(
                scope_of("GET", target), Visit().receive, Visit().send
            )
        layer = cache.client.app = Around(cache.middleware)
        await cache.get("/3.5")
        await cache.get("/1.5")
    assert [told[0] for told in layer.found] == [shown, shown]


async def test_a_warm_up_does_not_look() -> None:
    """What it asks for is asked as by a server."""
    async with caching(starlette()) as cache:
        report = await cache.manager.warm(["/1.5"], base_url="http://example.org")
        for target in ("/1.5", "/2.5", "/2.5"):
            scope, visit = scope_of("GET", target), Visit()
            await server(cache.middleware, "uvicorn.main")(scope, visit.receive, visit.send)
            assert visit.reply.hit is (target == "/1.5" or "endpoint" not in scope)
    assert report.stored == 1
    assert "endpoint" not in scope


async def test_an_application_without_routes_that_can_be_read_has_nothing_told() -> None:
    """What a run would leave is not known."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("x")(scope, receive, send)

    async with caching(app) as cache:
        for _ in range(3):
            scope, visit = scope_of("GET", "/x"), Visit()
            await cache.middleware(scope, visit.receive, visit.send)
        assert visit.reply.hit
        assert "endpoint" not in scope
