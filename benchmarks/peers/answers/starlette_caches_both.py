"""starlette-caches: its middleware over aiocache, with rules for paths."""

import os
import re
from typing import Any
from urllib.parse import urlsplit

from aiocache import Cache
from aiocache.serializers import JsonSerializer
from starlette_caches.middleware import CacheMiddleware
from starlette_caches.rules import Rule

from . import data, endpoints


def app() -> Any:
    """The application."""
    url = os.environ.get("PEER_REDIS_URL")
    if url:
        parts = urlsplit(url)
        where = {"endpoint": parts.hostname, "port": parts.port}
        cache = Cache(Cache.REDIS, serializer=JsonSerializer(), **where)
    else:
        cache = Cache(Cache.MEMORY)
    rules = [
        Rule(match="/runs", ttl=0),
        Rule(match=re.compile("/fragile/"), ttl=data.SHORT),
        Rule(ttl=data.LIFETIME),
    ]
    return CacheMiddleware(endpoints.application(), cache=cache, rules=rules)
