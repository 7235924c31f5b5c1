"""The catalogue as a FastAPI application."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response

from asgi_multitier import no_cache

from . import caching, site
from .catalogue import Draft, Page, Price, Product, Sales, Stock
from .offers import FIELD, Offer
from .queries import ListQuery, PriceChange, SearchQuery
from .settings import Settings
from .source import SlowSource
from .state import State, state_of

router = APIRouter()
Source = Annotated[SlowSource, Depends(site.source_of)]


def create_app(settings: Settings) -> FastAPI:
    """The application of one instance."""
    cache = site.make_cache(settings)
    app = FastAPI(title="Catalogue", **site.common(settings, cache))
    app.include_router(router)
    site.furnish(app, settings, cache)
    return app


@router.get("/products")
@caching.PRODUCTS
async def products(query: Annotated[ListQuery, Query()], source: Source) -> Page:
    """One page of a category, or of all products."""
    return await source.products(query.category, query.page)


@router.get("/products/{product_id:int}")
@caching.PRODUCT
async def product(product_id: int, source: Source) -> Product:
    """One product in full."""
    return await source.product(product_id)


@router.get("/products/{product_id:int}/price")
@caching.PRICE
async def price(product_id: int, source: Source) -> Price:
    """The current price of a product."""
    return await source.price(product_id)


@router.get("/products/{product_id:int}/offer")
@caching.OFFER
async def offer(product_id: int, source: Source, request: Request) -> Offer:
    """The price in the customer's currency."""
    # As a parameter, `Annotated[str, Header()]`, the cache would see it and refuse to start.
    return await source.offer(product_id, request.headers.get(FIELD))


@router.get("/products/{product_id:int}/offer/repaired")
@caching.OFFER_REPAIRED
async def offer_repaired(product_id: int, source: Source, request: Request) -> Offer:
    """The same, with an annotation that says what it depends on."""
    return await source.offer(product_id, request.headers.get(FIELD))


@router.get("/search")
@caching.SEARCH
async def search(query: Annotated[SearchQuery, Query()], source: Source) -> Page:
    """One page of the products whose name contains `q`."""
    return await source.search(query.q, query.sort, query.page)


@router.get("/categories")
@caching.CATEGORIES
async def categories(source: Source) -> list[str]:
    """The names of the categories."""
    return await source.categories()


@router.get("/reports/sales")
@caching.SALES
async def sales(source: Source) -> list[Sales]:
    """The totals of each category: slow."""
    return await source.sales()


@router.get("/reports/stock")
@caching.STOCK
async def stock(source: Source) -> Stock:
    """All stock: `?burst=` makes it another response, which is not cached yet."""
    return await source.stock()


@router.get("/reports/stock/each")
@caching.STOCK_EACH
async def stock_each(source: Source) -> Stock:
    """The same without coalescing: each request that finds nothing runs it."""
    return await source.stock()


@router.get("/trending")
@caching.TRENDING
async def trending(source: Source) -> list[Product]:
    """The products edited most often; up to 30 s old, on purpose."""
    return await source.trending()


@router.post("/products", status_code=201)
@caching.CREATE
async def create(draft: Draft, source: Source) -> Product:
    """Add a product."""
    return await source.create(draft)


@router.put("/products/{product_id:int}")
@caching.EDIT
async def update(product_id: int, draft: Draft, source: Source) -> Product:
    """Replace the editable fields of a product."""
    return await source.update(product_id, draft)


@router.put("/products/{product_id:int}/price")
@caching.EDIT
async def change_price(product_id: int, change: PriceChange, source: Source) -> Product:
    """Replace the price of a product."""
    return await source.change_price(product_id, change.price_cents)


@router.delete("/products/{product_id:int}")
@caching.EDIT
async def delete(product_id: int, source: Source) -> Product:
    """Remove a product."""
    return await source.delete(product_id)


@router.post("/cache/clear", status_code=204)
async def clear_cache(request: Request) -> Response:
    """Drop everything in every tier of every instance."""
    return await site.clear_cache(request)


@router.get("/instance")
@no_cache
async def instance(request: Request) -> State:
    """What this instance tells of itself."""
    return state_of(request)


@router.get("/report")
@no_cache
async def report(request: Request) -> Response:
    """What shadow has found."""
    return await site.report(request)


@router.get("/", include_in_schema=False)
async def welcome(request: Request) -> Response:
    """Where to look."""
    return site.welcome(request)
