"""aiocache: its decorator with a lock, and keys that name arguments."""

import functools
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from aiocache import cached_stampede, caches
from fastapi import FastAPI

from . import data, endpoints

_URL = os.environ.get("PEER_REDIS_URL")
_MEMORY = {"cache": "aiocache.SimpleMemoryCache"}
_REDIS = {
    "cache": "aiocache.RedisCache",
    "endpoint": urlsplit(_URL).hostname,
    "port": urlsplit(_URL).port,
    "serializer": {"class": "aiocache.serializers.PickleSerializer"},
}
caches.set_config({"default": _REDIS if _URL else _MEMORY})


def _key(path: str, names: tuple[str, ...], arguments: dict[str, Any]) -> str:
    return ":".join([path.split("/")[1], *(str(arguments.get(name)) for name in names)])


def _cached(path: str, *names: str) -> Any:
    def key(_: Any, *args: Any, **arguments: Any) -> str:
        return _key(path, names, arguments)

    return cached_stampede(alias="default", lease=2, ttl=data.lifetime(path), key_builder=key)


def _edits(path: str, *names: str) -> Callable[[Any], Any]:
    def mark(function: Any) -> Any:
        @functools.wraps(function)
        async def editing(row: str) -> Any:
            edited = await function(row=row)
            await caches.get("default").delete(_key(path, names, {"row": row}))
            return edited

        return editing

    return mark


def app() -> FastAPI:
    """The application."""
    return endpoints.application(cached=_cached, edits=_edits)
