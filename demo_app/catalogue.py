"""The products: a small SQLite database that several instances share.

Every edit increments the product's version, so that a stale response can be recognised.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from .assortment import assortment

PAGE_SIZE = 20

Sort: TypeAlias = Literal["name", "price", "stock"]

_ORDER: dict[Sort, str] = {"name": "name, id", "price": "price_cents, id", "stock": "stock, id"}


class Draft(BaseModel):
    """The editable fields of a product."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    category: str = Field(min_length=1, max_length=40)
    price_cents: int = Field(ge=0, le=100_000_000)
    stock: int = Field(ge=0, le=1_000_000)


class Product(Draft):
    """A product in the catalogue. `version` starts at 1 and increases with every edit."""

    id: int
    version: int


class Page(BaseModel):
    """One page of products; `page` counts from 1, `total` counts products."""

    items: list[Product]
    page: int
    pages: int
    total: int


class Price(BaseModel):
    """The current price of a product."""

    id: int
    price_cents: int
    version: int


class Sales(BaseModel):
    """One line of the sales report: the totals of a category."""

    category: str
    products: int
    units: int
    value_cents: int


class Stock(BaseModel):
    """How many things there are of all products together."""

    units: int


class UnknownProductError(LookupError):
    """There is no product with this number."""

    def __init__(self, product_id: int) -> None:
        super().__init__(f"no product {product_id}")


class Catalogue:
    """The products of one database.

    Safe to call from several threads and several processes. It is fast; `source` adds the delays.

    Args:
        database: The file, created and filled if it is new. In memory by default.
    """

    def __init__(self, database: str = ":memory:") -> None:
        self._lock = threading.Lock()
        # Manual transactions: a single statement needs none; `_transaction` groups several.
        self._db = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._fill_once()

    def close(self) -> None:
        """Close the database. May be called twice."""
        with self._lock:
            self._db.close()

    def search(
        self,
        *,
        text: str = "",
        category: str | None = None,
        sort: Sort = "name",
        page: int = 1,
    ) -> Page:
        """One page of the products whose name contains `text`, of one category or of all."""
        where = "instr(lower(name), lower(?)) AND (? IS NULL OR category = ?)"
        values = (text, category, category)
        with self._transaction():
            [(total,)] = self._db.execute(f"SELECT count(*) FROM product WHERE {where}", values)
            rows = self._db.execute(
                f"SELECT * FROM product WHERE {where} ORDER BY {_ORDER[sort]} LIMIT ? OFFSET ?",
                (*values, PAGE_SIZE, (page - 1) * PAGE_SIZE),
            ).fetchall()
        items = [_product(row) for row in rows]
        return Page(items=items, page=page, pages=max(1, -(-total // PAGE_SIZE)), total=total)

    def product(self, product_id: int) -> Product:
        """The product.

        Raises:
            UnknownProductError: If there is none with this number.
        """
        return self._one("SELECT * FROM product WHERE id = ?", product_id, product_id)

    def create(self, draft: Draft) -> Product:
        """Add a product, as version 1."""
        return self._one(
            "INSERT INTO product (name, category, price_cents, stock) VALUES (?, ?, ?, ?)"
            " RETURNING *",
            0,
            *_fields(draft),
        )

    def update(self, product_id: int, draft: Draft) -> Product:
        """Replace the editable fields of a product and increment its version.

        Raises:
            UnknownProductError: If there is none with this number.
        """
        return self._one(
            "UPDATE product SET name = ?, category = ?, price_cents = ?, stock = ?,"
            " version = version + 1 WHERE id = ? RETURNING *",
            product_id,
            *_fields(draft),
            product_id,
        )

    def change_price(self, product_id: int, cents: int) -> Product:
        """Replace the price of a product and increment its version.

        Raises:
            UnknownProductError: If there is none with this number.
        """
        return self._one(
            "UPDATE product SET price_cents = ?, version = version + 1 WHERE id = ? RETURNING *",
            product_id,
            cents,
            product_id,
        )

    def delete(self, product_id: int) -> Product:
        """Remove a product and return it. Its number is never used again.

        Raises:
            UnknownProductError: If there is none with this number.
        """
        return self._one("DELETE FROM product WHERE id = ? RETURNING *", product_id, product_id)

    def categories(self) -> list[str]:
        """The names of the categories, sorted."""
        rows = self._all("SELECT DISTINCT category FROM product ORDER BY category")
        return [row["category"] for row in rows]

    def sales(self) -> list[Sales]:
        """The totals of each category, sorted by category."""
        rows = self._all(
            "SELECT category, count(*) AS products, sum(stock) AS units,"
            " sum(stock * price_cents) AS value_cents FROM product"
            " GROUP BY category ORDER BY category"
        )
        return [Sales(**row) for row in rows]

    def stock(self) -> Stock:
        """How many things there are of all products together."""
        [row] = self._all("SELECT sum(stock) AS units FROM product")
        return Stock(units=row["units"])

    def trending(self) -> list[Product]:
        """The five products edited most often."""
        rows = self._all("SELECT * FROM product ORDER BY version DESC, id LIMIT 5")
        return [_product(row) for row in rows]

    def _one(self, statement: str, product_id: int, *values: object) -> Product:
        rows = self._all(statement, *values)
        if not rows:
            raise UnknownProductError(product_id)
        return _product(rows[0])

    def _all(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"] = "DEFERRED") -> Iterator[None]:
        """Run the statements of the block as one transaction."""
        with self._lock:
            self._db.execute(f"BEGIN {kind}")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _fill_once(self) -> None:
        """Create and fill the table, unless another instance has done so."""
        with self._transaction("IMMEDIATE"):
            [(filled,)] = self._db.execute("PRAGMA user_version")
            if filled:
                return
            self._db.execute(
                "CREATE TABLE product (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
                " category TEXT NOT NULL, price_cents INTEGER NOT NULL, stock INTEGER NOT NULL,"
                " version INTEGER NOT NULL DEFAULT 1)"
            )
            self._db.executemany(
                "INSERT INTO product (name, category, price_cents, stock) VALUES (?, ?, ?, ?)",
                assortment(),
            )
            self._db.execute("PRAGMA user_version = 1")


def _fields(draft: Draft) -> tuple[str, str, int, int]:
    return draft.name, draft.category, draft.price_cents, draft.stock


def _product(row: sqlite3.Row) -> Product:
    return Product(**row)
