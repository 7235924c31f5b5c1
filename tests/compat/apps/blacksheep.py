"""BlackSheep, with rules, and the middleware around it."""

from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from blacksheep import (
    Application,
    Content,
    Cookie,
    Request,
    Response,
    Router,
    StreamedContent,
    WebSocket,
    json,
    not_found,
)
from blacksheep import file as file_response

from asgi_multitier import CacheManager
from tests.compat import shop

PACKAGES = ("blacksheep",)
_OLD = version("blacksheep").startswith("2.1.")
LACKS = {
    **({"root path": "2.1 does not take it off the path"} if _OLD else {}),
    "work after the response": "its responses have none",
    "its own ranges": "its file responses have no ranges, except those of served folders",
}


def build(cache: CacheManager | None = None) -> Application:
    """The application without a cache."""
    router = Router()
    app = Application(router=router)

    async def start(_: Any) -> None:
        shop.note("started")

    async def close(_: Any) -> None:
        shop.note("closed")

    app.on_start += start
    app.on_stop += close

    @router.get("/items/{number}")
    async def item(number: int) -> Response:
        response = json(shop.item(number))
        response.add_header(b"x-own", b"1")
        return response

    @router.put("/items/{number}")
    async def change(number: int) -> Response:
        return json({"changed": number})

    @router.put("/tags/{tag}")
    async def drop(tag: str) -> Response:
        return json(await shop.drop(cache, tag))

    @router.get("/slow")
    async def slow() -> Response:
        return json(await shop.slow())

    @router.get("/cookie")
    async def cookie() -> Response:
        response = json({"run": shop.note("cookie")})
        response.set_cookie(Cookie("visitor", "1"))
        return response

    @router.get("/stream")
    async def stream() -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for part in shop.PARTS[:-1]:
                yield part.encode()
            await shop.wait_at_gate("stream")
            yield shop.PARTS[-1].encode()

        return Response(200, content=StreamedContent(b"text/plain", parts))

    @router.get("/file")
    async def file() -> Response:
        return file_response(str(shop.file()), "text/plain")

    @router.get("/error")
    async def error() -> Response:
        shop.note("error")
        raise shop.ShopError("sold out")

    @router.get("/missing/{number}")
    async def missing(number: int) -> Response:
        shop.note("missing")
        return not_found(f"no {number}")

    @router.post("/echo")
    async def echo(request: Request) -> Response:
        return Response(200, content=Content(b"text/plain", (await request.read()) or b""))

    @router.ws("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    return app
