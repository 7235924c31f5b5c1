"""Django as an ASGI application, with annotations and rules, and the middleware around it."""

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

from asgi_multitier import CacheManager, cached, invalidates
from tests.compat import shop

PACKAGES = ("django",)
LACKS = {
    "start and close": "its ASGI application has no lifespan",
    "work after the response": "it has none without a queue of tasks",
    "its own ranges": "its responses have no ranges",
    "websocket": "its ASGI application takes HTTP only",
}


@cached(60, tags=["items", "item:{number}"])
def item(request: HttpRequest, number: int) -> HttpResponse:
    if request.method == "PUT":
        return JsonResponse({"changed": number})
    return JsonResponse(shop.item(number), headers={"x-own": "1"})


@invalidates(tags=["{tag}"])
async def drop(request: HttpRequest, tag: str) -> HttpResponse:
    return JsonResponse({"dropped": tag})


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


def build(cache: CacheManager | None = None) -> ASGIHandler:
    """The application without a cache."""
    if not settings.configured:
        settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], MIDDLEWARE=[], LOGGING_CONFIG=None)
        django.setup()
    settings.ROOT_URLCONF = __name__
    return ASGIHandler()
