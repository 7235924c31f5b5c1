"""The tier in this process: an LRU bounded by bytes and by entries.

Invariants:

1. The accounted bytes are never above `max_bytes`: room is made before a slot goes in.
2. A refused or removed slot is counted once, by cause: slots offered = held + removed + refused.
3. `get` takes no lock, reads no clock (unless `max_idle` is set) and does not check freshness: the
   reader does, since it needs the entry's times anyway.

No call does the work of many others. Expired entries are removed in order of their time: they are
in buckets of one second, from which a slot that leaves earlier is removed as well, and every `set`
removes at most `_SWEEP` of them. What `clear` forgets is freed in the same steps: freeing 50,000
entries at once stops the event loop for 85 ms.

Not thread-safe: it belongs to the event loop's thread, as do all of its readers.
"""

import heapq
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from cachetools import Cache, LRUCache

from .._types import Clock
from ..entry import Entry, Slot
from ..errors import ConfigError

Cause: TypeAlias = Literal["size", "count", "expired", "idle", "replaced", "deleted", "cleared"]
"""Why a slot was removed: bytes, number of entries, expiry, disuse, a newer slot, or a call."""

_CAUSES: tuple[Cause, ...] = get_args(Cause)
_SWEEP = 8
"""Expired slots that one `set` removes; more than it adds, so that the backlog shrinks."""


@dataclass(frozen=True, slots=True)
class MemoryStatistics:
    """Statistics of a `MemoryTier`, counted since it was created.

    Attributes:
        entries: Slots held.
        bytes: Bytes accounted for them.
        max_bytes: The bound of `bytes`.
        max_entries: The bound of `entries`.
        evictions: Slots removed, by cause; every cause is present.
        refused: Slots that were larger than the whole tier.
    """

    entries: int
    bytes: int
    max_bytes: int
    max_entries: int
    evictions: Mapping[Cause, int]
    refused: int


class _Slots(LRUCache[str, Slot]):
    """The LRU. An absent key reads as None, which saves the hit path a second look-up."""

    def __missing__(self, key: str) -> None:  # type: ignore[override]  # deliberate, see above
        return None

    @staticmethod
    def getsizeof(value: Slot) -> int:
        return value.size

    def peek(self, key: str) -> Slot | None:
        """The slot, without counting as a use."""
        return Cache.__getitem__(self, key)


class MemoryTier:
    """A `LocalTier` that keeps the most recently used entries.

    Args:
        max_bytes: Bytes of all slots together, an estimate of the process's memory (see
            `entry.size_of`).
        max_entries: Number of slots.
        max_idle: Seconds after which an unused slot is removed; None for no such bound. Costs a
            clock reading per `get`.
        clock: The clock of the entries' times, in seconds.

    Raises:
        ConfigError: If a bound is not above 0.
    """

    __slots__ = (
        "_clock",
        "_due",
        "_evictions",
        "_leaving",
        "_max_entries",
        "_max_idle",
        "_refused",
        "_seconds",
        "_slots",
        "_used",
        "name",
    )

    def __init__(
        self,
        max_bytes: int = 64 * 1024 * 1024,
        max_entries: int = 100_000,
        *,
        max_idle: float | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        _check_bound("max_bytes", max_bytes)
        _check_bound("max_entries", max_entries)
        if max_idle is not None and not 0 < max_idle < math.inf:
            raise ConfigError.of(
                "max_idle", max_idle, "seconds above 0, or None", where="MemoryTier"
            )
        self.name = "memory"
        self._slots = _Slots(max_bytes)
        self._max_entries = max_entries
        self._max_idle = max_idle
        self._clock = clock
        self._due: dict[int, dict[str, None]] = {}
        self._seconds: list[int] = []
        self._leaving: list[_Slots] = []
        self._used: OrderedDict[str, float] | None = None if max_idle is None else OrderedDict()
        self._evictions: dict[Cause, int] = dict.fromkeys(_CAUSES, 0)
        self._refused = 0

    def get(self, key: str) -> Slot | None:
        """The slot, now the most recently used, or None. It may be stale or expired."""
        slot = self._slots[key]
        if self._used is not None and slot is not None:
            return self._unless_idle(key, slot)
        return slot

    def set(self, slot: Slot) -> bool:
        """Keep the slot under its entry's key, replacing any other.

        Returns:
            False if it is larger than the whole tier. What the key held before is removed even
            then: it is outdated.
        """
        slots = self._slots
        key = slot.entry.key
        now = self._clock()
        self._sweep(now, _SWEEP)
        if self._leaving:
            self._give_back(slot.size)
        self._remove(key, "replaced")
        if slot.size > slots.maxsize:
            self._refused += 1
            return False
        while slots.currsize + slot.size > slots.maxsize:
            self._remove_oldest("size")
        while len(slots) >= self._max_entries:
            self._remove_oldest("count")
        slots[key] = slot
        if self._used is not None:
            self._used[key] = now
        self._remember_due(slot)
        return True

    def delete(self, key: str) -> bool:
        """Forget the key; True if it was there."""
        return self._remove(key, "deleted")

    def clear(self) -> None:
        """Forget everything."""
        self._evictions["cleared"] += len(self._slots)
        if self._slots:
            self._leaving.append(self._slots)
        self._slots = _Slots(int(self._slots.maxsize))
        self._due, self._seconds = {}, []
        if self._used is not None:
            self._used = OrderedDict()

    def expire(self, now: float | None = None) -> int:
        """Remove all expired slots at once. `set` does so in small steps anyway.

        Args:
            now: A reading of the tier's clock; None reads it.

        Returns:
            How many slots were removed, idle ones included.
        """
        now = self._clock() if now is None else now
        removed = self._sweep(now, len(self._slots))
        for key in list(self._due.get(math.ceil(now), ())):  # of the current second
            slot = self._slots.peek(key)
            if slot is not None and slot.entry.keep_until <= now:
                removed += self._remove(key, "expired")
        return removed

    def select(self, predicate: Callable[[Entry], bool]) -> list[Slot]:
        """The slots whose entry satisfies the predicate. Reads all; does not count as a use."""
        found = (self._slots.peek(key) for key in list(self._slots))
        return [slot for slot in found if slot is not None and predicate(slot.entry)]

    def statistics(self) -> MemoryStatistics:
        """Frozen statistics of what is held and what was removed."""
        return MemoryStatistics(
            entries=len(self._slots),
            bytes=int(self._slots.currsize),
            max_bytes=int(self._slots.maxsize),
            max_entries=self._max_entries,
            evictions=MappingProxyType(dict(self._evictions)),
            refused=self._refused,
        )

    def __len__(self) -> int:
        return len(self._slots)

    def __repr__(self) -> str:
        return (
            f"<MemoryTier {len(self._slots)} of {self._max_entries} entries, "
            f"{int(self._slots.currsize)} of {int(self._slots.maxsize)} bytes>"
        )

    def _remove(self, key: str, cause: Cause) -> bool:
        slot = self._slots.pop(key, None)
        if slot is None:
            return False
        self._left(slot, cause)
        return True

    def _remove_oldest(self, cause: Cause) -> None:
        _, slot = self._slots.popitem()
        self._left(slot, cause)

    def _left(self, slot: Slot, cause: Cause) -> None:
        key, until = slot.entry.key, slot.entry.keep_until
        self._evictions[cause] += 1
        if until < math.inf and (bucket := self._due.get(math.ceil(until))) is not None:
            bucket.pop(key, None)
        if self._used is not None:
            del self._used[key]

    def _unless_idle(self, key: str, slot: Slot) -> Slot | None:
        assert self._used is not None  # noqa: S101  # narrows the type
        now = self._clock()
        if self._is_idle(self._used[key], now):
            self._remove(key, "idle")
            return None
        self._used[key] = now
        self._used.move_to_end(key)
        return slot

    def _is_idle(self, used: float, now: float) -> bool:
        return self._max_idle is not None and now - used >= self._max_idle

    def _sweep(self, now: float, limit: int) -> int:
        expired = self._sweep_expired(now, limit)
        return expired + self._sweep_idle(now, limit - expired)

    def _sweep_expired(self, now: float, limit: int) -> int:
        removed = 0
        while removed < limit and self._seconds and self._seconds[0] <= now:
            bucket = self._due[self._seconds[0]]
            while bucket and removed < limit:
                removed += self._remove(next(iter(bucket)), "expired")
            if not bucket:
                del self._due[heapq.heappop(self._seconds)]
        return removed

    def _sweep_idle(self, now: float, limit: int) -> int:
        removed = 0
        while self._used and removed < limit:
            key, used = next(iter(self._used.items()))
            if not self._is_idle(used, now):
                break
            removed += self._remove(key, "idle")
        return removed

    def _remember_due(self, slot: Slot) -> None:
        if slot.entry.keep_until == math.inf:
            return
        second = math.ceil(slot.entry.keep_until)
        bucket = self._due.get(second)
        if bucket is None:
            if len(self._due) > 2 * len(self._slots) + 64:
                self._forget_empty()
            bucket = self._due[second] = {}
            heapq.heappush(self._seconds, second)
        bucket[slot.entry.key] = None

    def _forget_empty(self) -> None:
        """Remove the empty buckets, when there are many more buckets than slots."""
        self._due = {second: bucket for second, bucket in self._due.items() if bucket}
        self._seconds = sorted(self._due)

    def _give_back(self, size: int) -> None:
        """Free some of what was cleared: a few slots, and at least as many bytes as are added."""
        leaving, given = self._leaving, 0
        room = self._slots.maxsize - self._slots.currsize
        while leaving and (given < _SWEEP or room - self._held < size):
            leaving[0].popitem()
            given += 1
            if not leaving[0]:
                leaving.pop(0)

    @property
    def _held(self) -> float:
        """Bytes of what was cleared and not freed yet."""
        return sum(slots.currsize for slots in self._leaving)


def _check_bound(option: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        allowed = "a whole number from 1 (NullLocalTier keeps nothing)"
        raise ConfigError.of(option, value, allowed, where="MemoryTier")
