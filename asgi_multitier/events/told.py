"""What is counted, and told to those who watch, but not logged each time."""

from collections.abc import Callable

from .counters import Counters
from .live import Live
from .statistics import Tally


class Told(Counters):
    """Counters, and events for listeners.

    Args:
        clock: Monotonic seconds.
        wall: Unix seconds.

    Attributes:
        live: What happens, for those who watch.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        super().__init__()
        self.live = Live(clock, wall)

    def passed(self, tally: Tally, route: str, reason: str) -> None:
        """A request meets no cache.

        Args:
            tally: The counters of its route.
            route: The route.
            reason: Why.
        """
        tally.passed(reason)
        if self.live.on:
            self.live.bypassed(route, str(reason))

    def not_stored(self, reason: str, route: str) -> None:
        """What a run of the origin has brought is not stored."""
        self.refused[reason] += 1
        if self.live.on:
            self.live.emit("refused", route=route, reason=str(reason))
