"""The slow source in front of the catalogue: the calls that a cache saves.

Each query reads the catalogue *first* and returns its result *later*, as a long query returns a
snapshot. This is the harder case for a cache: an edit may be committed before an older result is
returned, and that result must not be stored.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal, ParamSpec, TypeAlias, TypeVar, get_args

from .catalogue import Catalogue, Draft, Page, Price, Product, Sales, Sort, Stock
from .offers import Offer, offer

P = ParamSpec("P")
T = TypeVar("T")

Question: TypeAlias = Literal[
    "products", "product", "search", "price", "offer", "categories", "sales", "stock", "trending"
]

DELAYS: dict[Question, float] = {
    "products": 0.200,
    "product": 0.150,
    "search": 0.300,
    "price": 0.050,
    "offer": 0.050,
    "categories": 0.100,
    "sales": 0.800,
    "stock": 1.000,
    "trending": 0.250,
}
"""Seconds that each query takes."""


class SlowSource:
    """Answers queries slowly, and counts them. Edits are fast and are not counted.

    Args:
        catalogue: The data.
        sleep: The function that waits; tests pass their own.

    Attributes:
        calls: Number of calls of each query since the process started.
    """

    calls: Counter[Question]

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._catalogue = catalogue
        self._sleep = sleep
        self.calls = Counter(dict.fromkeys(get_args(Question), 0))

    async def products(self, category: str | None, page: int) -> Page:
        """One page of a category, or of all products."""
        return await self._ask("products", self._catalogue.search, category=category, page=page)

    async def product(self, product_id: int) -> Product:
        """One product in full."""
        return await self._ask("product", self._catalogue.product, product_id)

    async def search(self, text: str, sort: Sort, page: int) -> Page:
        """One page of the products whose name contains the text."""
        return await self._ask("search", self._catalogue.search, text=text, sort=sort, page=page)

    async def price(self, product_id: int) -> Price:
        """The current price of a product."""
        product = await self._ask("price", self._catalogue.product, product_id)
        return Price(id=product.id, price_cents=product.price_cents, version=product.version)

    async def offer(self, product_id: int, currency: str | None) -> Offer:
        """The price of a product in a customer's currency."""
        return offer(await self._ask("offer", self._catalogue.product, product_id), currency)

    async def categories(self) -> list[str]:
        """The names of the categories."""
        return await self._ask("categories", self._catalogue.categories)

    async def sales(self) -> list[Sales]:
        """The sales report."""
        return await self._ask("sales", self._catalogue.sales)

    async def stock(self) -> Stock:
        """How many things there are of all products together."""
        return await self._ask("stock", self._catalogue.stock)

    async def trending(self) -> list[Product]:
        """The products edited most often."""
        return await self._ask("trending", self._catalogue.trending)

    async def create(self, draft: Draft) -> Product:
        """Add a product."""
        return await asyncio.to_thread(self._catalogue.create, draft)

    async def update(self, product_id: int, draft: Draft) -> Product:
        """Replace the editable fields of a product."""
        return await asyncio.to_thread(self._catalogue.update, product_id, draft)

    async def change_price(self, product_id: int, cents: int) -> Product:
        """Change the price of a product and nothing else."""
        return await asyncio.to_thread(self._catalogue.change_price, product_id, cents)

    async def delete(self, product_id: int) -> Product:
        """Remove a product."""
        return await asyncio.to_thread(self._catalogue.delete, product_id)

    def close(self) -> None:
        """Close the catalogue."""
        self._catalogue.close()

    async def _ask(
        self, question: Question, answer: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self.calls[question] += 1
        result = await asyncio.to_thread(answer, *args, **kwargs)
        await self._sleep(DELAYS[question])
        return result
