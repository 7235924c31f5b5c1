"""Quart, with annotations and rules, and the middleware in the place that Quart has for one."""

from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, Response, abort, jsonify, request, send_file, websocket

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from tests.compat import shop

PACKAGES = ("quart",)
LACKS: dict[str, str] = {}


def build(cache: CacheManager | None = None) -> Quart:
    """The application without a cache."""
    app = Quart(__name__)

    @app.before_serving
    async def start() -> None:
        shop.note("started")

    @app.after_serving
    async def close() -> None:
        shop.note("closed")

    @app.get("/items/<int:number>")
    @cached(60, tags=["items", "item:{number}"])
    async def item(number: int) -> Response:
        response = jsonify(shop.item(number))
        response.headers["x-own"] = "1"
        return response

    @app.put("/items/<int:number>")
    async def change(number: int) -> Response:
        return jsonify(changed=number)

    @app.put("/tags/<tag>")
    @invalidates(tags=["{tag}"])
    async def drop(tag: str) -> Response:
        return jsonify(dropped=tag)

    @app.get("/slow")
    async def slow() -> Response:
        return jsonify(await shop.slow())

    @app.get("/cookie")
    async def cookie() -> Response:
        response = jsonify(run=shop.note("cookie"))
        response.set_cookie("visitor", "1")
        return response

    @app.get("/stream")
    async def stream() -> Any:
        async def parts() -> AsyncIterator[bytes]:
            for part in shop.PARTS[:-1]:
                yield part.encode()
            await shop.wait_at_gate("stream")
            yield shop.PARTS[-1].encode()

        return parts(), {"content-type": "text/plain"}

    @app.get("/background")
    async def background() -> Response:
        app.add_background_task(shop.afterwards)
        return jsonify(run=shop.note("background"))

    @app.get("/file")
    async def file() -> Response:
        return await send_file(shop.file(), conditional=True)

    @app.get("/error")
    async def error() -> None:
        shop.note("error")
        raise shop.ShopError("sold out")

    @app.get("/missing/<int:number>")
    async def missing(number: int) -> None:
        shop.note("missing")
        abort(404)

    @app.post("/echo")
    async def echo() -> Response:
        return Response(await request.get_data())

    @app.websocket("/socket")
    async def socket() -> None:
        await websocket.accept()
        await websocket.send(await websocket.receive())
        await websocket.close(1000)

    return app


def add_cache(app: Quart, cache: CacheManager) -> Quart:
    """The same with the cache, as the framework adds a middleware."""
    app.asgi_app = CacheMiddleware(app.asgi_app, cache, rules=shop.rules())  # type: ignore[method-assign]
    return app
