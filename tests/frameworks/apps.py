"""The same small application in each framework.

Each has: `/text` (one field of its own), `/json`, `/count` (how often it was asked), `/cookie`
(sets one), `/stream` (three chunks), `/missing/{id}` (404 of its own), `/echo` (POST, the body
comes back), `/started` (whether its start-up ran).
"""

from collections.abc import Callable
from typing import Any

Made = Callable[[], Any]


def litestar() -> Any:
    from litestar import Litestar, Request, Response, get, post
    from litestar.datastructures import Cookie
    from litestar.exceptions import NotFoundException
    from litestar.response import Stream

    state = {"asked": 0, "started": False}

    def start() -> None:
        state["started"] = True

    @get("/text", sync_to_thread=False)
    def text() -> Response[str]:
        return Response("text", media_type="text/plain", headers={"x-own": "1"})

    @get("/json", sync_to_thread=False)
    def json() -> dict[str, int]:
        return {"a": 1}

    @get("/count", sync_to_thread=False)
    def count() -> dict[str, int]:
        state["asked"] += 1
        return {"asked": state["asked"]}

    @get("/cookie", sync_to_thread=False)
    def cookie() -> Response[str]:
        return Response("c", media_type="text/plain", cookies=[Cookie("c", value="1")])

    @get("/stream", sync_to_thread=False)
    def stream() -> Stream:
        async def parts() -> Any:
            for part in "abc":
                yield part

        return Stream(parts())

    @get("/missing/{id:int}", sync_to_thread=False)
    def missing(request: Request[Any, Any, Any]) -> str:
        raise NotFoundException(f"no {request.path_params['id']}")

    @post("/echo")
    async def echo(request: Request[Any, Any, Any]) -> bytes:
        return await request.body()

    @get("/started", sync_to_thread=False)
    def started() -> dict[str, bool]:
        return {"started": state["started"]}

    handlers = [text, json, count, cookie, stream, missing, echo, started]
    return Litestar(handlers, on_startup=[start], logging_config=None, openapi_config=None)


def lilya() -> Any:
    from lilya.apps import Lilya
    from lilya.requests import Request
    from lilya.responses import JSONResponse, PlainText, Response, StreamingResponse
    from lilya.routing import Path

    state = {"asked": 0, "started": False}

    def start() -> None:
        state["started"] = True

    def text() -> Response:
        return PlainText("text", headers={"x-own": "1"})

    def json() -> Response:
        return JSONResponse({"a": 1})

    def count() -> Response:
        state["asked"] += 1
        return JSONResponse({"asked": state["asked"]})

    def cookie() -> Response:
        response = PlainText("c")
        response.set_cookie("c", "1")
        return response

    def stream() -> Response:
        return StreamingResponse(iter(["a", "b", "c"]))

    def missing(id: int) -> Response:  # noqa: A002
        return PlainText(f"no {id}", status_code=404)

    async def echo(request: Request) -> Response:
        return Response(await request.body())

    def started() -> Response:
        return JSONResponse({"started": state["started"]})

    routes = [
        Path("/text", text),
        Path("/json", json),
        Path("/count", count),
        Path("/cookie", cookie),
        Path("/stream", stream),
        Path("/missing/{id:int}", missing),
        Path("/echo", echo, methods=["POST"]),
        Path("/started", started),
    ]
    return Lilya(routes=routes, on_startup=[start])


def django() -> Any:
    import django
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path

    state = {"asked": 0}

    async def text(request: HttpRequest) -> HttpResponse:
        return HttpResponse("text", headers={"x-own": "1"})

    def json(request: HttpRequest) -> HttpResponse:
        return JsonResponse({"a": 1})

    async def count(request: HttpRequest) -> HttpResponse:
        state["asked"] += 1
        return JsonResponse({"asked": state["asked"]})

    async def cookie(request: HttpRequest) -> HttpResponse:
        response = HttpResponse("c")
        response.set_cookie("c", "1")
        return response

    async def stream(request: HttpRequest) -> Any:
        async def parts() -> Any:
            for part in "abc":
                yield part

        return StreamingHttpResponse(parts())

    async def missing(request: HttpRequest, id: int) -> HttpResponse:  # noqa: A002
        return HttpResponse(f"no {id}", status=404)

    async def echo(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.body)

    async def started(request: HttpRequest) -> HttpResponse:
        return JsonResponse({"started": True})

    class Urls:
        urlpatterns = (
            path("text", text),
            path("json", json),
            path("count", count),
            path("cookie", cookie),
            path("stream", stream),
            path("missing/<int:id>", missing),
            path("echo", echo),
            path("started", started),
        )

    if not settings.configured:
        settings.configure(ROOT_URLCONF=None, SECRET_KEY="x", ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
        django.setup()

    class Handler(ASGIHandler):
        async def get_response_async(self, request: HttpRequest) -> Any:
            request.urlconf = Urls  # type: ignore[attr-defined]
            return await super().get_response_async(request)

    return Handler()


def quart() -> Any:
    from quart import Quart, Response, jsonify, request

    app = Quart("small")
    state = {"asked": 0, "started": False}

    @app.before_serving
    async def start() -> None:
        state["started"] = True

    @app.get("/text")
    async def text() -> Response:
        return Response("text", headers={"x-own": "1"}, content_type="text/plain")

    @app.get("/json")
    async def json() -> Response:
        return jsonify(a=1)

    @app.get("/count")
    async def count() -> Response:
        state["asked"] += 1
        return jsonify(asked=state["asked"])

    @app.get("/cookie")
    async def cookie() -> Response:
        response = Response("c")
        response.set_cookie("c", "1")
        return response

    @app.get("/stream")
    async def stream() -> Any:
        async def parts() -> Any:
            for part in (b"a", b"b", b"c"):
                yield part

        return parts()

    @app.get("/missing/<int:id>")
    async def missing(id: int) -> tuple[str, int]:  # noqa: A002
        return f"no {id}", 404

    @app.post("/echo")
    async def echo() -> Response:
        return Response(await request.get_data())

    @app.get("/started")
    async def started() -> Response:
        return jsonify(started=state["started"])

    return app


def falcon() -> Any:
    import falcon.asgi

    state = {"asked": 0, "started": False}

    class Start:
        async def process_startup(self, scope: Any, event: Any) -> None:
            state["started"] = True

    class Text:
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.text, resp.content_type = "text", "text/plain"
            resp.set_header("x-own", "1")

    class Json:
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.media = {"a": 1}

    class Count:
        async def on_get(self, req: Any, resp: Any) -> None:
            state["asked"] += 1
            resp.media = {"asked": state["asked"]}

    class Cookie:
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.text = "c"
            resp.set_cookie("c", "1")

    class Stream:
        async def on_get(self, req: Any, resp: Any) -> None:
            async def parts() -> Any:
                for part in (b"a", b"b", b"c"):
                    yield part

            resp.stream = parts()

    class Missing:
        async def on_get(self, req: Any, resp: Any, number: int) -> None:
            raise falcon.HTTPNotFound(description=f"no {number}")

    class Echo:
        async def on_post(self, req: Any, resp: Any) -> None:
            resp.data = await req.bounded_stream.read()

    class Started:
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.media = {"started": state["started"]}

    app = falcon.asgi.App(middleware=[Start()])
    app.add_route("/text", Text())
    app.add_route("/json", Json())
    app.add_route("/count", Count())
    app.add_route("/cookie", Cookie())
    app.add_route("/stream", Stream())
    app.add_route("/missing/{number:int}", Missing())
    app.add_route("/echo", Echo())
    app.add_route("/started", Started())
    return app


def blacksheep() -> Any:
    from blacksheep import Application, Content, Cookie, Request, Response, Router, StreamedContent
    from blacksheep import json as json_response
    from blacksheep import text as text_response

    router = Router()
    app = Application(router=router)
    state = {"asked": 0, "started": False}

    async def start(_: Any) -> None:
        state["started"] = True

    app.on_start += start

    @router.get("/text")
    async def text() -> Response:
        return Response(200, [(b"x-own", b"1")], Content(b"text/plain", b"text"))

    @router.get("/json")
    async def json() -> Response:
        return json_response({"a": 1})

    @router.get("/count")
    async def count() -> Response:
        state["asked"] += 1
        return json_response({"asked": state["asked"]})

    @router.get("/cookie")
    async def cookie() -> Response:
        response = text_response("c")
        response.set_cookie(Cookie("c", "1"))
        return response

    @router.get("/stream")
    async def stream() -> Response:
        async def parts() -> Any:
            for part in (b"a", b"b", b"c"):
                yield part

        return Response(200, content=StreamedContent(b"text/plain", parts))

    @router.get("/missing/{id}")
    async def missing(id: int) -> Response:  # noqa: A002
        return text_response(f"no {id}", 404)

    @router.post("/echo")
    async def echo(request: Request) -> Response:
        return text_response((await request.text()) or "")

    @router.get("/started")
    async def started() -> Response:
        return json_response({"started": state["started"]})

    return app


APPS: dict[str, Made] = {
    made.__name__: made for made in (litestar, lilya, django, quart, falcon, blacksheep)
}
