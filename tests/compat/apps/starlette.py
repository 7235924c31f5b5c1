"""Starlette, with annotations on its endpoints and the middleware in its own list."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from tests.compat import shop

PACKAGES = ("starlette",)
LACKS: dict[str, str] = {}


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    shop.note("started")
    yield
    shop.note("closed")


@cached(60, tags=["items", "item:{id}"])
async def item(request: Request) -> Response:
    return JSONResponse(shop.item(request.path_params["id"]), headers={"x-own": "1"})


async def change(request: Request) -> Response:
    # hypercorn's HTTP/2 ends the connection where content comes after the response (its issue 329).
    await request.body()
    return JSONResponse({"changed": request.path_params["id"]})


@invalidates(tags=["{tag}"])
async def drop(request: Request) -> Response:
    await request.body()
    return JSONResponse({"dropped": request.path_params["tag"]})


@cached(60)
async def slow(request: Request) -> Response:
    return JSONResponse(await shop.slow())


@cached(60)
async def cookie(request: Request) -> Response:
    response = JSONResponse({"run": shop.note("cookie")})
    response.set_cookie("visitor", "1")
    return response


@cached(60)
async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        for part in shop.PARTS[:-1]:
            yield part
        await shop.wait_at_gate("stream")
        yield shop.PARTS[-1]

    return StreamingResponse(parts(), media_type="text/plain")


@cached(60)
async def background(request: Request) -> Response:
    task = BackgroundTask(shop.afterwards)
    return JSONResponse({"run": shop.note("background")}, background=task)


@cached(60)
async def file(request: Request) -> Response:
    return FileResponse(shop.file())


@cached(60)
async def error(request: Request) -> Response:
    shop.note("error")
    raise shop.ShopError("sold out")


@cached(60)
async def missing(request: Request) -> Response:
    shop.note("missing")
    raise HTTPException(404, f"no {request.path_params['id']}")


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


def build(cache: CacheManager | None = None) -> Starlette:
    """The application without a cache."""
    routes = [
        Route("/items/{id:int}", item),
        Route("/items/{id:int}", change, methods=["PUT"]),
        Route("/tags/{tag}", drop, methods=["PUT"]),
        Route("/slow", slow),
        Route("/cookie", cookie),
        Route("/stream", stream),
        Route("/background", background),
        Route("/file", file),
        Route("/error", error),
        Route("/missing/{id:int}", missing),
        Route("/echo", echo, methods=["POST"]),
        WebSocketRoute("/socket", socket),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def add_cache(app: Starlette, cache: CacheManager) -> Starlette:
    """The same with the cache, as the framework adds a middleware."""
    app.add_middleware(CacheMiddleware, cache=cache)
    return app
