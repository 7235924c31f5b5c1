"""fastapi-cache2: endpoints as cached functions, in memory, with names for what an edit drops."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.decorator import cache

from .. import origin
from .routes import with_runs


def _key(function: Any, namespace: str, *, request: Request, **rest: Any) -> str:
    return f"{namespace}:{request.url.path}"


def app() -> FastAPI:
    """The application."""
    FastAPICache.init(InMemoryBackend(), key_builder=_key)
    app = FastAPI()
    with_runs(app)

    @app.get("/items/{item_id}")
    @cache(expire=10_800)
    async def item(item_id: int) -> dict[str, Any]:
        return origin.item(item_id)

    @app.get("/slow/{item_id}")
    @cache(expire=10_800)
    async def slow(item_id: int) -> dict[str, Any]:
        return await origin.slow(item_id)

    @app.get("/books/{book_id}")
    @cache(expire=10_800, namespace="books")
    async def book(book_id: int) -> dict[str, Any]:
        return await origin.book(book_id)

    @app.put("/books/{book_id}")
    async def edit(book_id: int) -> dict[str, Any]:
        edited = origin.edit(book_id)
        await FastAPICache.clear(namespace=f"books:/books/{book_id}")
        return edited

    return app
