"""Finding an application by name, and the caches around it."""

import importlib
from collections.abc import Iterator
from typing import Any

from ..errors import ConfigError
from .layers import layers_of

_MIDDLEWARE = "asgi_multitier.middleware"


def load(target: str) -> Any:
    """What `"module:attribute"` names.

    Raises:
        ConfigError: If there is no such thing.
    """
    module, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        allowed = f"'module:attribute' of an application ({error})"
        raise ConfigError.of("target", target, allowed, where="CacheManager.of") from error
    return found


def caches_of(app: object) -> Iterator[Any]:
    """The managers of the middleware around an application and in it; None for one by default."""
    for layer in layers_of(app):
        if _is_ours(type(layer)):
            yield layer.manager
        for added in getattr(layer, "user_middleware", ()):
            if _is_ours(added.cls):
                yield added.kwargs.get("cache", next(iter(added.args), None))


def _is_ours(kind: Any) -> bool:
    return any(base.__module__ == _MIDDLEWARE for base in getattr(kind, "__mro__", ()))
