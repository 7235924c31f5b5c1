"""Which keys come most often, lately: so many counters, and each count loses half of it in a while.

"Efficient Computation of Frequent and Top-k Elements in Data Streams", Metwally and others, ICDT
2005 (Space-Saving); a count that fades is one in which later ones weigh more ("Forward decay",
Cormode and others, ICDE 2009).
"""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import msgspec

T = TypeVar("T")

COUNTERS: Final = 256
"""Keys that are counted apart."""

HALF_LIFE: Final = 60.0
"""Seconds after which what was counted weighs half as much."""

_HEAVIEST = 2.0**40


class _Count(msgspec.Struct, Generic[T]):
    """Of one key: the most that it can be, by how much that may be too much, and the last seen."""

    most: float
    error: float
    last: T


class Frequent(Generic[T]):
    """Counts keys.

    Args:
        counters: Keys that are counted apart: the one that came least makes room for another.
        half_life: Seconds after which what was counted weighs half as much.
    """

    def __init__(self, counters: int = COUNTERS, half_life: float = HALF_LIFE) -> None:
        self._counters = counters
        self._half_life = half_life
        self._counts: dict[str, _Count[T]] = {}
        self._total = 0.0
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: str, seen: T, now: float) -> None:
        """Count a key.

        Args:
            key: The key.
            seen: What is to be told of it; the last counts.
            now: Monotonic seconds.
        """
        weight = self._weight(now)
        if weight > _HEAVIEST:
            self._begin_again(weight, now)
            weight = 1.0
        self._total += weight
        count = self._counts.get(key)
        if count is None:
            error = self._make_room()
            self._counts[key] = _Count(error + weight, error, seen)
        else:
            count.most += weight
            count.last = seen

    def total(self, now: float) -> float:
        """How much was counted, as of now."""
        return self._total / self._weight(now)

    def top(self) -> Iterator[tuple[str, float, T]]:
        """Keys, the most frequent first: with the share that it has at least, and what was seen."""
        ranked = sorted(self._counts.items(), key=lambda pair: pair[1].error - pair[1].most)
        for key, count in ranked:
            yield key, (count.most - count.error) / self._total, count.last

    def _weight(self, now: float) -> float:
        # Beyond, what was counted before is nothing: no float may overflow.
        return float(2.0 ** min((now - self._since) / self._half_life, 1_000.0))

    def _make_room(self) -> float:
        """What the key that left may have been counted for, if one had to."""
        if len(self._counts) < self._counters:
            return 0.0
        least = min(self._counts, key=lambda key: self._counts[key].most)
        return self._counts.pop(least).most

    def _begin_again(self, weight: float, now: float) -> None:
        """Divide by the weight of this moment, which is 1 from here on."""
        self._since = now
        self._total /= weight
        for count in self._counts.values():
            count.most /= weight
            count.error /= weight
