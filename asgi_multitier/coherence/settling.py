"""Settling periods: for so many seconds, fills of what was dropped are neither kept nor used.

For origins that read from a replica, which may return the old data for a while.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from .._types import Clock
from ..selectors import Selector
from .index import Index
from .marks import ALL

Hold: TypeAlias = tuple[float, Sequence[Selector]]
"""When a period ends, and the selectors that it holds."""


class Settling:
    """The settling periods that run on this node.

    Args:
        index: Where the selectors are held.
        later: Calls a function after so many seconds, as an event loop's `call_later`.
        clock: Monotonic seconds.
        limit: Selectors that may be held; beyond it a period holds "everything".
    """

    def __init__(
        self,
        index: Index,
        later: Callable[[float, Callable[[], None]], object],
        clock: Clock,
        limit: int,
    ) -> None:
        self._index = index
        self._later = later
        self._clock = clock
        self._limit = limit
        self._count = 0
        self.holds: list[Hold] = []

    def hold(self, selectors: Sequence[Selector], seconds: float) -> None:
        """Begin a period."""
        if self._count + len(selectors) > self._limit:
            # The index may not forget what is held: too much of it is "everything".
            selectors = (ALL,)
        self._count += len(selectors)
        self._index.hold(selectors)
        hold = (self._clock() + seconds, selectors)
        self.holds.append(hold)
        self._later(seconds, partial(self._release, hold))

    def _release(self, hold: Hold) -> None:
        if hold in self.holds:
            self.holds.remove(hold)
            self._count -= len(hold[1])
            self._index.release(hold[1])

    def left(self) -> dict[Selector, float]:
        """Seconds left for each selector; under "everything" the longest of all."""
        now = self._clock()
        left: dict[Selector, float] = {}
        for ends, selectors in self.holds:
            for selector in (*selectors, ALL):
                left[selector] = max(left.get(selector, 0.0), ends - now)
        return left

    def rearm(self) -> None:
        """Set the timers again: the earlier ones may belong to a closed event loop."""
        for hold in self.holds:
            self._later(max(0.0, hold[0] - self._clock()), partial(self._release, hold))
