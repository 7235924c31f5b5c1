"""fast-cache-middleware: a middleware, in memory, with paths that an edit drops."""

from typing import Any

from fast_cache_middleware import CacheConfig, CacheDropConfig, FastCacheMiddleware
from fastapi import FastAPI

from .. import origin
from .routes import with_runs


def app() -> FastAPI:
    """The application."""
    app = FastAPI()
    app.add_middleware(FastCacheMiddleware)
    with_runs(app)

    @app.get("/items/{item_id}", dependencies=[CacheConfig(max_age=10_800)])
    async def item(item_id: int) -> dict[str, Any]:
        return origin.item(item_id)

    @app.get("/slow/{item_id}", dependencies=[CacheConfig(max_age=10_800)])
    async def slow(item_id: int) -> dict[str, Any]:
        return await origin.slow(item_id)

    @app.get("/books/{book_id}", dependencies=[CacheConfig(max_age=10_800)])
    async def book(book_id: int) -> dict[str, Any]:
        return await origin.book(book_id)

    # It drops by constant patterns: all books, as none can name the one that was edited.
    @app.put("/books/{book_id}", dependencies=[CacheDropConfig(paths=["/books/"])])
    async def edit(book_id: int) -> dict[str, Any]:
        return origin.edit(book_id)

    return app
