"""When the entries of a local tier are over: their keys, in buckets of one second.

A key that leaves earlier is taken out of its bucket, so there are as many records as entries. Empty
buckets are forgotten in steps.
"""

import math
from collections.abc import Iterable
from heapq import heappop, heappush

_STEP = 16
"""Seconds that are looked at for each key that comes, while there are many without keys."""

_LEAST = 64
"""Seconds without keys that may be remembered, however few keys there are."""


class Ends:
    """The seconds at whose end keys are over."""

    __slots__ = ("_buckets", "_keys", "_rest", "_seconds")

    def __init__(self) -> None:
        self._buckets: dict[int, dict[str, None] | None] = {}
        self._seconds: list[int] = []
        self._rest: list[int] = []  # a heap as well, which is being tidied
        self._keys = 0

    def __len__(self) -> int:
        return self._keys

    @property
    def seconds(self) -> int:
        """Seconds that are remembered, those without keys included."""
        return len(self._buckets)

    def add(self, key: str, until: float) -> None:
        """Remember a key that is not there; one that is never over needs none."""
        if until == math.inf:
            return
        second = math.ceil(until)
        bucket = self._buckets.get(second)
        if bucket is None:
            if second not in self._buckets:
                heappush(self._seconds, second)
            bucket = self._buckets[second] = {}
            self._tidy()
        bucket[key] = None
        self._keys += 1

    def remove(self, key: str, until: float) -> None:
        """Forget a key, if it is there."""
        if until == math.inf:
            return
        second = math.ceil(until)
        bucket = self._buckets.get(second)
        if bucket is None or key not in bucket:
            return
        del bucket[key]
        self._keys -= 1
        if not bucket:
            self._buckets[second] = None
        elif bucket.__sizeof__() > 400 + 200 * len(bucket):
            # A dict keeps the room of what was taken out of it.
            self._buckets[second] = bucket.copy()

    def pop_over(self, now: float) -> str | None:
        """Take out a key of a second that has ended, the earliest first; None if there is none."""
        while self._buckets and (second := self._first()) <= now:
            bucket = self._buckets[second]
            if bucket:
                self._keys -= 1
                return bucket.popitem()[0]
            del self._buckets[second]
            heappop(self._rest if self._rest and self._rest[0] == second else self._seconds)
        return None

    def around(self, now: float) -> list[str]:
        """The keys of the second that has not ended, some of which are over."""
        return list(self._buckets.get(math.ceil(now)) or ())

    def clear(self) -> Iterable[dict[str, None]]:
        """Forget all. Returns what holds the keys."""
        buckets = [bucket for bucket in self._buckets.values() if bucket]
        self._buckets, self._seconds, self._rest, self._keys = {}, [], [], 0
        return buckets

    def _first(self) -> int:
        seconds, rest = self._seconds, self._rest
        if not rest:
            return seconds[0]
        return min(seconds[0], rest[0]) if seconds else rest[0]

    def _tidy(self) -> None:
        """Forget some seconds that have no keys, if there are many."""
        if not self._rest and len(self._buckets) > 2 * self._keys + _LEAST:
            self._rest, self._seconds = self._seconds, self._rest
        for _ in range(min(_STEP, len(self._rest))):
            second = self._rest.pop()  # the last of a heap: the others are a heap still
            if self._buckets[second] is None:  # not merely empty: one may be about to be filled
                del self._buckets[second]
            else:
                heappush(self._seconds, second)
