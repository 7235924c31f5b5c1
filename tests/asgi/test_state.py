"""Where the manager stands in what the application gets, and what is left to the application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from asgi_multitier.fastapi import CacheDep
from tests.asgi.test_lifespan import Lifespan
from tests.support import Client, caching

RULES = (Rule("/cached", 10),)
OWN = "the application's own"
METHODS = ["GET", "POST", "OPTIONS"]


class Seeing:
    """An endpoint that notes what its requests carry."""

    def __init__(self) -> None:
        self.states: list[object] = []
        self.scopes: list[object] = []

    async def page(self, request: Request) -> Response:
        self.states.append(request.state.cache)
        self.scopes.append(request.scope["asgi_multitier"])
        return PlainTextResponse("x")

    def routes(self) -> list[Route]:
        return [Route("/{x}", self.page, methods=METHODS)]


class Putting:
    """A layer that puts something of its own into the state."""

    def __init__(self, app: ASGIApp, value: object = OWN) -> None:
        self.app = app
        self.value = value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["cache"] = self.value
        await self.app(scope, receive, send)


async def ask_all(client: Client) -> None:
    """Every way into the application: a miss, one beside the cache, a change, another method."""
    await client.get("/cached")
    await client.get("/not")
    await client.request("POST", "/cached")
    await client.request("OPTIONS", "/cached")


async def test_the_manager_stands_in_state_and_scope() -> None:
    """On every kind of request."""
    seeing = Seeing()
    async with caching(Starlette(routes=seeing.routes()), RULES) as cache:
        await ask_all(cache.client)

        assert seeing.states == seeing.scopes == [cache.manager] * 4


@pytest.mark.parametrize("value", [OWN, None])
async def test_what_a_layer_outside_has_put_there_stays(value: object) -> None:
    """Even None; the manager is in the scope all the same."""
    seeing = Seeing()
    async with caching(Starlette(routes=seeing.routes()), RULES) as cache:
        await ask_all(Client(Putting(cache.middleware, value)))

        assert seeing.states == [value] * 4
        assert seeing.scopes == [cache.manager] * 4


async def test_what_the_applications_lifespan_has_put_there_stays() -> None:
    """Each request's state begins as a copy of the lifespan's."""
    seeing = Seeing()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"cache": OWN}

    manager = CacheManager(redis_url=None)
    middleware = [Middleware(CacheMiddleware, cache=manager, rules=RULES)]
    app = Starlette(routes=seeing.routes(), middleware=middleware, lifespan=lifespan)
    async with Lifespan(app) as running:
        client = Client(app)
        await client.get("/cached", state=dict(running.state))
        await client.request("POST", "/not", state=dict(running.state))

    assert seeing.states == [OWN] * 2
    assert seeing.scopes == [manager] * 2


async def test_a_state_that_a_server_has_filled_stays_in_the_lifespan() -> None:
    """Nothing of somebody else's is replaced there either."""
    app = CacheMiddleware(Starlette(), CacheManager(redis_url=None))
    state: dict[str, object] = {"cache": OWN}

    async def receive() -> Any:
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None: ...

    await app({"type": "lifespan", "state": state}, receive, send)

    assert state == {"cache": OWN}


async def test_within_two_caches_the_inner_one_counts() -> None:
    """A cache around another has put its manager there, which is nobody's own."""
    inner, outer = Seeing(), Seeing()
    manager = CacheManager(redis_url=None)
    mounted = CacheMiddleware(Starlette(routes=inner.routes()), manager, rules=RULES)
    app = Starlette(routes=[Mount("/m", mounted), *outer.routes()])
    async with manager, caching(app, RULES) as cache:
        await cache.get("/m/cached")
        await cache.get("/not")

        assert inner.states == inner.scopes == [manager]
        assert outer.states == outer.scopes == [cache.manager]


async def test_the_dependency_gives_the_manager_whatever_the_state_has() -> None:
    """A layer inside of the cache replaces the state's, and not what `CacheDep` reads."""
    seen = []
    app = FastAPI()

    @app.get("/x")
    async def page(request: Request, cache: CacheDep) -> None:
        seen.append((request.state.cache, cache))

    async with CacheManager(redis_url=None) as manager:
        for layers in (
            Putting(CacheMiddleware(app, manager)),
            CacheMiddleware(Putting(app), manager),
        ):
            transport = httpx.ASGITransport(layers)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                assert (await client.get("/x")).status_code == 200

        assert seen == [(OWN, manager)] * 2
