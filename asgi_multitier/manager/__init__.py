"""Every call that is made by hand.

`manager` is the public face, `operations` every call, `lifecycle` making, starting and closing,
`sync` the same for code that cannot await, `functions` the decorator, `values` how values are
stored and computed, `backends` what the tiers and the log are made of, `identity` how the
application is named, `home` the event loop that all of it lives in.
"""

from .manager import CacheManager

__all__ = ["CacheManager"]
