"""What a change drops is said by the endpoint that had it, however the router came to it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from asgi_multitier import cached, invalidates
from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from tests.support import Client, caching


class Localised(BaseHTTPMiddleware):
    """`/en/items` is `/items` for the router."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.scope["path"] = request.scope["path"].removeprefix("/en")
        return await call_next(request)


class Rewriting:
    """The same without a framework, in the scope that it was given."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = re.sub("^/en", "", scope["path"])
        await self.app(scope, receive, send)


class Versioned(APIRoute):
    """Takes a request by a field of it as well, which no table can foretell."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        if (b"x-version", b"2") not in scope["headers"]:
            return Match.NONE, {}
        return super().matches(scope)


def shop() -> FastAPI:
    app, stock = FastAPI(), {"1": 5}

    @app.get("/items/{item_id}")
    @cached(60, tags=["item:{item_id}"])
    async def item(item_id: str) -> int:
        return stock[item_id]

    async def restock(item_id: str) -> None:
        stock[item_id] += 1

    app.put("/items/{item_id}")(invalidates(tags=["item:{item_id}"])(restock))
    return app


@pytest.mark.parametrize("layer", [Localised, Rewriting])
async def test_a_layer_inside_gives_the_router_another_path(layer: Callable[..., Any]) -> None:
    """The endpoint that is reached drops what it names, by its own path parameters."""
    async with caching(layer(shop()), ()) as cache:
        before = [await cache.get("/items/1") for _ in range(2)]
        await cache.client.request("PUT", "/en/items/1")
        after = await cache.get("/items/1")

        assert before[1].hit
        assert (after.hit, after.body) == (False, b"6")


async def test_an_endpoint_that_cannot_be_seen_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A layer gives the router a scope of its own; followed to the letter, the line helps."""
    app = shop()

    def copying(inner: ASGIApp) -> ASGIApp:
        async def layer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scope = {**scope, "path": scope["path"].removeprefix("/en")}
            await inner(scope, receive, send)

        layer.app = inner  # type: ignore[attr-defined]
        return layer

    async with caching(copying(app), ()) as cache:
        await cache.client.request("PUT", "/items/1")
        await cache.client.request("PUT", "/nowhere")
        silent = list(caplog.messages)
        for _ in range(3):
            await cache.client.request("PUT", "/en/items/1")

        assert silent == []
        assert len(caplog.messages) == 1
        assert "put that layer around the cache" in caplog.text
    async with caching(app, ()) as cache:
        outside = Client(copying(cache.middleware))
        before = [await outside.get("/en/items/1") for _ in range(2)]
        await outside.request("PUT", "/en/items/1")

        assert before[1].hit
        assert not (await outside.get("/en/items/1")).hit


async def test_a_route_with_code_of_its_own_drops_what_it_names() -> None:
    """Which requests it takes is not known before, so it is asked afterwards."""
    app, stock = shop(), {"1": 0}

    @invalidates(tags=["item:{item_id}"])
    async def restock(item_id: str) -> None:
        stock[item_id] += 1

    app.router.add_api_route(
        "/second/{item_id}", restock, methods=["PUT"], route_class_override=Versioned
    )
    async with caching(app, ()) as cache:
        before = [await cache.get("/items/1") for _ in range(2)]
        await cache.client.request("PUT", "/second/1", [("x-version", "2")])
        after = await cache.get("/items/1")

        assert (before[1].hit, after.hit, stock) == (True, False, {"1": 1})


async def test_the_time_to_settle_is_that_of_the_endpoint() -> None:
    """What it drops is not stored for so long, whatever was expected."""
    app = shop()

    @app.put("/slow/{item_id}")
    @invalidates(tags=["item:{item_id}"], settle=3600)
    async def slow(item_id: str) -> None: ...

    async with caching(Rewriting(app), ()) as cache:
        await cache.client.request("PUT", "/en/slow/1")
        within = [await cache.get("/items/1") for _ in range(3)]

        assert [visit.hit for visit in within] == [False, False, False]
