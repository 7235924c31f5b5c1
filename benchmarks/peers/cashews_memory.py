"""cashews: endpoints as cached functions, in memory, with its lock against stampedes."""

from typing import Any

from cashews import cache
from fastapi import FastAPI

from .. import origin
from .routes import with_runs

cache.setup("mem://?size=100000")


def app() -> FastAPI:
    """The application."""
    app = FastAPI()
    with_runs(app)

    @app.get("/items/{item_id}")
    @cache(ttl="3h", key="item:{item_id}")
    async def item(item_id: int) -> dict[str, Any]:
        return origin.item(item_id)

    @app.get("/slow/{item_id}")
    @cache(ttl="3h", key="slow:{item_id}", lock=True)
    async def slow(item_id: int) -> dict[str, Any]:
        return await origin.slow(item_id)

    @app.get("/books/{book_id}")
    @cache(ttl="3h", key="book:{book_id}", lock=True)
    async def book(book_id: int) -> dict[str, Any]:
        return await origin.book(book_id)

    @app.put("/books/{book_id}")
    @cache.invalidate("book:{book_id}")
    async def edit(book_id: int) -> dict[str, Any]:
        return origin.edit(book_id)

    return app
