"""Caches of cachetools that users may bring, by name."""

from collections.abc import Callable
from functools import partial

from cachetools import FIFOCache, LFUCache, LRUCache, RRCache, TLRUCache, TTLCache

from asgi_multitier.entry import Slot
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers.own_cache import SlotCache


def size_of_slot(slot: Slot) -> int:
    """Bytes that a slot is accounted for."""
    return slot.size


class DropsOldest(LRUCache[str, Slot]):
    """One that drops more than it says."""

    def __setitem__(self, key: str, slot: Slot) -> None:  # type: ignore[override]  # names alone
        if len(self) > 10:
            self.popitem()
        super().__setitem__(key, slot)


def _in_a_minute(_key: str, _slot: Slot, now: float) -> float:
    return now + 60


CACHES: dict[str, Callable[[], SlotCache]] = {
    "LRUCache": partial(LRUCache, 12),
    "LRUCache, sized": partial(LRUCache, 100_000, getsizeof=size_of_slot),
    "LFUCache": partial(LFUCache, 12),
    "LFUCache, sized": partial(LFUCache, 100_000, getsizeof=size_of_slot),
    "FIFOCache": partial(FIFOCache, 12),
    "RRCache": partial(RRCache, 12),
    "TTLCache": partial(TTLCache, 12, 60, FakeClock()),
    "TTLCache, sized": partial(TTLCache, 100_000, 60, FakeClock(), getsizeof=size_of_slot),
    "TLRUCache": partial(TLRUCache, 12, _in_a_minute, FakeClock()),
    "derived": partial(DropsOldest, 12),
}
