"""Endpoints whose annotations are texts, as `from __future__ import annotations` makes them."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates

from .office import status


class Item(BaseModel):
    """An item."""

    sku: str


def user() -> str:
    """Who asks."""
    return "one"


async def test_texts_mean_what_they_say() -> None:
    """Dependencies, bodies and templates over both are found."""
    app, price = FastAPI(title="Annotations"), [1]

    @app.get("/items/{sku}")
    @cached(60, guarded=True, vary_by="{name}", tags=["sku:{sku}", "of:{name}"])
    async def item(sku: str, name: Annotated[str, Depends(user)]) -> dict[str, Any]:
        return {"sku": sku, "name": name, "price": price[0]}

    @app.put("/items")
    @invalidates(tags=["sku:{item.sku}"])
    async def change(item: Item) -> None:
        price[0] += 1

    @app.put("/mine")
    @invalidates(tags=["of:{name}"])
    def mine(name: Annotated[str, Depends(user)]) -> None:
        price[0] += 1

    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        for change_by in ({"url": "/items", "json": {"sku": "a"}}, {"url": "/mine"}):
            assert "stored" in status(await client.get("/items/a?name=other"))
            assert "hit" in status(await client.get("/items/a?name=other"))
            assert (await client.put(**change_by)).status_code == 200  # type: ignore[arg-type]

        assert (await client.get("/items/a?name=other")).json()["price"] == 3
