"""The order of leaving of a cache of the user's own: any of cachetools, or one derived from it."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from cachetools import Cache

from ..entry import Slot
from ..errors import ConfigError
from .order import Part

SlotCache: TypeAlias = Cache[str, Slot]
"""A cache of slots by key. With `getsizeof=lambda slot: slot.size` its bound is in bytes; without,
it is a number of slots."""


class OwnCache:
    """An order of leaving by what a cache of cachetools says.

    The cache has a bound of its own, besides the tier's. What it drops by itself, as its time is
    over, is found by `lapsed`.

    Args:
        cache: The cache, empty.
        slots: The tier's slots by key.

    Raises:
        ConfigError: If it is no such cache, or not empty.
    """

    __slots__ = ("_cache", "_slots", "sized")

    def __init__(self, cache: SlotCache, slots: Mapping[str, Slot]) -> None:
        given: object = cache
        if not isinstance(given, Cache) or Cache.__len__(given):
            allowed = "an empty cache of cachetools, such as LRUCache(1000), or None"
            raise ConfigError.of("cache", cache, allowed, where="MemoryTier")
        self._cache = cache
        self._slots = slots
        self.sized: bool = cache.getsizeof is not Cache.getsizeof

    @property
    def maxsize(self) -> float:
        """The cache's bound, in its own unit."""
        return self._cache.maxsize

    def admits(self, slot: Slot, *, short: bool) -> bool:  # noqa: ARG002  # see `Order`
        """Whether it is no larger than the whole cache."""
        return self._size(slot) <= self._cache.maxsize

    def is_full(self, slot: Slot) -> bool:
        """Whether others have to leave for a slot, by the cache's own bound."""
        return bool(self._slots) and self._cache.currsize + self._size(slot) > self._cache.maxsize

    def add(self, slot: Slot) -> bool:
        """Put it into the cache; False if that does not keep it."""
        self._cache[slot.entry.key] = slot
        return self.has(slot.entry.key)

    def replace(self, old: Slot, slot: Slot) -> bool:
        """As the cache replaces, if nothing has to leave for it."""
        key = slot.entry.key
        if self._size(slot) > self._size(old) or not self.has(key):
            return False
        return self.add(slot)

    def resize(self, slot: Slot, size: int) -> bool:
        """Not in a cache with sizes, which notes them when a slot comes in."""
        return size == slot.size or not self.sized

    def remove(self, slot: Slot, *, over: bool) -> None:  # noqa: ARG002
        """Take it out of the cache."""
        try:
            del self._cache[slot.entry.key]
        except KeyError:
            return  # its time there is over

    def ask(self, key: str) -> bool:
        """Tell the cache that a key is asked for; False if its time there is over."""
        return self._cache.get(key) is not None

    def lapsed(self) -> Iterable[str]:
        """The keys that the cache has dropped by itself."""
        expire: Any = getattr(self._cache, "expire", None)
        if expire is not None:
            expire()
        if Cache.__len__(self._cache) == len(self._slots):
            return ()
        return [key for key in self._slots if not self.has(key)]

    def pop(self) -> str:
        """See `Order.pop`."""
        for key in self.lapsed():
            return key
        try:
            return self._cache.popitem()[0]
        except KeyError:  # the last have lapsed just now
            return next(iter(self._slots))

    def clear(self) -> Iterable[Part]:
        """Empty the cache."""
        self._cache.clear()
        return ()

    def _size(self, slot: Slot) -> float:
        return self._cache.getsizeof(slot)

    def has(self, key: str) -> bool:
        """Whether its time there is not over; the cache is not told that it is asked for."""
        return Cache.__contains__(self._cache, key)
