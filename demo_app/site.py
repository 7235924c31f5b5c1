"""What both applications share: the layers around them, and routes that are no part of a shop."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from asgi_multitier import CacheManager, CacheMiddleware

from . import offers
from .catalogue import Catalogue, UnknownProductError
from .one_site import OneSite
from .server_timing import ServerTiming
from .settings import Settings
from .source import SlowSource

NAMESPACE = "demo"
"""Set explicitly, because two different applications share one cache."""

WELCOME = """Instance {name} of the demo of asgi-multitier. Ask it twice, and compare the fields:

  curl -i {here}products/7

Its cache is at {here}_cache/, what it counts at {here}metrics/.
"""


class Common(TypedDict):
    """Constructor arguments that both frameworks accept."""

    middleware: Sequence[Middleware]
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]]


def make_cache(settings: Settings) -> CacheManager:
    """The cache of one instance."""
    return CacheManager(redis_url=settings.redis_url, namespace=NAMESPACE)


def common(settings: Settings, cache: CacheManager) -> Common:
    """The constructor arguments of both applications."""
    return {
        # Outermost first. What stands outside the cache adds fields that are for one client, and
        # must not be stored.
        "middleware": [
            Middleware(ServerTiming),
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.pages),
                allow_methods=["GET", "POST", "PUT", "DELETE"],
                allow_headers=["content-type", offers.FIELD],
                expose_headers=["cache-status", "server-timing", "age", "etag"],
            ),
            Middleware(OneSite),
            Middleware(CacheMiddleware, cache=cache),
        ],
        "lifespan": _close_source_at_end,
    }


def furnish(app: Starlette, settings: Settings, cache: CacheManager) -> None:
    """Add settings, source, figures and what operators see to an application."""
    app.state.settings = settings
    app.state.source = SlowSource(Catalogue(settings.database))
    app.add_exception_handler(UnknownProductError, _unknown_product)
    # Figures show routes and counts alone. Elsewhere they get a token too: `metrics(token=...)`.
    app.mount("/metrics", cache.metrics())
    app.mount("/_cache", cache.admin(token=settings.token))


def source_of(request: Request) -> SlowSource:
    """The source of the request's application."""
    source: SlowSource = request.app.state.source
    return source


def welcome(request: Request) -> Response:
    """Leads to the page of the fleet; of an instance that stands alone, says what to ask."""
    settings: Settings = request.app.state.settings
    if settings.pages:
        return RedirectResponse(settings.pages[0])
    host, port = request.scope["server"]  # the site's common name is none that leads here
    return PlainTextResponse(WELCOME.format(name=settings.name, here=f"http://{host}:{port}/"))


async def clear_cache(request: Request) -> Response:
    """Drop everything in every tier of every instance, with the manager."""
    await request.state.cache.clear()
    return Response(status_code=204)


async def report(request: Request) -> Response:
    """What shadow has found, as JSON; for `Accept: text/plain`, as a text for a terminal."""
    found = await request.state.cache.report()
    if request.headers.get("accept") == "text/plain":
        return PlainTextResponse(found.text())
    return JSONResponse(found.as_json())


async def _unknown_product(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=404)


@asynccontextmanager
async def _close_source_at_end(app: Starlette) -> AsyncIterator[None]:
    yield
    app.state.source.close()
