"""starlette-caches: a middleware, in the memory of aiocache; an edit drops its own URL."""

from typing import Any

from aiocache import Cache
from starlette_caches.middleware import CacheMiddleware
from starlette_caches.rules import Rule

from .routes import routes


def app() -> Any:
    """The application."""
    rules = [Rule(match="/runs", ttl=0), Rule(ttl=10_800)]
    return CacheMiddleware(routes(), cache=Cache(Cache.MEMORY), rules=rules)
