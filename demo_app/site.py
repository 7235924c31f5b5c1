"""The parts that both applications share: settings, middleware, the page."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict

from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from asgi_multitier import CacheManager, CacheMiddleware

from . import caching
from .catalogue import Catalogue, Sort, UnknownProductError
from .ports import HOST
from .source import Question, SlowSource

Framework: TypeAlias = Literal["fastapi", "starlette"]

PAGE = Path(__file__).parent / "page"

NAMESPACE = "demo"
"""Set explicitly, because two different applications share one cache."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one instance runs.

    Attributes:
        framework: The framework of the application.
        name: The instance's name on the page.
        redis_url: Address of the shared tier; None for memory only.
        database: The catalogue's file; by default in memory, separate for each instance.
        peers: Addresses of all instances, this one included, in the order of the page.
        token: What an operator of the cache sends; None for no operators.
    """

    framework: Framework = "fastapi"
    name: str = "A"
    redis_url: str | None = None
    database: str = ":memory:"
    peers: Sequence[str] = ()
    token: str | None = field(default=None, repr=False)


class ListQuery(BaseModel):
    """The parameters of the list."""

    category: str | None = None
    page: int = Field(default=1, ge=1, le=1000)


class SearchQuery(BaseModel):
    """The parameters of the search."""

    q: str = Field(default="", max_length=80)
    page: int = Field(default=1, ge=1, le=1000)
    sort: Sort = "name"


class SourceCalls(BaseModel):
    """The number of calls that an instance made to its source."""

    calls: dict[Question, int]
    total: int


class Instance(BaseModel):
    """The data that the page needs to show an instance."""

    name: str
    framework: Framework
    tiers: list[str]
    peers: list[str]


class OneSite:
    """Gives all instances the same host name, as a load balancer would.

    The host is part of the key of a response, so instances with different addresses would share no
    entries in the second tier. `Origin` is part of the key too, because an application may answer
    each origin differently; here only CORS does, outside the cache, so the field is removed.
    """

    def __init__(self, app: ASGIApp, host: bytes = b"catalogue.example") -> None:
        self._app = app
        self._line = (b"host", host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the common host name."""
        if scope["type"] == "http":
            others = [line for line in scope["headers"] if line[0] not in (b"host", b"origin")]
            scope = {**scope, "headers": [self._line, *others]}
        await self._app(scope, receive, send)


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
        # Outermost first. CORS is outside the cache: its fields are for one origin, and must not
        # be stored.
        "middleware": [
            Middleware(
                CORSMiddleware,
                allow_origins=[*settings.peers, *_by_name(settings.peers)],
                allow_methods=["GET", "POST", "PUT", "DELETE"],
                allow_headers=["content-type"],
                expose_headers=["cache-status", "age", "etag"],
            ),
            Middleware(OneSite),
            Middleware(CacheMiddleware, cache=cache, rules=caching.RULES),
        ],
        "lifespan": _close_source_at_end,
    }


def furnish(app: Starlette, settings: Settings, cache: CacheManager) -> None:
    """Add settings, source, the page's files, figures and what operators see to an application."""
    app.state.settings = settings
    app.state.source = SlowSource(Catalogue(settings.database))
    app.add_exception_handler(UnknownProductError, _unknown_product)
    # A mount cannot be annotated; `caching.RULES` has a rule for it.
    app.mount("/static", StaticFiles(directory=PAGE), name="static")
    # Figures show routes and counts alone. Elsewhere they get a token too: `metrics(token=...)`.
    app.mount("/metrics", cache.metrics())
    app.mount("/_cache", cache.admin(token=settings.token))


def page() -> Response:
    """The page, which is not cached: it has no annotation and no rule."""
    return FileResponse(PAGE / "index.html")


def source_of(request: Request) -> SlowSource:
    """The source of the request's application."""
    source: SlowSource = request.app.state.source
    return source


def source_calls(request: Request) -> SourceCalls:
    """The calls of this instance to its source since it started."""
    calls = source_of(request).calls
    return SourceCalls(calls=dict(calls), total=calls.total())


def instance(request: Request) -> Instance:
    """The data that the page needs to show this instance."""
    settings: Settings = request.app.state.settings
    return Instance(
        name=settings.name,
        framework=settings.framework,
        tiers=["l1"] if settings.redis_url is None else ["l1", "l2"],
        peers=list(settings.peers),
    )


async def clear_cache(request: Request) -> Response:
    """Drop everything in every tier of every instance, with the manager."""
    await request.state.cache.clear()
    return Response(status_code=204)


def _by_name(addresses: Sequence[str]) -> list[str]:
    """The same addresses with `localhost` as the host."""
    return [address.replace(HOST, "localhost") for address in addresses]


async def _unknown_product(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=404)


@asynccontextmanager
async def _close_source_at_end(app: Starlette) -> AsyncIterator[None]:
    yield
    app.state.source.close()
