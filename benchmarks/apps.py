"""The compared applications: same content and server, with and without cache.

uvicorn runs them as `benchmarks.apps:NAME`. `BENCH_REDIS_URL` is the address of the shared tier.
"""

import os
from typing import Any

from fastapi import FastAPI

from asgi_multitier import (
    CacheManager,
    CacheMiddleware,
    CacheStrategy,
    NullLocalTier,
    cached,
    invalidates,
)

from . import origin
from .origin import BODY, HEADERS


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The minimal ASGI application: two messages."""
    if scope["type"] != "http":
        await _lifespan(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _routes() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item_id}")
    @cached(CacheStrategy.LONG_TERM, tags=["item:{item_id}"])
    async def item(item_id: int) -> dict[str, Any]:
        return origin.item(item_id)

    @app.get("/public/{item_id}")
    @cached(CacheStrategy.LONG_TERM, tags=["item:{item_id}"], public=True)
    async def public(item_id: int) -> dict[str, Any]:
        return origin.item(item_id)

    @app.get("/languages/{item_id}")
    @cached(CacheStrategy.LONG_TERM, tags=["item:{item_id}"], vary=["accept-language"])
    async def language(item_id: int) -> dict[str, Any]:
        return origin.item(item_id)

    @app.get("/slow/{item_id}")
    @cached(CacheStrategy.LONG_TERM)
    async def slow(item_id: int) -> dict[str, Any]:
        return await origin.slow(item_id)

    @app.get("/books/{book_id}")
    @cached(CacheStrategy.LONG_TERM, tags=["book:{book_id}"])
    async def book(book_id: int) -> dict[str, Any]:
        return await origin.book(book_id)

    @app.put("/books/{book_id}")
    @invalidates(tags=["book:{book_id}"])
    async def edit(book_id: int) -> dict[str, Any]:
        return origin.edit(book_id)

    @app.get("/runs")
    async def runs() -> dict[str, int]:
        return origin.RUNS

    @app.get("/versions/{item_id}")
    @cached(CacheStrategy.LONG_TERM, tags=["version:{item_id}"])
    async def version(item_id: int) -> dict[str, int]:
        return {"version": _read_version()}

    @app.put("/versions/{item_id}")
    @invalidates(tags=["version:{item_id}"])
    async def bump(item_id: int) -> dict[str, int]:
        return {"version": _write_version(_read_version() + 1)}

    return app


def _read_version() -> int:
    with open(os.environ["BENCH_VERSION_FILE"]) as file:
        return int(file.read() or 0)


def _write_version(number: int) -> int:
    with open(os.environ["BENCH_VERSION_FILE"], "w") as file:
        file.write(str(number))
    return number


def uncached() -> FastAPI:
    """The route as FastAPI serves it."""
    return _routes()


def l1() -> CacheMiddleware:
    """The same route behind the cache, answered from memory."""
    return CacheMiddleware(_routes(), CacheManager(redis_url=None))


def added() -> FastAPI:
    """As `l1`, but added by `add_middleware`, inside FastAPI's own middleware."""
    app = _routes()
    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None))
    return app


def l2() -> CacheMiddleware:
    """The same route, every request answered from the shared tier."""
    manager = CacheManager(NullLocalTier(), redis_url=os.environ["BENCH_REDIS_URL"])
    return CacheMiddleware(_routes(), manager)


def both() -> FastAPI:
    """The same route behind both tiers, as in production."""
    app = _routes()
    manager = CacheManager(redis_url=os.environ["BENCH_REDIS_URL"], namespace="bench")
    app.add_middleware(CacheMiddleware, cache=manager)
    return app
