"""The catalogue as a Starlette application: the same routes, without FastAPI."""

from collections.abc import Sequence

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_multitier import no_cache

from . import caching, site
from .catalogue import Draft
from .offers import FIELD
from .queries import ListQuery, PriceChange, SearchQuery
from .settings import Settings
from .site import source_of
from .state import state_of


def create_app(settings: Settings) -> Starlette:
    """The application of one instance."""
    cache = site.make_cache(settings)
    app = Starlette(routes=ROUTES, **site.common(settings, cache))
    app.add_exception_handler(ValidationError, _unreadable)
    site.furnish(app, settings, cache)
    return app


@caching.PRODUCTS
async def products(request: Request) -> Response:
    """One page of a category, or of all products."""
    query = ListQuery.model_validate(dict(request.query_params))
    return _json(await source_of(request).products(query.category, query.page))


@caching.PRODUCT
async def product(request: Request) -> Response:
    """One product in full."""
    return _json(await source_of(request).product(_id(request)))


@caching.PRICE
async def price(request: Request) -> Response:
    """The current price of a product."""
    return _json(await source_of(request).price(_id(request)))


@caching.OFFER
async def offer(request: Request) -> Response:
    """The price in the customer's currency."""
    return _json(await source_of(request).offer(_id(request), request.headers.get(FIELD)))


@caching.OFFER_REPAIRED
async def offer_repaired(request: Request) -> Response:
    """The same, with an annotation that says what it depends on."""
    return _json(await source_of(request).offer(_id(request), request.headers.get(FIELD)))


@caching.SEARCH
async def search(request: Request) -> Response:
    """One page of the products whose name contains `q`."""
    query = SearchQuery.model_validate(dict(request.query_params))
    return _json(await source_of(request).search(query.q, query.sort, query.page))


@caching.CATEGORIES
async def categories(request: Request) -> Response:
    """The names of the categories."""
    return JSONResponse(await source_of(request).categories())


@caching.SALES
async def sales(request: Request) -> Response:
    """The totals of each category: slow."""
    return _json(await source_of(request).sales())


@caching.STOCK
async def stock(request: Request) -> Response:
    """All stock: `?burst=` makes it another response, which is not cached yet."""
    return _json(await source_of(request).stock())


@caching.STOCK_EACH
async def stock_each(request: Request) -> Response:
    """The same without coalescing: each request that finds nothing runs it."""
    return _json(await source_of(request).stock())


@caching.TRENDING
async def trending(request: Request) -> Response:
    """The products edited most often; up to 30 s old, on purpose."""
    return _json(await source_of(request).trending())


@caching.CREATE
async def create(request: Request) -> Response:
    """Add a product."""
    draft = Draft.model_validate_json(await request.body())
    return _json(await source_of(request).create(draft), status=201)


@caching.EDIT
async def update(request: Request) -> Response:
    """Replace the editable fields of a product."""
    draft = Draft.model_validate_json(await request.body())
    return _json(await source_of(request).update(_id(request), draft))


@caching.EDIT
async def change_price(request: Request) -> Response:
    """Replace the price of a product."""
    change = PriceChange.model_validate_json(await request.body())
    return _json(await source_of(request).change_price(_id(request), change.price_cents))


@caching.EDIT
async def delete(request: Request) -> Response:
    """Remove a product."""
    return _json(await source_of(request).delete(_id(request)))


@no_cache
async def instance(request: Request) -> Response:
    """What this instance tells of itself."""
    return _json(state_of(request))


@no_cache
async def report(request: Request) -> Response:
    """What shadow has found."""
    return await site.report(request)


async def welcome(request: Request) -> Response:
    """Where to look."""
    return site.welcome(request)


ROUTES = [
    Route("/products", products),
    Route("/products", create, methods=["POST"]),
    Route("/products/{product_id:int}", product),
    Route("/products/{product_id:int}", update, methods=["PUT"]),
    Route("/products/{product_id:int}", delete, methods=["DELETE"]),
    Route("/products/{product_id:int}/price", price),
    Route("/products/{product_id:int}/price", change_price, methods=["PUT"]),
    Route("/products/{product_id:int}/offer", offer),
    Route("/products/{product_id:int}/offer/repaired", offer_repaired),
    Route("/search", search),
    Route("/categories", categories),
    Route("/reports/sales", sales),
    Route("/reports/stock", stock),
    Route("/reports/stock/each", stock_each),
    Route("/trending", trending),
    Route("/cache/clear", site.clear_cache, methods=["POST"]),
    Route("/instance", instance),
    Route("/report", report),
    Route("/", welcome),
]


def _id(request: Request) -> int:
    product_id: int = request.path_params["product_id"]
    return product_id


def _json(answer: BaseModel | Sequence[BaseModel], *, status: int = 200) -> JSONResponse:
    plain = (
        answer.model_dump()
        if isinstance(answer, BaseModel)
        else [item.model_dump() for item in answer]
    )
    return JSONResponse(plain, status_code=status)


async def _unreadable(_: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    return JSONResponse(
        {"detail": error.errors(include_url=False, include_input=False)}, status_code=422
    )
