"""Django's pair of cache middlewares, under ASGI, with the validators of its third."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.cache import cache
from django.http import HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils.cache import get_cache_key, patch_cache_control

from . import data
from .data import RUNS, down, edit, run, version

_URL = os.environ.get("PEER_REDIS_URL")
_BACKEND = "redis.RedisCache" if _URL else "locmem.LocMemCache"

settings.configure(
    ALLOWED_HOSTS=["*"],
    CACHES={"default": {"BACKEND": f"django.core.cache.backends.{_BACKEND}", "LOCATION": _URL}},
    CACHE_MIDDLEWARE_SECONDS=data.LIFETIME,
    MIDDLEWARE=[
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a benchmark",
    USE_I18N=False,  # otherwise its active language stands for `Accept-Language`
)


async def plain(request: Any, row: str) -> HttpResponseBase:
    """A row."""
    if request.method == "PUT":
        return await _edited(request, f"plain{row}")
    return JsonResponse({"run": run("plain"), "version": version(f"plain{row}")})


async def slow(request: Any, row: str) -> HttpResponseBase:
    """A row that takes half a second to read."""
    if request.method == "PUT":
        return await _edited(request, f"slow{row}")
    found, number = version(f"slow{row}"), run("slow")
    await asyncio.sleep(0.5)
    return JsonResponse({"run": number, "version": found})


async def _edited(request: Any, name: str) -> HttpResponseBase:
    """Edit a row and drop its page, by the key that Django's own function finds."""
    edited = edit(name)
    key = await asyncio.to_thread(get_cache_key, request, method="GET")
    if key is not None:
        await cache.adelete(key)
    return JsonResponse({"version": edited})


async def fragile(request: Any, row: str) -> HttpResponseBase:
    """A row whose database may be away."""
    if down():
        return HttpResponse(status=500)
    response = JsonResponse({"run": run("fragile")})
    patch_cache_control(response, max_age=data.SHORT)
    return response


async def language(request: Any, row: str) -> HttpResponseBase:
    """A text in the language of the client."""
    to = request.headers.get("accept-language", "")
    return JsonResponse({"run": run("language"), "to": to}, headers={"Vary": "Accept-Language"})


async def own(request: Any, row: str) -> HttpResponseBase:
    """A row of the user."""
    return JsonResponse({"run": run("own"), "to": request.headers.get("authorization", "")})


async def session(request: Any, row: str) -> HttpResponseBase:
    """A row of the session."""
    return JsonResponse({"run": run("session"), "to": request.COOKIES.get("session", "")})


async def login(request: Any, row: str) -> HttpResponseBase:
    """Sets a cookie."""
    response = JsonResponse({"run": run("login")})
    response.set_cookie("session", uuid4().hex)
    return response


async def fields(request: Any, row: str) -> HttpResponseBase:
    """Field lines; Django's responses have one for each name."""
    links = "</a>; rel=preload, </b>; rel=preload"
    return JsonResponse({"run": run("fields")}, headers={"X-Total": "7", "Link": links})


async def private(request: Any, row: str) -> HttpResponseBase:
    """Not to be stored."""
    return JsonResponse({"run": run("private")}, headers={"Cache-Control": "no-store"})


async def failing(request: Any, row: str) -> HttpResponseBase:
    """An error."""
    return JsonResponse({"run": run("failing")}, status=503)


async def stream(request: Any, row: str) -> HttpResponseBase:
    """Three parts."""
    return StreamingHttpResponse(_parts(run("stream")), content_type="text/plain")


async def _parts(number: int) -> AsyncIterator[bytes]:
    for part in range(3):
        yield f"run {number}, part {part}\n".encode()
        await asyncio.sleep(0.4)


async def runs(request: Any) -> HttpResponseBase:
    """How often each has run."""
    return JsonResponse(RUNS, headers={"Cache-Control": "private, max-age=0"})


_VIEWS = (
    plain,
    slow,
    fragile,
    language,
    own,
    session,
    login,
    fields,
    private,
    failing,
    stream,
)
urlpatterns = [
    path("runs", runs),
    *(path(f"{view.__name__}/<str:row>", view) for view in _VIEWS),
]


def app() -> Any:
    """The application."""
    return get_asgi_application()
