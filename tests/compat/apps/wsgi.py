"""A Flask application, which adapters serve as an ASGI application."""

import asyncio
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from flask import Flask, Response, abort, jsonify, request, send_file

from asgi_multitier import CacheManager
from tests.compat import shop

LACKS = {
    "start and close": "WSGI has no lifespan",
    "websocket": "WSGI has no websockets",
}


def shop_in_flask(cache: CacheManager | None) -> Flask:
    """The application without a cache, as WSGI."""
    app = Flask(__name__)

    @app.get("/items/<int:number>")
    def item(number: int) -> Response:
        response = jsonify(shop.item(number))
        response.headers["x-own"] = "1"
        return response

    @app.put("/items/<int:number>")
    def change(number: int) -> Response:
        return jsonify(changed=number)

    @app.put("/tags/<tag>")
    def drop(tag: str) -> Response:
        if cache is not None:
            cache.sync.invalidate_tags(tag)
        return jsonify(dropped=tag)

    @app.get("/slow")
    def slow() -> Response:
        return jsonify(asyncio.run(shop.slow()))

    @app.get("/cookie")
    def cookie() -> Response:
        response = jsonify(run=shop.note("cookie"))
        response.set_cookie("visitor", "1")
        return response

    @app.get("/stream")
    def stream() -> Response:
        def parts() -> Iterator[str]:
            yield from shop.PARTS[:-1]
            shop.wait_at_gate_in_thread("stream")
            yield shop.PARTS[-1]

        return Response(parts(), content_type="text/plain")

    @app.get("/background")
    def background() -> Response:
        response = jsonify(run=shop.note("background"))

        @response.call_on_close
        def work() -> None:
            shop.wait_at_gate_in_thread("background")
            shop.note("worked")

        return response

    @app.get("/file")
    def file() -> Any:
        # From memory: an adapter may leave files open.
        return send_file(BytesIO(shop.CONTENT), download_name="file.txt", conditional=True)

    @app.get("/error")
    def error() -> None:
        shop.note("error")
        raise shop.ShopError("sold out")

    @app.get("/missing/<int:number>")
    def missing(number: int) -> None:
        shop.note("missing")
        abort(404)

    @app.post("/echo")
    def echo() -> Response:
        return Response(request.get_data())

    return app
