"""Every call that is made by hand.

- `manager`: the public face. `builder`: the same, put together step by step.
- `operations`: the calls for values. `invalidation`: what drops entries. `readings`: statistics and
  health. `lifecycle`: making, switching, starting and closing.
- `warm_up`: asks the application for responses before clients do; `warmer`: after each start.
- `sync`: the same calls for code that cannot await. `threads`: where these run.
- `functions`: decorated functions. `function_keys`: keys and tags from their arguments.
- `values`: where values lie in the tiers. `keys`: their keys and tags, checked. `computing`: get or
  compute.
- `backends`: what the tiers, the log and the streams are made of; `over_redis` and `over_sqlite`
  make those on a server and in a file, and are loaded where there is one.
- `home`: the event loop that a cache lives in.
- `naming`: the namespace. `identity`: what names an application.
"""

from .manager import CacheManager

__all__ = ["CacheManager"]
