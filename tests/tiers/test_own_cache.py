"""A memory tier whose slots leave in the order of a cache of the user's own."""

import pytest
from cachetools import FIFOCache, LFUCache, LRUCache, RRCache, TLRUCache, TTLCache
from msgspec.structs import replace

from asgi_multitier.entry import LEFT, Slot
from asgi_multitier.errors import ConfigError
from asgi_multitier.testing import FakeClock, value_entry
from asgi_multitier.tiers.base import is_holdable
from asgi_multitier.tiers.memory import MemoryTier
from asgi_multitier.tiers.own_cache import SlotCache
from tests.tiers.own_caches import CACHES, DropsOldest, size_of_slot

NOW = 1_000.0


def a_slot(key: str, size: int = 100) -> Slot:
    slot = Slot(replace(value_entry(key), keep_until=NOW + 3_600))
    slot.size = size
    return slot


def keys(tier: MemoryTier) -> set[str]:
    return {slot.entry.key for slot in tier.select(lambda _: True)}


def evictions(tier: MemoryTier) -> dict[str, int]:
    return {str(k): v for k, v in tier.statistics().evictions.items() if v}


@pytest.mark.parametrize(
    ("cache", "left"),
    [
        pytest.param(LRUCache(3), "b", id="least recently used"),
        pytest.param(LFUCache(3), "c", id="least frequently used"),
        pytest.param(FIFOCache(3), "a", id="first in"),
        pytest.param(RRCache(3, choice=max), "c", id="at random"),
    ],
)
def test_the_cache_says_which_slot_leaves(cache: SlotCache, left: str) -> None:
    """It sees each look-up; the slot that left is believed by no reader that holds it."""
    tier = MemoryTier(cache=cache, clock=FakeClock(NOW))
    slots = {key: a_slot(key) for key in "abc"}
    for slot in slots.values():
        tier.set(slot)
    for key in "bbac":
        tier.find(key)
    tier.get("a")
    tier.get("a")
    tier.set(a_slot("d"))

    assert keys(tier) == set("abcd") - {left}
    assert evictions(tier) == {"count": 1}
    assert slots[left].view == LEFT
    assert not is_holdable(tier)


def test_a_cache_of_bytes_bounds_the_tier() -> None:
    """Its bound is the tier's, unless another is given as well; the cause says so."""
    tier = MemoryTier(cache=LRUCache(300, getsizeof=size_of_slot), clock=FakeClock(NOW))
    for key in "abcd":
        tier.set(a_slot(key))

    assert tier.statistics().max_bytes == 300
    assert keys(tier) == set("bcd")
    assert evictions(tier) == {"size": 1}
    assert not tier.set(a_slot("large", 301))
    assert tier.statistics().refused == 1


def test_the_tiers_own_bounds_hold_too() -> None:
    """A cache that counts slots does not make the bytes boundless."""
    counted = MemoryTier(250, cache=LRUCache(1_000), clock=FakeClock(NOW))
    few = MemoryTier(max_entries=2, cache=LRUCache(1_000), clock=FakeClock(NOW))
    for key in "abc":
        counted.set(a_slot(key))
        few.set(a_slot(key))

    assert MemoryTier(cache=LRUCache(7)).statistics().max_bytes == 64 * 1024 * 1024
    assert keys(counted) == keys(few) == set("bc")
    assert (evictions(counted), evictions(few)) == ({"size": 1}, {"count": 1})


def test_a_cache_in_another_unit_has_its_own_bound() -> None:
    """Such as the length of bodies, of which the tier knows nothing."""
    cache: SlotCache = LRUCache(5, getsizeof=lambda slot: len(slot.entry.payload))
    tier = MemoryTier(10_000, cache=cache, clock=FakeClock(NOW))
    tier.set(Slot(value_entry("a", b"123")))
    tier.set(Slot(value_entry("b", b"123")))

    assert keys(tier) == {"b"}
    assert not tier.set(Slot(value_entry("c", b"123456")))
    tier.set(Slot(value_entry("b", b"12345")))
    assert keys(tier) == {"b"}


@pytest.mark.parametrize("kind", ["TTLCache", "TLRUCache"])
@pytest.mark.parametrize("noticed_by", ["get", "set", "expire"])
def test_what_the_cache_lets_end_is_over(kind: str, noticed_by: str) -> None:
    """A cache with lifetimes of its own: a slot past it is not found, and counted as expired."""
    clock = FakeClock(NOW)
    cache: SlotCache = (
        TTLCache(10, 5, clock)
        if kind == "TTLCache"
        else TLRUCache(10, lambda _key, _slot, now: now + 5, clock)
    )
    tier = MemoryTier(cache=cache, clock=clock)
    slot = a_slot("a")
    tier.set(slot)
    clock.advance(5)
    if noticed_by == "get":
        assert tier.get("a") is None
    elif noticed_by == "set":
        tier.set(a_slot("b"))
    else:
        assert tier.expire() == 1

    assert "a" not in keys(tier)
    assert evictions(tier) == {"expired": 1}
    assert slot.view == LEFT
    assert tier.set(a_slot("a"))
    assert tier.get("a") is not None


def test_a_cache_that_refuses_is_believed() -> None:
    """One whose lifetime for a slot is over already keeps nothing."""
    clock = FakeClock(NOW)
    tier = MemoryTier(cache=TLRUCache(10, lambda _key, _slot, now: now, clock), clock=clock)

    assert not tier.set(a_slot("a"))
    assert (len(tier), tier.statistics().refused) == (0, 1)


def test_slots_end_though_the_cache_would_keep_them() -> None:
    """The entry's own time counts as well."""
    clock = FakeClock(NOW)
    cache: SlotCache = LRUCache(10)
    tier = MemoryTier(cache=cache, clock=clock)
    tier.set(a_slot("a"))
    clock.advance(3_600)

    assert tier.expire() == 1
    assert len(cache) == 0


def test_replacing_is_use_as_the_cache_sees_it() -> None:
    """A slot that is no larger stands in the place of the other; its uses go on."""
    tier = MemoryTier(cache=LFUCache(2), clock=FakeClock(NOW))
    for key in "ab":
        tier.set(a_slot(key))
    for _ in range(3):
        tier.get("a")
    tier.get("b")
    tier.set(a_slot("a", 90))
    tier.get("b")
    tier.set(a_slot("c"))

    assert keys(tier) == {"a", "c"}
    assert tier.statistics().bytes == 190


def test_what_a_cache_drops_by_itself_is_found_out() -> None:
    """The tier's books are those of what is there."""
    tier = MemoryTier(cache=DropsOldest(12), clock=FakeClock(NOW))
    for number in range(30):
        tier.set(a_slot(str(number)))
        tier.expire()

    held = tier.statistics()
    assert held.entries == 11
    assert held.bytes == 1_100
    assert evictions(tier) == {"expired": 19}


def test_clearing_empties_the_cache() -> None:
    """And it can be used again."""
    cache: SlotCache = LRUCache(3)
    tier = MemoryTier(cache=cache, clock=FakeClock(NOW))
    tier.set(a_slot("a"))
    tier.clear()

    assert len(cache) == 0
    assert tier.set(a_slot("a"))


def test_a_cache_that_is_in_use_is_refused() -> None:
    """What is in it would be in no book of the tier."""
    cache: SlotCache = LRUCache(3)
    cache["a"] = a_slot("a")

    with pytest.raises(ConfigError, match="MemoryTier: cache="):
        MemoryTier(cache=cache)


@pytest.mark.parametrize("name", CACHES)
def test_idle_bound_holds_with_any_cache(name: str) -> None:
    """What is not asked for in time leaves both."""
    clock = FakeClock(NOW)
    tier = MemoryTier(max_idle=10, cache=CACHES[name](), clock=clock)
    tier.set(a_slot("a"))
    tier.set(a_slot("b"))
    clock.advance(9)
    assert tier.get("a") is not None
    clock.advance(1)

    assert tier.get("b") is None
    assert tier.get("a") is not None
    assert evictions(tier) == {"idle": 1}
