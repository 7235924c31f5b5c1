"""How long things take: counted by classes of duration, at a cost that does not grow."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends, in seconds, of the classes of runs of the origin and of waits for them."""

ROUND_TRIP_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
"""The same of operations of a tier."""


LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The same of the time that a change takes to reach a process."""


@dataclass(frozen=True, slots=True)
class Durations:
    """A reading of how long something took.

    Attributes:
        bounds: Upper ends of the classes, in seconds; what equals one belongs to its class.
        counts: How many there were in each class; one more than bounds: the last has no end.
        seconds: Their sum.
    """

    bounds: tuple[float, ...] = BOUNDS
    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """Seconds of one on average; 0 if there was none."""
        return self.seconds / self.count if self.count else 0.0


class Histogram:
    """Counts durations, or other amounts, by classes.

    Args:
        bounds: Upper ends of the classes, in seconds, ascending.

    Attributes:
        bounds, counts, seconds: See `Durations`. What is no duration has another unit there.
    """

    __slots__ = ("bounds", "counts", "seconds")

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        self.bounds: tuple[float, ...] = tuple(bounds)
        self.counts: list[int] = [0] * (len(self.bounds) + 1)
        self.seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds

    def join(self, other: "Histogram") -> None:
        """Count what another one of the same classes has counted."""
        self.counts = [
            ours + theirs for ours, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.seconds += other.seconds

    def reading(self) -> Durations:
        """A frozen copy."""
        return Durations(self.bounds, tuple(self.counts), self.seconds)
