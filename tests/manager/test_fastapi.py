"""The manager in a FastAPI handler: as a dependency, in the request's state, sync and async."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError
from asgi_multitier.fastapi import CacheDep


def application() -> FastAPI:
    """Handlers of every kind that use the cache by hand."""
    app = FastAPI()

    @app.get("/async")
    async def by_await(cache: CacheDep) -> int:
        return await cache.get_or_compute("k", lambda: 1)

    @app.get("/sync")
    def by_thread(cache: CacheDep) -> int:
        return cache.sync.get_or_compute("k", lambda: 2)

    @app.get("/state")
    async def by_state(request: Request, cache: CacheDep) -> bool:
        return request.state.cache is cache

    @app.websocket("/socket")
    async def by_socket(socket: WebSocket, cache: CacheDep) -> None:
        await socket.accept()
        await socket.send_json(await cache.get("k"))
        await socket.close()

    return app


async def test_handlers_get_the_manager() -> None:
    """One cache for async and sync handlers, and the one in `request.state`."""
    app = application()
    async with CacheManager(redis_url=None) as cache:
        transport = httpx.ASGITransport(CacheMiddleware(app, cache))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = [(await client.get(path)).json() for path in ("/async", "/sync", "/state")]

        assert answers == [1, 1, True]


async def test_websockets_get_it_too() -> None:
    """Whatever has a connection."""
    async with CacheManager(redis_url=None) as cache:
        await cache.set("k", 1)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "websocket",
            "path": "/socket",
            "raw_path": b"/socket",
            "query_string": b"",
            "headers": [],
            "subprotocols": [],
        }
        await CacheMiddleware(application(), cache)(scope, receive, send)

        assert sent[1]["text"] == "1"


async def test_without_the_middleware_it_says_so() -> None:
    """Rather than that an attribute is missing."""
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(ConfigError, match="no CacheMiddleware"):
            await client.get("/async")
