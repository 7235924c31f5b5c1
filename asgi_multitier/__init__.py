"""ASGI middleware that caches whole HTTP responses in two tiers and keeps all instances true.

Each public name is loaded when it is first asked for (PEP 562), with what it needs and no more: the
command line and a module that has annotations alone do without the middleware and Redis.

PYTEST_DONT_REWRITE: it has a plugin of pytest, and may be imported before pytest could do that.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._about import __version__

if TYPE_CHECKING:
    from .asgi.middleware import CacheMiddleware
    from .config.invalidation import InvalidationConfig
    from .config.policy import Policy
    from .config.process import CacheConfig
    from .config.rules import Rule
    from .errors import BackendError, CacheError, ConfigError, InvalidationError, SerializationError
    from .manager.builder import CacheBuilder
    from .manager.manager import CacheManager
    from .redis import RedisTier
    from .routing import cached, invalidates, no_cache
    from .selectors import escape_pattern
    from .strategy import CacheStrategy
    from .tiers.base import TierConfig
    from .tiers.memory import MemoryTier
    from .tiers.null import NullLocalTier, NullTier
    from .warming.report import WarmReport

__all__ = [
    "BackendError",
    "CacheBuilder",
    "CacheConfig",
    "CacheError",
    "CacheManager",
    "CacheMiddleware",
    "CacheStrategy",
    "ConfigError",
    "InvalidationConfig",
    "InvalidationError",
    "MemoryTier",
    "NullLocalTier",
    "NullTier",
    "Policy",
    "RedisTier",
    "Rule",
    "SerializationError",
    "TierConfig",
    "WarmReport",
    "__version__",
    "cached",
    "escape_pattern",
    "invalidates",
    "no_cache",
]

_ROOMS = {
    "BackendError": "errors",
    "CacheBuilder": "manager.builder",
    "CacheConfig": "config.process",
    "CacheError": "errors",
    "CacheManager": "manager.manager",
    "CacheMiddleware": "asgi.middleware",
    "CacheStrategy": "strategy",
    "ConfigError": "errors",
    "InvalidationConfig": "config.invalidation",
    "InvalidationError": "errors",
    "MemoryTier": "tiers.memory",
    "NullLocalTier": "tiers.null",
    "NullTier": "tiers.null",
    "Policy": "config.policy",
    "RedisTier": "redis",
    "Rule": "config.rules",
    "SerializationError": "errors",
    "TierConfig": "tiers.base",
    "WarmReport": "warming.report",
    "cached": "routing",
    "escape_pattern": "selectors",
    "invalidates": "routing",
    "no_cache": "routing",
}
"""Where each name is: what type checkers read above. A test compares the two."""


def __getattr__(name: str) -> Any:
    """A public name, when it is first asked for."""
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{room}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
