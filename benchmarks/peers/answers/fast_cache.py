"""fast-cache-middleware: its middleware, and marks among the dependencies of routes."""

import os
from typing import Any

from fast_cache_middleware import CacheConfig, CacheDropConfig, FastCacheMiddleware, RedisStorage
from fastapi import FastAPI
from redis.asyncio import Redis

from . import data, endpoints


def _arguments(path: str) -> dict[str, Any]:
    return {"dependencies": [CacheConfig(max_age=data.lifetime(path))]}


def _edit_arguments(path: str) -> dict[str, Any]:
    return {"dependencies": [CacheDropConfig(paths=[path.split("{")[0]])]}


def app() -> FastAPI:
    """The application."""
    url = os.environ.get("PEER_REDIS_URL")
    storage = RedisStorage(Redis.from_url(url)) if url else None
    app = endpoints.application(arguments=_arguments, edit_arguments=_edit_arguments)
    app.add_middleware(FastCacheMiddleware, storage=storage)
    return app
