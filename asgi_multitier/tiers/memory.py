"""The tier in this process: bounded by bytes and by entries; an order says which slot leaves.

Invariants:

1. The accounted bytes are never above `max_bytes`: room is made before a slot goes in.
2. A refused or removed slot is counted once, by cause: slots offered = held + removed + refused.
3. `get` and `find` take no lock, read no clock (unless `max_idle` is set) and do not check
   freshness: the reader does, since it needs the entry's times anyway.
4. A slot that left has a view that equals no index's, so a reader that holds it looks again. Of
   what `clear` removed this holds as soon as it is freed; until then, the index has gone on.

No call does the work of many others: every `set` removes a few expired entries and frees a few of
those that `clear` removed.

Not thread-safe: it belongs to the event loop's thread, as do all of its readers.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args
from weakref import WeakMethod

from .._types import Clock
from ..entry import LEFT, MAX_USES, Entry, Slot
from ..errors import ConfigError
from .ends import Ends
from .gdsf import Gdsf
from .idle import LastUses
from .leaving import Leaving
from .order import Order
from .own_cache import OwnCache, SlotCache
from .s3_fifo import S3Fifo

Cause: TypeAlias = Literal["size", "count", "expired", "idle", "replaced", "deleted", "cleared"]
"""Why a slot was removed: bytes, number of entries, expiry, disuse, a newer slot, or a call."""

Keep: TypeAlias = Literal["used", "slow"]
"""What stays when room is needed."""

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
        refused: Slots that were not kept: larger than the whole tier, or large and asked for once
            while others would have had to leave (see `s3_fifo`).
    """

    entries: int
    bytes: int
    max_bytes: int
    max_entries: int
    evictions: Mapping[Cause, int]
    refused: int


_MAX_BYTES = 64 * 1024 * 1024


class MemoryTier:
    """A `LocalTier` that keeps what is in use, or what was slow to make.

    Args:
        max_bytes: Bytes of all slots together, an estimate of the process's memory (see
            `entry.size_of`). None is 64 MiB, or the bound of a `cache` that has `getsizeof`.
        max_entries: Number of slots.
        max_idle: Seconds after which an unused slot is removed; None for no such bound. Costs a
            clock reading per `get`.
        keep: What stays when room is needed. "used": what is asked for (S3-FIFO, see `s3_fifo`).
            "slow": what took long to make, for its size and its uses (GDSF, see `gdsf`).
        cache: An empty cache of cachetools, which decides instead: `LFUCache(1000)`, or
            `LRUCache(10_000_000, getsizeof=lambda slot: slot.size)`. The other bounds hold too.
        clock: The clock of the entries' times, in seconds.

    Attributes:
        find: See `FindingTier`.
        holdable: The same; not with `max_idle` or `cache`, where the tier must see each use.

    Raises:
        ConfigError: If a bound is not above 0, `keep` is another word, or `cache` is no such cache.
    """

    def __init__(
        self,
        max_bytes: int | None = None,
        max_entries: int = 100_000,
        *,
        max_idle: float | None = None,
        keep: Keep = "used",
        cache: SlotCache | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.name: str = "memory"
        self._slots: dict[str, Slot] = {}
        self._own = None if cache is None else OwnCache(cache, self._slots)
        self._max_bytes = _checked_bytes(max_bytes, self._own)
        _check_choices(max_entries, keep, max_idle, cache)
        self._bytes = 0
        self._max_entries = max_entries
        self._clock = clock
        self._order = self._own or _order(keep, self._slots, self._max_bytes)
        self._ends = Ends()
        self._leaving = Leaving()
        self._listeners: list[WeakMethod[Callable[[], None]]] = []
        self._uses = None if max_idle is None else LastUses(max_idle)
        self._evictions: dict[Cause, int] = dict.fromkeys(_CAUSES, 0)
        self._refused = 0
        self.holdable: bool = max_idle is None and cache is None
        self.find: Callable[[str], Slot | None] = (
            self._slots.get if self.holdable else self._find_told
        )

    def get(self, key: str) -> Slot | None:
        """The slot, now used once more, or None. It may be stale or expired."""
        slot = self.find(key)
        if slot is not None and slot.uses < MAX_USES:
            slot.uses += 1
        return slot

    def look(self, key: str) -> Slot | None:
        """The slot, or None; counts as no use, and changes nothing. See `WatchedTier`."""
        slot = self._slots.get(key)
        if slot is None or (self._own is not None and not self._own.has(key)):
            return None
        if self._uses is not None and self._uses.is_idle(key, self._clock()):
            return None
        return slot

    def set(self, slot: Slot) -> bool:
        """Keep the slot under its entry's key, replacing any other, which hands on its uses.

        Returns:
            False if it was refused, see `MemoryStatistics.refused`. What the key held before is
            removed even then, as it is outdated.
        """
        key = slot.entry.key
        now = self._clock()
        self._sweep(now, _SWEEP)
        if self._leaving:
            self._leaving.free(_SWEEP, self._max_bytes - self._bytes - slot.size)
        if (old := self._slots.get(key)) is not None:
            slot.uses = max(slot.uses, old.uses)
            if self._replace(old, slot, now):
                return True
        if self._admits(slot):
            self._make_room(slot)
            if self._order.add(slot):
                self._hold(slot, now)
                return True
        self._refused += 1
        return False

    def resize(self, slot: Slot, size: int) -> bool:
        """Account so many bytes for a slot that is held; see `ResizingTier`."""
        if self._slots.get(slot.entry.key) is not slot or size > self._max_bytes:
            return False
        while self._bytes - slot.size + size > self._max_bytes:
            self._evict("size")
            if slot.view == LEFT:
                return False
        if not self._order.resize(slot, size):
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
        uses = () if self._uses is None else (self._uses.clear(),)
        parts = (*self._order.clear(), *self._ends.clear(), *uses)
        self._leaving.add(list(self._slots.values()), self._bytes, parts)
        self._slots.clear()
        self._bytes = 0
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
        for key in self._ends.around(now):
            if self._slots[key].entry.keep_until <= now:
                removed += self._remove(key, "expired")
        return removed

    def select(self, predicate: Callable[[Entry], bool]) -> list[Slot]:
        """The slots whose entry satisfies the predicate. Reads all; does not count as a use."""
        return [slot for slot in list(self._slots.values()) if predicate(slot.entry)]

    def slots(self) -> list[Slot]:
        """All slots, in no order; see `tiers.base.ListingTier`."""
        return list(self._slots.values())

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
        held = f"{len(self._slots)} of {self._max_entries} entries"
        return f"<MemoryTier {held}, {self._bytes} of {self._max_bytes} bytes>"

    # What comes in.

    def _replace(self, old: Slot, slot: Slot, now: float) -> bool:
        """Put the slot in the other's place if it fits there; else remove the other."""
        fits = self._bytes - old.size + slot.size <= self._max_bytes
        if not (fits and self._order.replace(old, slot)):
            self._remove(slot.entry.key, "replaced")
            return False
        view = slot.view
        self._left(old, "replaced")
        slot.view = view  # should it be the same slot
        self._hold(slot, now)
        return True

    def _admits(self, slot: Slot) -> bool:
        if slot.size > self._max_bytes:
            return False
        short = len(self._slots) >= self._max_entries or self._bytes + slot.size > self._max_bytes
        return self._order.admits(slot, short=short)

    def _make_room(self, slot: Slot) -> None:
        while self._bytes + slot.size > self._max_bytes:
            self._evict("size")
        while len(self._slots) >= self._max_entries:
            self._evict("count")
        while self._own is not None and self._own.is_full(slot):
            self._evict("size" if self._own.sized else "count")

    def _hold(self, slot: Slot, now: float) -> None:
        key = slot.entry.key
        self._slots[key] = slot
        self._bytes += slot.size
        self._ends.add(key, slot.entry.keep_until)
        if self._uses is not None:
            self._uses.note(key, now)

    # What leaves.

    def _evict(self, cause: Cause) -> None:
        self._left(self._slots.pop(self._order.pop()), cause)

    def _remove(self, key: str, cause: Cause) -> bool:
        slot = self._slots.pop(key, None)
        if slot is None:
            return False
        self._order.remove(slot, over=cause == "expired")
        self._left(slot, cause)
        return True

    def _left(self, slot: Slot, cause: Cause) -> None:
        slot.view = LEFT
        self._bytes -= slot.size
        self._evictions[cause] += 1
        key = slot.entry.key
        self._ends.remove(key, slot.entry.keep_until)
        if self._uses is not None:
            self._uses.forget(key)

    def _find_told(self, key: str) -> Slot | None:
        """What is there, if it is neither idle nor over by the user's cache, which see each use."""
        slot = self._slots.get(key)
        if slot is None:
            return None
        if self._own is not None and not self._own.ask(key):
            self._remove(key, "expired")
            return None
        if self._uses is not None:
            now = self._clock()
            if self._uses.is_idle(key, now):
                self._remove(key, "idle")
                return None
            self._uses.note(key, now)
        return slot

    def _sweep(self, now: float, limit: int) -> int:
        removed = 0
        while removed < limit and (key := self._ends.pop_over(now)) is not None:
            removed += self._remove(key, "expired")
        if self._own is not None:
            removed += sum([self._remove(key, "expired") for key in self._own.lapsed()])
        if (uses := self._uses) is not None:
            while removed < limit and (key := uses.longest_idle(now)) is not None:
                removed += self._remove(key, "idle")
        return removed


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


def _order(keep: Keep, slots: Mapping[str, Slot], max_bytes: int) -> Order:
    return S3Fifo(slots, max_bytes) if keep == "used" else Gdsf(slots)


def _checked_bytes(max_bytes: object, own: OwnCache | None) -> int:
    if max_bytes is None:
        return int(own.maxsize) if own is not None and own.sized else _MAX_BYTES
    _check_bound("max_bytes", max_bytes)
    assert isinstance(max_bytes, int)  # noqa: S101  # narrows the type
    return max_bytes


def _check_choices(max_entries: int, keep: object, max_idle: float | None, cache: object) -> None:
    _check_bound("max_entries", max_entries)
    where = "MemoryTier"
    if keep not in get_args(Keep):
        raise ConfigError.of("keep", keep, '"used" or "slow"', where=where)
    if keep != "used" and cache is not None:
        raise ConfigError.of("keep", keep, "left out with cache=, which decides", where=where)
    if max_idle is None:
        return
    if type(max_idle) not in (int, float) or not 0 < max_idle < math.inf:
        raise ConfigError.of("max_idle", max_idle, "seconds above 0, or None", where=where)
