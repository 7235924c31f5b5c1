"""Django as an ASGI application, with rules, and the middleware around it."""

from collections.abc import AsyncIterator
from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path

from asgi_multitier import CacheManager
from tests.compat import shop

PACKAGES = ("django",)
LACKS = {
    "start and close": "its ASGI application has no lifespan",
    "work after the response": "it has none without a queue of tasks",
    "its own ranges": "its responses have no ranges",
    "websocket": "its ASGI application takes HTTP only",
}


def item(request: HttpRequest, number: int) -> HttpResponse:
    if request.method == "PUT":
        return JsonResponse({"changed": number})
    return JsonResponse(shop.item(number), headers={"x-own": "1"})


async def slow(request: HttpRequest) -> HttpResponse:
    return JsonResponse(await shop.slow())


async def cookie(request: HttpRequest) -> HttpResponse:
    response = JsonResponse({"run": shop.note("cookie")})
    response.set_cookie("visitor", "1")
    return response


async def stream(request: HttpRequest) -> Any:
    async def parts() -> AsyncIterator[str]:
        for part in shop.PARTS[:-1]:
            yield part
        await shop.wait_at_gate("stream")
        yield shop.PARTS[-1]

    return StreamingHttpResponse(parts(), content_type="text/plain")


def file(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shop.file().read_bytes(), content_type="text/plain")


async def error(request: HttpRequest) -> HttpResponse:
    shop.note("error")
    raise shop.ShopError("sold out")


async def missing(request: HttpRequest, number: int) -> HttpResponse:
    shop.note("missing")
    raise Http404(f"no {number}")


async def echo(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return HttpResponse(request.body)


def build(cache: CacheManager | None = None) -> ASGIHandler:
    """The application without a cache."""

    async def drop(request: HttpRequest, tag: str) -> HttpResponse:
        return JsonResponse(await shop.drop(cache, tag))

    class Urls:
        urlpatterns = (
            path("items/<int:number>", item),
            path("tags/<tag>", drop),
            path("slow", slow),
            path("cookie", cookie),
            path("stream", stream),
            path("file", file),
            path("error", error),
            path("missing/<int:number>", missing),
            path("echo", echo),
        )

    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=None,
            SECRET_KEY="x",
            ALLOWED_HOSTS=["*"],
            MIDDLEWARE=[],
            LOGGING_CONFIG=None,
        )
        django.setup()

    class Handler(ASGIHandler):
        async def get_response_async(self, request: HttpRequest) -> Any:
            request.urlconf = Urls  # type: ignore[attr-defined]
            return await super().get_response_async(request)

    return Handler()
