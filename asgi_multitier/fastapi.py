"""FastAPI dependency: a parameter `cache: CacheDep` receives the application's cache manager."""

from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection

from .asgi.framework import SCOPE_KEY
from .errors import ConfigError
from .manager.manager import CacheManager


def cache_of(connection: HTTPConnection) -> CacheManager:
    """The manager of the `CacheMiddleware` around the application.

    Raises:
        ConfigError: If there is none.
    """
    cache = connection.scope.get(SCOPE_KEY)
    if not isinstance(cache, CacheManager):
        raise ConfigError("CacheDep: no CacheMiddleware is around this application")
    return cache


CacheDep = Annotated[CacheManager, Depends(cache_of)]
"""Declare a parameter of this type to get the manager."""
