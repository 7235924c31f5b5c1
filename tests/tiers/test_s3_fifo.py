"""The order of leaving by use, apart from a tier: its queues, its memory of keys, its bounds."""

import random

import pytest

from asgi_multitier.entry import MAX_USES, Slot
from asgi_multitier.testing import value_entry
from asgi_multitier.tiers.ghosts import Ghosts
from asgi_multitier.tiers.key_queue import KeyQueue
from asgi_multitier.tiers.s3_fifo import LARGE_BYTES, S3Fifo


class Ordered:
    """Slots in an order, without bounds."""

    def __init__(self, max_bytes: int = 1_000) -> None:
        self.slots: dict[str, Slot] = {}
        self.order = S3Fifo(self.slots, max_bytes)

    def add(self, *keys: str, size: int = 100, uses: int = 0) -> None:
        for key in keys:
            slot = Slot(value_entry(key))
            slot.size, slot.uses = size, uses
            self.order.add(slot)
            self.slots[key] = slot

    def ask(self, *keys: str, uses: int = 1) -> None:
        for key in keys:
            self.slots[key].uses = min(MAX_USES, self.slots[key].uses + uses)

    def leave(self, count: int = 1) -> list[str]:
        """The next keys that make room."""
        keys = []
        for _ in range(count):
            key = self.order.pop()
            del self.slots[key]
            keys.append(key)
        return keys

    def remove(self, key: str, *, over: bool = False) -> None:
        self.order.remove(self.slots.pop(key), over=over)


def test_what_nothing_asks_for_leaves_first_in_first_out() -> None:
    """Slots without uses leave in the order in which they came."""
    held = Ordered()
    held.add("a", "b", "c")

    assert held.leave(3) == ["a", "b", "c"]


def test_what_was_asked_for_outlives_all_that_was_not() -> None:
    """It goes to the main queue, and leaves when only such slots are left, one use later."""
    held = Ordered()
    held.add(*"abcd")
    held.ask("a", "c")

    assert held.leave(4) == ["b", "d", "a", "c"]


def test_a_crawl_displaces_nothing_that_is_in_use() -> None:
    """Of a thousand keys that come once, each leaves before any of the main queue."""
    held = Ordered()
    held.add(*"abcdefghij")
    held.ask(*"abcdefgh")
    assert held.leave() == ["i"]
    for number in range(1_000):
        held.add(f"crawled {number}")
        held.leave()

    assert set("abcdefgh") <= set(held.slots)


def test_a_key_that_comes_back_soon_is_in_use() -> None:
    """It had just left: it goes to the main queue, and the small one empties first."""
    held = Ordered()
    held.add("a", "b", "c")
    assert held.leave() == ["a"]
    held.add("a", "d", "e")

    assert held.leave(4) == ["b", "c", "d", "e"]


def test_in_the_main_queue_each_use_is_one_more_round() -> None:
    """The most used leaves last."""
    held = Ordered()
    held.add("a", "b", "c")
    held.leave(3)
    held.add("a", "b", "c")  # all were remembered
    held.ask("a", uses=3)
    held.ask("b", uses=1)

    assert held.leave(3) == ["c", "b", "a"]


@pytest.mark.parametrize("queue", ["small", "main"])
def test_no_caller_waits_until_all_have_gone_round(queue: str) -> None:
    """However many slots are in use, one leaves after a bounded number of steps."""
    held = Ordered()
    keys = [str(number) for number in range(5_000)]
    held.add(*keys)
    if queue == "main":
        held.leave(5_000)
        held.add(*keys)
    held.ask(*keys, uses=3)
    held.leave()

    assert sum(slot.uses < 3 for slot in held.slots.values()) <= 500


def test_the_small_queue_has_a_tenth_of_the_bytes() -> None:
    """While it has more, it makes room; else the main queue does, of what is not in use."""
    held = Ordered()
    held.add(*"abcdefghij")
    held.ask(*"abcdefghij")
    held.leave()  # nine in the main queue, none with uses since
    held.add("new", size=100)

    assert held.leave() == ["b"]
    held.add("newer", size=100)
    assert held.leave() == ["new"]


@pytest.mark.parametrize(
    ("over", "uses", "comes_back_to"),
    [(True, 1, "main"), (True, 0, "small"), (False, 1, "small")],
    ids=["over and in use", "over, never used", "deleted"],
)
def test_what_is_in_use_when_its_time_is_over(over: bool, uses: int, comes_back_to: str) -> None:
    """Filled again, it goes on as what is in use; what was deleted begins again."""
    held = Ordered()
    held.add("a")
    held.ask("a", uses=uses)
    held.remove("a", over=over)
    held.add("a")
    assert held.slots["a"].rank == (1 if comes_back_to == "main" else 0)


def test_a_replaced_slot_keeps_its_place() -> None:
    """In its queue, and with its bytes as they are now."""
    held = Ordered()
    held.add("a", "b")
    other = Slot(value_entry("a", b"other"))
    other.size = 50
    assert held.order.replace(held.slots["a"], other)
    held.slots["a"] = other

    assert held.leave(2) == ["a", "b"]
    assert (held.order._bytes, held.order._small_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("size", "short", "uses", "kept"),
    [
        (LARGE_BYTES, True, 0, [True, True]),
        (LARGE_BYTES + 1, True, 0, [False, True]),
        (LARGE_BYTES + 1, False, 0, [True, True]),
        (LARGE_BYTES + 1, True, 1, [True, True]),
    ],
    ids=["of a usual size", "large", "large, with room", "large, asked for before"],
)
def test_what_is_large_comes_in_when_it_comes_again(
    size: int, short: bool, uses: int, kept: list[bool]
) -> None:
    """Where others would have to leave for it, as it may never be asked for again."""
    held = Ordered(max_bytes=LARGE_BYTES * 10)
    slot = Slot(value_entry("a"))
    slot.size, slot.uses = size, uses

    assert [held.order.admits(slot, short=short) for _ in range(2)] == kept


def test_large_is_a_hundredth_of_a_large_tier() -> None:
    """In a tier of 100 MiB, what is larger than 1 MiB."""
    held = Ordered(max_bytes=100 * 1024 * 1024)
    slot = Slot(value_entry("a"))
    slot.size = 1024 * 1024
    assert held.order.admits(slot, short=True)
    slot.size += 1
    assert not held.order.admits(slot, short=True)


def test_clearing_forgets_what_was_remembered() -> None:
    """A key that comes back after it is new."""
    held = Ordered()
    held.add("a")
    held.leave()
    held.order.clear()
    held.add("a")

    assert held.slots["a"].rank == 0


# The memory of keys.


def test_ghosts_are_remembered_for_as_many_keys_as_asked() -> None:
    """The bound counts the keys that were added since."""
    ghosts = Ghosts()
    for number in range(100):
        ghosts.add(str(number), bound=50)

    assert not ghosts.has("absent", 1_000)
    assert [ghosts.has(str(number), 50) for number in (0, 49)] == [False, False]
    assert all(ghosts.has(str(number), 50) for number in range(90, 100))


def test_ghosts_grow_with_the_bound_and_forget_nothing_by_it() -> None:
    """The former table is asked until what it has is old; few keys are lost to others' places."""
    ghosts = Ghosts()
    for number in range(500):
        ghosts.add(str(number), bound=500)
    small = ghosts.bytes
    for number in range(500, 600):
        ghosts.add(str(number), bound=600)

    assert sum(ghosts.has(str(number), 600) for number in range(600)) > 500
    assert ghosts.bytes == small + 2 * small
    for number in range(600, 3_000):
        ghosts.add(str(number), bound=600)
    assert ghosts.bytes == 2 * small
    assert sum(ghosts.has(str(number), 600) for number in range(2_400, 3_000)) > 500


# The queue.


def test_queue_is_first_in_first_out_whatever_is_taken() -> None:
    """A key that was taken is skipped."""
    queue = KeyQueue()
    for key in "abcde":
        queue.push(key)
    queue.take("a")
    queue.take("c")

    assert len(queue) == 3
    assert [queue.pop() for _ in range(3)] == ["b", "d", "e"]
    with pytest.raises(IndexError):
        queue.pop()


def test_a_key_that_was_taken_may_come_again() -> None:
    """Its new place counts, not that of its former record."""
    queue = KeyQueue()
    for key in "abc":
        queue.push(key)
    queue.take("a")
    queue.push("a")

    assert [queue.pop() for _ in range(3)] == ["b", "c", "a"]


def test_records_of_taken_keys_are_bounded_at_any_time() -> None:
    """As many as there are keys, and a few; the order of the others stays."""
    rng = random.Random(5)
    queue = KeyQueue()
    present: dict[str, None] = {}
    for number in range(20_000):
        queue.push(str(number))
        present[str(number)] = None
        if len(present) > 300 or rng.random() < 0.5:
            taken = rng.choice(list(present)[-200:])
            queue.take(taken)
            del present[taken]
        assert len(queue) == len(present)
        assert queue.records <= 3 * len(queue) + 64
    assert [queue.pop() for _ in range(len(queue))] == list(present)


def test_one_key_that_comes_and_goes_leaves_little_behind() -> None:
    """Whatever the number of its rounds."""
    queue = KeyQueue()
    for _ in range(10_000):
        queue.push("a")
        queue.take("a")

    assert len(queue) == 0
    assert queue.records <= 64
