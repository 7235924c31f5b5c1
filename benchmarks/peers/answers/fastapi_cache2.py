"""fastapi-cache2: its decorator and its own key of a function's arguments."""

import functools
import os
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi_cache import FastAPICache, default_key_builder
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from redis.asyncio import Redis

from . import data, endpoints

PREFIX = "answers"


def _key(function: Any, namespace: str = "", **rest: Any) -> str:
    """Its own key below a name of the row, as it clears by the beginnings of keys."""
    row = rest["kwargs"].get("row", "")
    return f"{namespace}:{row}:{default_key_builder(function, namespace, **rest)}"


def _cached(path: str, *names: str) -> Any:
    return cache(data.lifetime(path), namespace=path.split("/")[1])


def _edits(path: str, *names: str) -> Callable[[Any], Any]:
    def mark(function: Any) -> Any:
        @functools.wraps(function)
        async def editing(row: str) -> Any:
            edited = await function(row=row)
            await FastAPICache.clear(namespace=f"{path.split('/')[1]}:{row}")
            return edited

        return editing

    return mark


def app() -> FastAPI:
    """The application."""
    url = os.environ.get("PEER_REDIS_URL")
    backend = RedisBackend(Redis.from_url(url)) if url else InMemoryBackend()
    FastAPICache.init(backend, prefix=PREFIX, key_builder=_key)
    return endpoints.application(cached=_cached, edits=_edits)
