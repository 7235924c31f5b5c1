"""The order of leaving by what it costs to bring a slot back."""

import pytest
from msgspec.structs import replace

from asgi_multitier.entry import Slot
from asgi_multitier.testing import FakeClock, value_entry
from asgi_multitier.tiers.gdsf import Gdsf
from asgi_multitier.tiers.memory import MemoryTier


def a_slot(key: str, cost: float = 0.0, size: int = 100) -> Slot:
    slot = Slot(replace(value_entry(key), cost=cost))
    slot.size = size
    return slot


class Ordered:
    """Slots in an order, without bounds."""

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self.order = Gdsf(self.slots)

    def add(self, *slots: Slot) -> None:
        for slot in slots:
            assert self.order.add(slot)
            self.slots[slot.entry.key] = slot

    def replace(self, slot: Slot) -> None:
        key = slot.entry.key
        assert self.order.replace(self.slots[key], slot)
        self.slots[key] = slot

    def leave(self, count: int = 1) -> list[str]:
        keys = []
        for _ in range(count):
            key = self.order.pop()
            del self.slots[key]
            keys.append(key)
        return keys


def test_what_is_slow_to_make_for_its_size_stays() -> None:
    """Seconds of the fill for each byte count, not seconds alone."""
    held = Ordered()
    held.add(a_slot("slow", 2.0), a_slot("quick", 0.1), a_slot("slow and large", 3.0, 10_000))

    assert held.leave(3) == ["slow and large", "quick", "slow"]


def test_an_unknown_cost_counts_as_a_little() -> None:
    """Of those, the smallest stays the longest, and all leave before what took time."""
    held = Ordered()
    held.add(a_slot("large", size=200), a_slot("small", size=50), a_slot("made", 1.0))

    assert held.leave(3) == ["large", "small", "made"]


def test_uses_count() -> None:
    """What was asked for is ranked again when its turn comes, with its uses."""
    held = Ordered()
    held.add(a_slot("a", 1.0), a_slot("b", 1.5))
    held.slots["a"].uses = 3

    assert held.leave(2) == ["b", "a"]


def test_what_is_not_asked_for_leaves_in_the_end() -> None:
    """However slow it was: what leaves raises the level that later slots begin at."""
    held = Ordered()
    held.add(a_slot("slow", 1.0))
    left: list[str] = []
    for number in range(500):
        held.add(a_slot(str(number), 0.01))
        left += held.leave() if len(held.slots) > 3 else []

    assert "slow" in left


def test_no_caller_waits_until_all_are_ranked_again() -> None:
    """However many are in use, one leaves after a bounded number of steps."""
    held = Ordered()
    held.add(*(a_slot(str(number), 1.0) for number in range(3_000)))
    for slot in held.slots.values():
        slot.uses = 3
    held.leave()

    assert sum(slot.uses == 0 for slot in held.slots.values()) <= 100


@pytest.mark.parametrize("how", ["replaced", "removed", "replaced by turns"])
def test_records_left_behind_are_bounded(how: str) -> None:
    """Records of what is not there any more are tidied in steps, and none of the others is lost."""
    held = Ordered()
    held.add(*(a_slot(f"other {number}", 1.0) for number in range(100)))
    held.add(a_slot("a"))
    for number in range(5_000):
        if how == "removed":
            held.order.remove(held.slots.pop("a"), over=False)
            held.add(a_slot("a", 0.5))
        else:
            held.replace(a_slot("a", number % 2 if how == "replaced by turns" else 0.5))
        assert held.order.records <= 3 * len(held.slots) + 64

    assert len(set(held.leave(101))) == 101


def test_clearing_begins_again() -> None:
    """The level too."""
    held = Ordered()
    held.add(a_slot("a", 5.0))
    held.leave()
    held.add(a_slot("b", 1.0))
    parts = held.order.clear()
    held.slots.clear()

    assert sum(map(len, parts)) == 1
    held.add(a_slot("c", 1.0), a_slot("d", 2.0))
    assert held.leave(2) == ["c", "d"]
    assert held.order._level <= 0.02


def test_a_tier_keeps_what_was_slow() -> None:
    """With `keep="slow"`; a slot that replaces another brings its own cost."""
    tier = MemoryTier(300, keep="slow", clock=FakeClock())
    for slot in (a_slot("slow", 5.0), a_slot("quick", 0.1), a_slot("quicker", 0.01)):
        tier.set(slot)
    tier.set(a_slot("quicker", 9.0))
    tier.set(a_slot("new", 1.0))

    assert {slot.entry.key for slot in tier.select(lambda _: True)} == {"slow", "quicker", "new"}
