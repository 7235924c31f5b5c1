"""Lilya, with rules, and the middleware around it."""

from collections.abc import AsyncIterator

from lilya.apps import Lilya
from lilya.background import Task
from lilya.exceptions import HTTPException
from lilya.requests import Request
from lilya.responses import FileResponse, JSONResponse, Response, StreamingResponse
from lilya.routing import Path, WebSocketPath
from lilya.websockets import WebSocket

from asgi_multitier import CacheManager
from tests.compat import shop

PACKAGES = ("lilya",)
LACKS: dict[str, str] = {}


def item(number: int) -> Response:
    return JSONResponse(shop.item(number), headers={"x-own": "1"})


def change(number: int) -> Response:
    return JSONResponse({"changed": number})


async def slow() -> Response:
    return JSONResponse(await shop.slow())


def cookie() -> Response:
    response = JSONResponse({"run": shop.note("cookie")})
    response.set_cookie("visitor", "1")
    return response


def stream() -> Response:
    async def parts() -> AsyncIterator[str]:
        for part in shop.PARTS[:-1]:
            yield part
        await shop.wait_at_gate("stream")
        yield shop.PARTS[-1]

    return StreamingResponse(parts(), media_type="text/plain")


def background() -> Response:
    return JSONResponse({"run": shop.note("background")}, background=Task(shop.afterwards))


def file() -> Response:
    return FileResponse(str(shop.file()))


def error() -> Response:
    shop.note("error")
    raise shop.ShopError("sold out")


def missing(number: int) -> Response:
    shop.note("missing")
    raise HTTPException(status_code=404, detail=f"no {number}")


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


def build(cache: CacheManager | None = None) -> Lilya:
    """The application without a cache."""

    async def drop(tag: str) -> Response:
        return JSONResponse(await shop.drop(cache, tag))

    async def start() -> None:
        shop.note("started")

    async def close() -> None:
        shop.note("closed")

    routes = [
        Path("/items/{number:int}", item),
        Path("/items/{number:int}", change, methods=["PUT"]),
        Path("/tags/{tag}", drop, methods=["PUT"]),
        Path("/slow", slow),
        Path("/cookie", cookie),
        Path("/stream", stream),
        Path("/background", background),
        Path("/file", file),
        Path("/error", error),
        Path("/missing/{number:int}", missing),
        Path("/echo", echo, methods=["POST"]),
        WebSocketPath("/socket", socket),
    ]
    return Lilya(routes=routes, on_startup=[start], on_shutdown=[close])
