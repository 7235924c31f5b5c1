"""The tier in this process: bounded by bytes and by entries; what is in use stays the longest.

Invariants:

1. The accounted bytes are never above `max_bytes`: room is made before a slot goes in.
2. A refused or removed slot is counted once, by cause: slots offered = held + removed + refused.
3. `get` and `find` take no lock, read no clock (unless `max_idle` is set) and do not check
   freshness: the reader does, since it needs the entry's times anyway.
4. A slot that left has a view that equals no index's, so a reader that holds it looks again. Of
   what `clear` removed this holds as soon as it is given back; until then, the index has gone on.

No call does the work of many others. Expired entries are removed in order of their time: they are
in buckets of one second, from which a slot that leaves earlier is removed as well, and every `set`
removes at most `_SWEEP` of them. What `clear` forgets is freed in the same steps: freeing 50,000
entries at once stops the event loop for 85 ms.

It is one class, as all of its methods keep the same books. Not thread-safe: it belongs to the event
loop's thread, as do all of its readers.
"""

import heapq
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args
from weakref import WeakMethod

from .._types import Clock
from ..entry import LEFT, MAX_USES, Entry, Slot
from ..errors import ConfigError

Cause: TypeAlias = Literal["size", "count", "expired", "idle", "replaced", "deleted", "cleared"]
"""Why a slot was removed: bytes, number of entries, expiry, disuse, a newer slot, or a call."""

_CAUSES: tuple[Cause, ...] = get_args(Cause)
_ROUND = 500
"""Slots that go round once more, at most, before one leaves whatever its uses."""

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


class MemoryTier:
    """A `LocalTier` that keeps what is in use: what has a hit since it came goes round once more.

    Args:
        max_bytes: Bytes of all slots together, an estimate of the process's memory (see
            `entry.size_of`).
        max_entries: Number of slots.
        max_idle: Seconds after which an unused slot is removed; None for no such bound. Costs a
            clock reading per `get`.
        clock: The clock of the entries' times, in seconds.

    Attributes:
        find, holdable: See `FindingTier`. With `max_idle` the tier must see each use, so slots are
            not to be held.

    Raises:
        ConfigError: If a bound is not above 0.
    """

    __slots__ = (
        "_bytes",
        "_clock",
        "_due",
        "_evictions",
        "_held",
        "_leaving",
        "_listeners",
        "_max_bytes",
        "_max_entries",
        "_max_idle",
        "_refused",
        "_seconds",
        "_slots",
        "_used",
        "find",
        "holdable",
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
        self._slots: OrderedDict[str, Slot] = OrderedDict()
        self._bytes = 0
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._max_idle = max_idle
        self._clock = clock
        self._due: dict[int, dict[str, None]] = {}
        self._seconds: list[int] = []
        self._leaving: list[list[Slot]] = []
        self._held = 0
        self._listeners: list[WeakMethod[Callable[[], None]]] = []
        self._used: OrderedDict[str, float] | None = None if max_idle is None else OrderedDict()
        self._evictions: dict[Cause, int] = dict.fromkeys(_CAUSES, 0)
        self._refused = 0
        self.find: Callable[[str], Slot | None] = (
            self._slots.get if max_idle is None else self._find_unless_idle
        )
        self.holdable = max_idle is None

    def get(self, key: str) -> Slot | None:
        """The slot, now used once more, or None. It may be stale or expired."""
        slot = self.find(key)
        if slot is not None and slot.uses < MAX_USES:
            slot.uses += 1
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
        if (old := slots.get(key)) is not None:
            slot.uses = max(slot.uses, old.uses)
            view = slot.view
            self._remove(key, "replaced")
            slot.view = view  # should it be the same slot
        if slot.size > self._max_bytes:
            self._refused += 1
            return False
        while self._bytes + slot.size > self._max_bytes:
            self._remove_oldest("size")
        while len(slots) >= self._max_entries:
            self._remove_oldest("count")
        slots[key] = slot
        self._bytes += slot.size
        if self._used is not None:
            self._used[key] = now
        self._remember_due(slot)
        return True

    def resize(self, slot: Slot, size: int) -> bool:
        """Account so many bytes for a slot that is held; see `ResizingTier`."""
        if self._slots.get(slot.entry.key) is not slot or size > self._max_bytes:
            return False
        while self._bytes - slot.size + size > self._max_bytes:
            self._remove_oldest("size")
            if slot.view == LEFT:
                return False
        self._bytes += size - slot.size
        slot.size = size
        return True

    def delete(self, key: str) -> bool:
        """Forget the key; True if it was there."""
        return self._remove(key, "deleted")

    def clear(self) -> None:
        """Forget everything."""
        self._evictions["cleared"] += len(self._slots)
        if self._slots:
            self._leaving.append(list(self._slots.values()))
            self._held += self._bytes
        self._slots.clear()
        self._bytes = 0
        self._due, self._seconds = {}, []
        if self._used is not None:
            self._used = OrderedDict()
        self._listeners = [listener for listener in self._listeners if _called(listener)]

    def on_clear(self, listener: Callable[[], None]) -> None:
        """Call a bound method before each `clear` returns, as long as its object lives."""
        self._listeners.append(WeakMethod(listener))

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
            slot = self._slots.get(key)
            if slot is not None and slot.entry.keep_until <= now:
                removed += self._remove(key, "expired")
        return removed

    def select(self, predicate: Callable[[Entry], bool]) -> list[Slot]:
        """The slots whose entry satisfies the predicate. Reads all; does not count as a use."""
        found = (self._slots.get(key) for key in list(self._slots))
        return [slot for slot in found if slot is not None and predicate(slot.entry)]

    def statistics(self) -> MemoryStatistics:
        """Frozen statistics of what is held and what was removed."""
        return MemoryStatistics(
            entries=len(self._slots),
            bytes=self._bytes,
            max_bytes=self._max_bytes,
            max_entries=self._max_entries,
            evictions=MappingProxyType(dict(self._evictions)),
            refused=self._refused,
        )

    def __len__(self) -> int:
        return len(self._slots)

    def __repr__(self) -> str:
        return (
            f"<MemoryTier {len(self._slots)} of {self._max_entries} entries, "
            f"{self._bytes} of {self._max_bytes} bytes>"
        )

    def _remove(self, key: str, cause: Cause) -> bool:
        slot = self._slots.pop(key, None)
        if slot is None:
            return False
        self._left(slot, cause)
        return True

    def _remove_oldest(self, cause: Cause) -> None:
        """Of the slots, the first that has had no hit since it came or last went round."""
        slots = self._slots
        for _ in range(_ROUND):
            key, slot = next(iter(slots.items()))
            if not slot.uses:
                break
            slot.uses = 0
            slots.move_to_end(key)
        _, slot = slots.popitem(last=False)
        self._left(slot, cause)

    def _left(self, slot: Slot, cause: Cause) -> None:
        key, until = slot.entry.key, slot.entry.keep_until
        slot.view = LEFT
        self._bytes -= slot.size
        self._evictions[cause] += 1
        if until < math.inf and (bucket := self._due.get(math.ceil(until))) is not None:
            bucket.pop(key, None)
        if self._used is not None:
            del self._used[key]

    def _find_unless_idle(self, key: str) -> Slot | None:
        slot = self._slots.get(key)
        if slot is None or self._used is None:
            return None
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
        room = self._max_bytes - self._bytes
        while leaving and (given < _SWEEP or room - self._held < size):
            slot = leaving[0].pop()
            slot.view = LEFT
            self._held -= slot.size
            given += 1
            if not leaving[0]:
                leaving.pop(0)


def _called(listener: WeakMethod[Callable[[], None]]) -> bool:
    """Whether there was still somebody to call."""
    method = listener()
    if method is None:
        return False
    method()
    return True


def _check_bound(option: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        allowed = "a whole number from 1 (NullLocalTier keeps nothing)"
        raise ConfigError.of(option, value, allowed, where="MemoryTier")
