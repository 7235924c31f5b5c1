"""`@invalidates` over the arguments of an endpoint: before its body, and after it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, cached, invalidates


class Item(BaseModel):
    """An item; the shop may give it its number."""

    sku: str | None = None
    price: int = 1


class Shop:
    """Items by their number, and ways to change them."""

    def __init__(self) -> None:
        self.prices = {"a": 1, "b": 1}
        self.allowed = True
        self.manager = CacheManager(redis_url=None)
        self.app = FastAPI(title="Shop of arguments")
        self._routes(self.app)
        self.app.add_middleware(CacheMiddleware, cache=self.manager)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://shop")

    def _routes(self, app: FastAPI) -> None:
        def guard() -> str:
            if not self.allowed:
                raise HTTPException(403)
            return "b"

        @app.get("/items/{sku}")
        @cached(60, tags=["sku:{sku}"])
        async def item(sku: str) -> int:
            return self.prices[sku]

        @app.post("/by-body")
        @invalidates(tags=["sku:{item.sku}"])
        async def by_body(item: Item) -> None:
            assert item.sku is not None
            self.prices[item.sku] = item.price

        @app.post("/in-thread")
        @invalidates(tags=["sku:{item.sku}"])
        def in_thread(item: Item) -> None:
            assert item.sku is not None
            self.prices[item.sku] = item.price

        @app.post("/named-by-body")
        @invalidates(tags=["sku:{item.sku}"])
        async def named_by_body(item: Item) -> None:
            item.sku = "a"
            self.prices["a"] = item.price

        @app.post("/moved")
        @invalidates(paths=["/items/{item.sku}"])
        async def moved(item: Item) -> None:
            self.prices = {"a": 7, "b": 7}
            item.sku = "b"

        @app.post("/by-dependency")
        @invalidates(tags=["sku:{sku}"])
        async def by_dependency(sku: Annotated[str, Depends(guard)]) -> None:
            self.prices[sku] = 5

        @app.post("/fails")
        @invalidates(tags=["sku:{item.sku}"])
        async def fails(item: Item) -> None:
            self.prices["a"] = 9
            raise RuntimeError("after the change")

        @app.post("/unnamed")
        @invalidates(tags=["sku:{item.sku}"])
        async def unnamed(item: Item) -> None:
            self.prices = {"a": 4, "b": 4}

    async def price(self, sku: str) -> int:
        """What a client sees."""
        return int((await self.client.get(f"/items/{sku}")).json())

    async def post(self, path: str, **body: Any) -> int:
        """One change."""
        return (await self.client.post(path, json=body or None)).status_code


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """A shop whose two items are stored."""
    found = Shop()
    async with found.client:
        await found.price("a")
        await found.price("b")
        yield found
    await found.manager.close()


@pytest.mark.parametrize(
    ("path", "body", "seen"),
    [
        ("/by-body", {"sku": "a", "price": 2}, (2, 1)),
        ("/in-thread", {"sku": "a", "price": 2}, (2, 1)),
        ("/named-by-body", {"price": 3}, (3, 1)),
        ("/moved", {"sku": "a"}, (7, 7)),
        ("/by-dependency", {}, (1, 5)),
        ("/fails", {"sku": "a"}, (9, 1)),
        # What was to be dropped is not known, so everything is.
        ("/unnamed", {}, (4, 4)),
    ],
)
async def test_arguments_say_what_a_change_drops(
    shop: Shop, path: str, body: dict[str, Any], seen: tuple[int, int]
) -> None:
    """By their values before the body and after it."""
    await shop.post(path, **({"price": 1} | body if body or path == "/unnamed" else body))

    assert (await shop.price("a"), await shop.price("b")) == seen


async def test_a_request_that_is_not_let_in_drops_nothing(shop: Shop) -> None:
    """Its endpoint has no arguments then."""
    shop.allowed = False
    shop.prices = {"a": 8, "b": 8}

    assert await shop.post("/by-dependency") == 403
    assert (await shop.price("a"), await shop.price("b")) == (1, 1)


async def test_other_items_stay(shop: Shop) -> None:
    """One tag is dropped, not all of them."""
    shop.prices["b"] = 6
    await shop.post("/by-body", sku="a", price=2)

    assert await shop.price("b") == 1


def test_only_functions_have_arguments_to_name() -> None:
    """A class takes the request."""
    with pytest.raises(ConfigError, match="a callable that takes the request"):

        @invalidates(tags=["sku:{item.sku}"])
        class Items:
            """No function."""


def test_a_template_names_an_argument_of_the_endpoint() -> None:
    """A misspelt one would drop nothing."""
    app = FastAPI(title="Shop of misspelt arguments")

    @app.post("/items")
    @invalidates(tags=["sku:{itm.sku}"])
    async def change(item: Item) -> None:
        return None

    middleware = CacheMiddleware(app, CacheManager(redis_url=None))
    with pytest.raises(ConfigError, match=r"places among \{item"):
        middleware.table.check() if middleware.table.attach({"app": app}) else None
