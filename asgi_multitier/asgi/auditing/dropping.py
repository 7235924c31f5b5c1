"""What an audit has found wrong is dropped on every instance, where that is wanted.

A route that is wrong at each audit would be dropped again and again, and with it what is right on
the same paths: so one route is dropped about once a second, and all of them no more often than
audits run.
"""

from typing import Final

from ...entry import Entry
from ...events import MAX_ROUTES
from ...manager.manager import CacheManager
from ...selectors import Selector

EVERY: Final = 1.0
"""Seconds between two drops of one route."""


class Dropping:
    """Drops what was wrong.

    Args:
        manager: The cache.
    """

    def __init__(self, manager: CacheManager) -> None:
        self._manager = manager
        self._last: dict[str, float] = {}

    async def drop(self, entry: Entry, route: str) -> bool:
        """Drop all that is stored for the path of an entry, on every instance.

        Also what other query strings and users have there: what was overlooked is the same for
        them.

        Args:
            entry: What was wrong.
            route: What its requests are counted under.

        Returns:
            Whether it was dropped; not if the route was a moment ago.
        """
        engine = self._manager.engine
        now = engine.clock()
        if now - self._last.get(route, -EVERY) < EVERY:
            return False
        self._last.pop(route, None)
        if len(self._last) >= MAX_ROUTES:
            del self._last[next(iter(self._last))]
        self._last[route] = now
        engine.events.invalidated(route, "audit")
        selectors = [Selector("path", entry.path)]
        await self._manager.begin_invalidation(selectors, begin=self._manager.begin_with())
        return True
