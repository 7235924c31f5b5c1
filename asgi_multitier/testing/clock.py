"""Clocks that tests control."""

import math
from datetime import timedelta

from ..manager.isolation import Isolation


class FakeClock:
    """A clock for `clock=` arguments that changes only by `advance`.

    Args:
        now: The initial time in seconds.
    """

    __slots__ = ("now",)

    def __init__(self, now: float = 1_000.0) -> None:
        self.now: float = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.now += seconds

    def __repr__(self) -> str:
        return f"<FakeClock at {self.now:g}>"


class CacheClock:
    """The time of all caches of a test. It stands still, and changes only by `advance`.

    Lifetimes, stale windows, ages and HTTP dates go by it. Timeouts and the event loop do not.

    Args:
        isolation: What holds the caches.
    """

    def __init__(self, isolation: Isolation) -> None:
        self._isolation = isolation
        isolation.stop_clock()

    def advance(self, seconds: float | timedelta) -> None:
        """Let time pass for every cache.

        Args:
            seconds: How much; not below 0.

        Raises:
            ValueError: If it is below 0.
        """
        by = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
        if not 0 <= by < math.inf:
            raise ValueError(f"cache_clock.advance({seconds!r}): time goes forward; expected >= 0")
        self._isolation.advance(by)

    def __call__(self) -> float:
        """Unix seconds, as the caches see them."""
        return self._isolation.wall()

    def __repr__(self) -> str:
        return f"<CacheClock at {self():.3f}>"
