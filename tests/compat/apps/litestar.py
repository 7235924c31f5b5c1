"""Litestar, with annotations and rules, and the middleware around it."""

from collections.abc import AsyncIterator
from typing import Any

from litestar import Litestar, Request, Response, WebSocket, get, post, put, websocket
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import Cookie
from litestar.exceptions import NotFoundException
from litestar.response import File, Stream

from asgi_multitier import CacheManager, cached, invalidates
from tests.compat import shop

PACKAGES = ("litestar",)
LACKS = {
    "its own ranges": "its file responses have no ranges",
    "HEAD": "it refuses HEAD where a handler takes GET, with the cache as without",
}


Asked = Request[Any, Any, Any]


@get("/items/{number:int}", sync_to_thread=False)
@cached(60, tags=["items", "item:{number}"])
def item(request: Asked) -> Response[dict[str, int]]:
    return Response(shop.item(request.path_params["number"]), headers={"x-own": "1"})


@put("/items/{number:int}", sync_to_thread=False)
def change(request: Asked) -> dict[str, int]:
    return {"changed": request.path_params["number"]}


@put("/tags/{tag:str}", sync_to_thread=False)
@invalidates(tags=["{tag}"])
def drop(request: Asked) -> dict[str, str]:
    return {"dropped": request.path_params["tag"]}


@get("/slow")
async def slow() -> dict[str, int]:
    return await shop.slow()


@get("/cookie", sync_to_thread=False)
def cookie() -> Response[dict[str, int]]:
    return Response({"run": shop.note("cookie")}, cookies=[Cookie("visitor", value="1")])


@get("/stream", sync_to_thread=False)
def stream() -> Stream:
    async def parts() -> AsyncIterator[str]:
        for part in shop.PARTS[:-1]:
            yield part
        await shop.wait_at_gate("stream")
        yield shop.PARTS[-1]

    return Stream(parts(), media_type="text/plain")


@get("/background", sync_to_thread=False)
def background() -> Response[dict[str, int]]:
    task = BackgroundTask(shop.afterwards)
    return Response({"run": shop.note("background")}, background=task)


@get("/file", sync_to_thread=False)
def file() -> File:
    return File(shop.file(), media_type="text/plain")


@get("/error", sync_to_thread=False)
def error() -> None:
    shop.note("error")
    raise shop.ShopError("sold out")


@get("/missing/{number:int}", sync_to_thread=False)
def missing(request: Asked) -> None:
    shop.note("missing")
    raise NotFoundException(f"no {request.path_params['number']}")


@post("/echo", status_code=200)
async def echo(request: Asked) -> bytes:
    return await request.body()


@websocket("/socket")
async def socket(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


def build(cache: CacheManager | None = None) -> Litestar:
    """The application without a cache."""

    def start() -> None:
        shop.note("started")

    def close() -> None:
        shop.note("closed")

    handlers = [item, change, drop, slow, cookie, stream, background, file, error, missing, echo]
    return Litestar(
        [*handlers, socket],
        on_startup=[start],
        on_shutdown=[close],
        logging_config=None,
        openapi_config=None,
    )
