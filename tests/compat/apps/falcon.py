"""Falcon, with rules, and the middleware around it."""

from collections.abc import AsyncIterator
from typing import Any

import falcon
import falcon.asgi

from asgi_multitier import CacheManager
from tests.compat import shop

PACKAGES = ("falcon",)
LACKS = {
    "HEAD": "it refuses HEAD where a responder takes GET, with the cache as without",
    "its own ranges": "its responses have no ranges, except those of static routes",
    "root path": "it does not take the root path off the path",
}


class Life:
    async def process_startup(self, scope: Any, event: Any) -> None:
        shop.note("started")

    async def process_shutdown(self, scope: Any, event: Any) -> None:
        shop.note("closed")


class Item:
    async def on_get(self, req: Any, resp: Any, number: int) -> None:
        resp.media = shop.item(number)
        resp.set_header("x-own", "1")

    async def on_put(self, req: Any, resp: Any, number: int) -> None:
        resp.media = {"changed": number}


class Tag:
    def __init__(self, cache: CacheManager | None) -> None:
        self.cache = cache

    async def on_put(self, req: Any, resp: Any, tag: str) -> None:
        resp.media = await shop.drop(self.cache, tag)


class Slow:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.media = await shop.slow()


class Cookie:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.media = {"run": shop.note("cookie")}
        resp.set_cookie("visitor", "1")


class Stream:
    async def on_get(self, req: Any, resp: Any) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for part in shop.PARTS[:-1]:
                yield part.encode()
            await shop.wait_at_gate("stream")
            yield shop.PARTS[-1].encode()

        resp.content_type = "text/plain"
        resp.stream = parts()


class Background:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.media = {"run": shop.note("background")}
        resp.schedule(shop.afterwards)


class File:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.data = shop.file().read_bytes()
        resp.content_type = "text/plain"


class Error:
    async def on_get(self, req: Any, resp: Any) -> None:
        shop.note("error")
        raise shop.ShopError("sold out")


class Missing:
    async def on_get(self, req: Any, resp: Any, number: int) -> None:
        shop.note("missing")
        raise falcon.HTTPNotFound(description=f"no {number}")


class Echo:
    async def on_post(self, req: Any, resp: Any) -> None:
        resp.data = await req.bounded_stream.read()


class Socket:
    async def on_websocket(self, req: Any, ws: Any) -> None:
        await ws.accept()
        await ws.send_text(await ws.receive_text())
        await ws.close()


def build(cache: CacheManager | None = None) -> Any:
    """The application without a cache."""
    app = falcon.asgi.App(middleware=[Life()])
    app.add_route("/items/{number:int}", Item())
    app.add_route("/tags/{tag}", Tag(cache))
    app.add_route("/slow", Slow())
    app.add_route("/cookie", Cookie())
    app.add_route("/stream", Stream())
    app.add_route("/background", Background())
    app.add_route("/file", File())
    app.add_route("/error", Error())
    app.add_route("/missing/{number:int}", Missing())
    app.add_route("/echo", Echo())
    app.add_route("/socket", Socket())
    return app
