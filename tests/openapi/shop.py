"""A FastAPI application with cached operations and changes of them."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.security import APIKeyHeader
from pydantic import BaseModel

from asgi_multitier import CacheMiddleware, cached, invalidates, no_cache


class Product(BaseModel):
    """What a shop sells."""

    id: int
    name: str


def secret_tags(request: Request) -> list[str]:
    """Tags that only code knows."""
    return [f"shelf:{request.path_params['id']}"]


def secret_tenant(request: Request) -> str:
    """Whose response it is."""
    return str(request.headers.get("x-tenant", ""))


async def user(key: Annotated[str, Depends(APIKeyHeader(name="x-key"))]) -> str:
    """Who asks."""
    return key


def shop(title: str = "Shop") -> FastAPI:
    """The application, without a cache."""
    app = FastAPI(title=title)

    @app.get("/products/{id}")
    @cached(300, tags=["product:{id}", secret_tags], vary="accept-language", client_cache=5)
    def product(id: int) -> Product:  # noqa: A002
        return Product(id=id, name="a")

    @app.put("/products/{id}", status_code=201)
    @invalidates(tags=["product:{id}"], routes=[products, "report"], paths=["/stock/{id}"])
    def change(id: int, product: Product) -> Product:  # noqa: A002
        return product

    @app.delete("/products/{id}", include_in_schema=False)
    @invalidates(tags=["product:{id}"])
    def discard(id: int) -> None: ...  # noqa: A002

    app.get("/products")(products)

    @app.get("/mine")
    @cached(2.5, vary_by=secret_tenant, cookies=["basket"], query=[])
    def mine() -> list[Product]:
        return []

    @app.get("/orders")
    @cached(60, guarded=True, vary_by="{who}")
    def orders(who: Annotated[str, Depends(user)]) -> list[Product]:
        return []

    @app.post("/search")
    @cached(60, methods=["POST"], body="json")
    def search(words: list[str]) -> list[Product]:
        return []

    @app.get("/report", include_in_schema=False)
    @cached(60)
    def report() -> str:
        return "secret"

    @app.get("/never")
    @no_cache
    def never() -> str:
        return ""

    @app.post("/purge")
    @invalidates(patterns=lambda request: "/products*", settle=1)
    def purge() -> None: ...

    return app


@cached(600, tags=["products"])
def products(page: int = 1) -> list[Product]:
    """All products, in pages."""
    return []


def covered(**options: Any) -> FastAPI:
    """The application with a cache that makes its manager by itself."""
    app = shop()
    app.add_middleware(CacheMiddleware, **options)
    return app


def operation(document: Mapping[str, Any], method: str, path: str) -> dict[str, Any]:
    """One operation of a document."""
    found: dict[str, Any] = document["paths"][path][method.lower()]
    return found
