"""Functions whose results are kept: what `CacheManager.cached` and `SyncCache.cached` make.

`naming` makes keys and tags of a call's arguments, `arguments` the texts that stand in them.
"""

from .kept import CachedFunction, SyncCachedFunction

__all__ = ["CachedFunction", "SyncCachedFunction"]
