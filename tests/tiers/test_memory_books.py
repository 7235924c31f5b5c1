"""The books of a memory tier, against a model that knows what was offered and nothing of orders."""

import random
from collections.abc import Callable
from functools import partial

import pytest
from cachetools import LFUCache
from msgspec.structs import replace

from asgi_multitier.entry import LEFT, MAX_USES, Slot
from asgi_multitier.testing import FakeClock, value_entry
from asgi_multitier.tiers.gdsf import Gdsf
from asgi_multitier.tiers.memory import MemoryTier
from asgi_multitier.tiers.s3_fifo import LARGE_BYTES, S3Fifo

MAX_BYTES, MAX_ENTRIES = 20 * LARGE_BYTES, 35
KEYS = [f"key {number}" for number in range(400)]


class Books:
    """A tier, and what is known of it without looking inside.

    Args:
        make: Makes the tier from a clock.
        seed: Of the operations.
    """

    def __init__(self, make: Callable[[FakeClock], MemoryTier], seed: int) -> None:
        self.clock = FakeClock(1_000.0)
        self.tier = make(self.clock)
        self.find = self.tier.find
        self.rng = random.Random(seed)
        self.last: dict[str, Slot] = {}  # of each key, the slot that was taken last
        self.offered = self.deleted = self.cleared = self.refused = 0

    def set(self, key: str) -> None:
        rng = self.rng
        large = rng.random() < 0.02
        cost = rng.random()
        life = rng.choice([0.5, 3.0, 30.0, 300.0, float("inf")])
        slot = Slot(replace(value_entry(key), cost=cost, keep_until=self.clock.now + life))
        slot.view = 7
        slot.size = rng.randrange(1, MAX_BYTES + MAX_BYTES // 4 if large else LARGE_BYTES)
        self.offered += 1
        if self.tier.set(slot):
            self.last[key] = slot
            assert self.find(key) is slot
        else:
            self.refused += 1
            self.last.pop(key, None)
            assert self.find(key) is None

    def ask(self, key: str) -> None:
        slot = self.find(key)
        if slot is not None:
            assert slot is self.last[key]
            assert slot.view == 7
            slot.uses = min(MAX_USES, slot.uses + 1)

    def grow(self, key: str) -> None:
        slot = self.find(key)
        if slot is not None:
            size = slot.size + self.rng.randrange(-slot.size // 2, LARGE_BYTES)
            if self.tier.resize(slot, size):
                assert slot.size == size
                assert self.find(key) is slot

    def delete(self, key: str) -> None:
        was_there = self.find(key) is not None
        assert self.tier.delete(key) is was_there
        self.deleted += was_there
        assert self.find(key) is None

    def step(self) -> None:
        """One operation, mostly on popular keys."""
        rng = self.rng
        kind = rng.random()
        key = KEYS[int(rng.paretovariate(0.4)) % len(KEYS)]
        if kind < 0.4:
            self.ask(key)
        elif kind < 0.45:
            self.grow(key)
        elif kind < 0.9:
            self.set(key)
        elif kind < 0.95:
            self.delete(key)
        elif kind < 0.9985:
            self.clock.advance(rng.random() * 2)
        elif kind < 0.9995:
            self.tier.expire()
        else:
            self.cleared += len(self.tier)
            self.tier.clear()
            assert len(self.tier) == 0

    def check(self) -> None:
        """All that was offered is held, has left by one cause, or was refused."""
        reading = self.tier.statistics()
        held = self.tier.select(lambda _: True)
        assert reading.bytes == sum(slot.size for slot in held) <= MAX_BYTES
        assert reading.bytes + self.tier._leaving.bytes <= MAX_BYTES
        assert reading.entries == len(held) == len(self.tier) <= MAX_ENTRIES
        assert self.offered == reading.entries + sum(reading.evictions.values()) + reading.refused
        assert reading.refused == self.refused
        assert reading.evictions["deleted"] == self.deleted
        assert reading.evictions["cleared"] == self.cleared
        keys = {slot.entry.key for slot in held}
        assert all(self.last[slot.entry.key] is slot for slot in held)
        assert all(slot.view == 7 for slot in held)
        if not self.tier._leaving:
            gone = [slot for key, slot in self.last.items() if key not in keys]
            assert all(slot.view == LEFT for slot in gone)
        assert len(self.tier._ends) == sum(slot.entry.keep_until < float("inf") for slot in held)
        assert self.tier._ends.seconds <= 4 * len(held) + 256
        order = self.tier._order
        if isinstance(order, S3Fifo | Gdsf):
            assert order.records <= 4 * len(held) + 256
        if isinstance(order, S3Fifo):
            assert order._bytes == reading.bytes
            assert order._small_bytes == sum(slot.size for slot in held if not slot.rank)
            assert len(order._small) == sum(not slot.rank for slot in held)
            assert len(order._main) == sum(slot.rank for slot in held)


bounded = partial(MemoryTier, MAX_BYTES, MAX_ENTRIES)
MAKES: dict[str, Callable[[FakeClock], MemoryTier]] = {
    "used": lambda clock: bounded(clock=clock),
    "used, idle bound": lambda clock: bounded(clock=clock, max_idle=20),
    "slow": lambda clock: bounded(clock=clock, keep="slow"),
    "own": lambda clock: bounded(clock=clock, cache=LFUCache(30)),
}


@pytest.mark.no_cover  # it repeats what others cover
@pytest.mark.parametrize("name", MAKES)
def test_books_are_exact_whatever_is_done(name: str) -> None:
    """Over 75,000 operations for each order, checked in full every hundred."""
    books = Books(MAKES[name], seed=len(name))
    for number in range(75_000):
        books.step()
        if number % 100 == 0:
            books.check()
    books.check()

    evictions = books.tier.statistics().evictions
    causes = {cause for cause, count in evictions.items() if count}
    never = {"idle"} if "idle" not in name else set()
    assert causes == set(evictions) - never
    assert books.refused > 0
