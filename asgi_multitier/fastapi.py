"""For FastAPI: the application's cache as a dependency, and what its document says of the cache.

A parameter `cache: CacheDep` receives the cache manager; `document(app)` adds to the OpenAPI
document which operations are cached and what drops them.
"""

from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.requests import HTTPConnection

from ._types import ASGIApp
from .asgi.framework import SCOPE_KEY
from .errors import ConfigError
from .manager import documenting
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


def document(
    app: FastAPI | ASGIApp, *, not_modified: bool = True, if_none_match: bool = False
) -> None:
    """`CacheManager.document`, where the `CacheMiddleware` has made its manager by itself.

    Args:
        app: The application with a `CacheMiddleware` added, or that middleware around it.
        not_modified: As for `CacheManager.document`.
        if_none_match: The same.

    Raises:
        ConfigError: If there is no application with an OpenAPI document.
    """
    documenting.document(app, not_modified=not_modified, if_none_match=if_none_match)
