"""A shop with a cache and the admin application, on a real server in the test's event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from tests.patience import until

OPERATOR = "operator-" + "o" * 32
VIEWER = "viewer-" + "v" * 32

MARKUP = "<img src=x onerror=alert(1)>"
"""What must be shown as it is, wherever it comes from."""

PREFIX = "/deep/down/_cache/"


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop that runs.

    Attributes:
        cache: Its cache.
        client: Asks it for products.
        page: The address of the page.
        reader: The page of an admin application that only reads.
    """

    cache: CacheManager
    client: httpx.AsyncClient
    page: str
    reader: str


@cached(300, tags=["product:{id}", f"of {MARKUP}"])
async def product(request: Request) -> JSONResponse:
    """One product."""
    return JSONResponse({"id": request.path_params["id"]})


@invalidates(tags=["product:{id}"])
async def edit(_: Request) -> JSONResponse:
    """A change."""
    return JSONResponse({})


@invalidates(tags=["prodcut:{id}"])
async def remove(_: Request) -> JSONResponse:
    """A change with a misspelt tag."""
    return JSONResponse({})


@asynccontextmanager
async def running_shop() -> AsyncIterator[Shop]:
    """The shop, until the block ends."""
    cache = CacheManager(redis_url=None, namespace="shop")
    routes = [
        Route("/products/{id}", product),
        Route("/products/{id}", edit, methods=["PUT"]),
        Route("/products/{id}", remove, methods=["DELETE"]),
        Route(f"/{MARKUP}/{{id}}", product),
        Mount(PREFIX.rstrip("/"), cache.admin(token=OPERATOR, viewer_token=VIEWER)),
        Mount("/reads", cache.admin(token=OPERATOR, read_only=True)),
    ]
    app = CacheMiddleware(Starlette(routes=routes), cache)
    settings = {"host": "127.0.0.1", "port": 0, "log_config": None}
    server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=1, **settings))
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        yield Shop(cache, client, address + PREFIX, address + "/reads/")
    server.should_exit = True
    await task
