"""ASGI middleware that caches whole HTTP responses in two tiers and keeps all instances true.

PYTEST_DONT_REWRITE: it has a plugin of pytest, and may be imported before pytest could do that.
"""

from ._about import __version__
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
