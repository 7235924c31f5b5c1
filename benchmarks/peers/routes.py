"""The routes, for caches that stand around an application."""

from typing import Any

from fastapi import FastAPI

from .. import origin


def routes(**responses: Any) -> FastAPI:
    """An application without a cache; `responses` goes to each of its cached routes."""
    app = FastAPI()
    with_runs(app)

    @app.get("/items/{item_id}", **responses)
    async def item(item_id: int) -> dict[str, Any]:
        return origin.item(item_id)

    @app.get("/slow/{item_id}", **responses)
    async def slow(item_id: int) -> dict[str, Any]:
        return await origin.slow(item_id)

    @app.get("/books/{book_id}", **responses)
    async def book(book_id: int) -> dict[str, Any]:
        return await origin.book(book_id)

    @app.put("/books/{book_id}")
    async def edit(book_id: int) -> dict[str, Any]:
        return origin.edit(book_id)

    return app


def with_runs(app: FastAPI) -> None:
    """Add the route that says how often the others have run."""

    @app.get("/runs")
    async def runs() -> dict[str, int]:
        return origin.RUNS
