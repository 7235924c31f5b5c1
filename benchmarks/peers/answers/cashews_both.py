"""cashews: its decorators with keys that name arguments, its lock, and client-side caching."""

import os
from typing import Any

from cashews import cache
from cashews.contrib.fastapi import CacheEtagMiddleware
from fastapi import FastAPI

from . import data, endpoints

_URL = os.environ.get("PEER_REDIS_URL")
if _URL:
    # With protocol 3, the default of redis-py 8, its client side hears of no change.
    cache.setup(_URL + "?protocol=2", client_side=True)
else:
    cache.setup("mem://?size=100000")


def _key(path: str, *names: str) -> str:
    return ":".join([path.split("/")[1], *(f"{{{name}}}" for name in names)])


def _cached(path: str, *names: str) -> Any:
    if path.startswith("/fragile"):
        return cache.failover(ttl=60, key=_key(path, *names))
    return cache(ttl=data.lifetime(path), key=_key(path, *names), lock=True)


def _edits(path: str, *names: str) -> Any:
    return cache.invalidate(_key(path, *names))


def app() -> FastAPI:
    """The application."""
    app = endpoints.application(cached=_cached, edits=_edits)
    app.add_middleware(CacheEtagMiddleware)
    return app
