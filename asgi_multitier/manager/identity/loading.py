"""Finding an application by its name, or by its manager, and the managers of an application."""

import importlib
from collections.abc import Iterator
from typing import Any

from ...errors import ConfigError
from ...routing.layers import attribute, layers_of
from .application import may_wrap, variables

_MIDDLEWARE = "asgi_multitier.asgi.middleware"
"""The module of the middleware, by name: an import of it from here would point up."""


def load(target: str, *, where: str = "CacheManager.of") -> Any:
    """What `"module:attribute"` names.

    Args:
        target: The text.
        where: Who asks, for the error.

    Raises:
        ConfigError: If there is no such module or attribute.
    """
    module, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        allowed = f"'module:attribute' of an application ({error})"
        raise ConfigError.of("target", target, allowed, where=where) from error
    return found


def caches_of(app: object) -> Iterator[Any]:
    """The managers of the middleware around and inside an application; None for the default one."""
    for _, cache in _owned(app):
        yield cache


def application_of(cache: object) -> Any:
    """The application of the user's modules that has this manager in its middleware.

    None if there is no such application, or more than one.
    """
    found = {
        id(owner): owner
        for _, _, value in variables(())
        if may_wrap(value) and not isinstance(value, type)
        for owner, owned in _owned(value)
        if owned is cache
    }
    return next(iter(found.values())) if len(found) == 1 else None


def _owned(app: object) -> Iterator[tuple[Any, Any]]:
    """The layers that have a cache, each with its manager."""
    for layer in layers_of(app):
        if is_cache(type(layer)):
            yield layer, layer.manager
        for one in added_caches(layer):
            yield layer, one.kwargs.get("cache", next(iter(one.args), None))


def added_caches(layer: object) -> list[Any]:
    """The caches among the layers that were added to an application of Starlette."""
    added = attribute(layer, "user_middleware")
    if not isinstance(added, list):
        return []
    return [one for one in added if is_cache(attribute(one, "cls"))]


def is_cache(kind: Any) -> bool:
    """Whether a class is the middleware, or derived from it."""
    return any(base.__module__ == _MIDDLEWARE for base in getattr(kind, "__mro__", ()))
