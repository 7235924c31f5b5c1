"""The tier in memory: its bounds, its order of leaving, and what it counts."""

import math

import pytest
from cachetools import LRUCache
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from asgi_multitier.entry import LEFT, MAX_USES, Slot
from asgi_multitier.errors import ConfigError
from asgi_multitier.testing import FakeClock, value_entry
from asgi_multitier.tiers.base import finder, is_holdable
from asgi_multitier.tiers.memory import Keep, MemoryTier
from asgi_multitier.tiers.null import NullLocalTier

NOW = 1_000.0


def a_slot(key: str, size: int = 100, *, keep: float = 60.0) -> Slot:
    """A slot that says it takes so many bytes, of use for so many seconds."""
    slot = Slot(replace(value_entry(key), keep_until=NOW + keep))
    slot.size = size
    return slot


def keys(tier: MemoryTier) -> set[str]:
    return {slot.entry.key for slot in tier.select(lambda _: True)}


def evictions(tier: MemoryTier) -> dict[str, int]:
    """The causes that were counted."""
    return {str(k): v for k, v in tier.statistics().evictions.items() if v}


def test_least_recently_used_leaves_first() -> None:
    """Reading is use: what was read stays longer than what was set after it."""
    tier = MemoryTier(max_bytes=300, clock=FakeClock())
    for key in "abc":
        tier.set(a_slot(key))
    tier.get("a")
    tier.set(a_slot("d"))

    assert keys(tier) == {"a", "c", "d"}
    assert evictions(tier) == {"size": 1}


def test_a_large_slot_makes_room_for_itself() -> None:
    """As many leave as are needed, and no more."""
    tier = MemoryTier(max_bytes=300, clock=FakeClock())
    for key in "abc":
        tier.set(a_slot(key))
    tier.set(a_slot("d", 150))

    assert keys(tier) == {"c", "d"}
    assert tier.statistics().bytes == 250


@pytest.mark.parametrize(
    ("size", "kept"), [(299, True), (300, True), (301, False)], ids=["below", "exact", "above"]
)
def test_slot_larger_than_the_tier_is_refused(size: int, kept: bool) -> None:
    """The bound is what one slot may take at most; nothing else leaves for one that cannot fit."""
    tier = MemoryTier(max_bytes=300, clock=FakeClock())
    tier.set(a_slot("other", 1))

    assert tier.set(a_slot("a", size)) is kept
    assert (tier.get("a") is not None) is kept
    assert tier.statistics().refused == int(not kept)
    assert (tier.get("other") is None) is (size == 300)


def test_refused_slot_takes_its_predecessor_along() -> None:
    """A newer value that does not fit must not leave the older one to be served."""
    tier = MemoryTier(max_bytes=300, clock=FakeClock())
    tier.set(a_slot("a"))

    assert tier.set(a_slot("a", 301)) is False
    assert tier.get("a") is None
    assert tier.statistics().bytes == 0
    assert evictions(tier) == {"replaced": 1}


def test_number_of_entries_is_bounded() -> None:
    """However small they are."""
    tier = MemoryTier(max_entries=2, clock=FakeClock())
    for key in "abc":
        tier.set(a_slot(key))

    assert keys(tier) == {"b", "c"}
    assert evictions(tier) == {"count": 1}


def test_replacing_needs_no_room_for_another_entry() -> None:
    """A full tier replaces without evicting, and accounts for the new size only."""
    tier = MemoryTier(max_bytes=300, max_entries=2, clock=FakeClock())
    tier.set(a_slot("a", 150))
    tier.set(a_slot("b", 150))
    tier.set(a_slot("a", 100))

    assert keys(tier) == {"a", "b"}
    assert tier.statistics().bytes == 250
    assert evictions(tier) == {"replaced": 1}


def test_what_is_over_leaves_before_what_is_in_use() -> None:
    """Dead entries make room first, whatever their place in the order of use."""
    clock = FakeClock(NOW)
    tier = MemoryTier(max_bytes=200, clock=clock)
    tier.set(a_slot("living"))
    tier.set(a_slot("dead", keep=5))
    clock.advance(5)
    tier.set(a_slot("new"))

    assert keys(tier) == {"living", "new"}
    assert evictions(tier) == {"expired": 1}


@pytest.mark.parametrize(
    ("max_idle", "over"),
    [
        pytest.param(None, 100, id="over"),
        pytest.param(1, 0, id="idle"),
        pytest.param(1, 4, id="a few over, the others idle"),
    ],
)
def test_one_set_removes_a_few_dead_entries_only(max_idle: float | None, over: int) -> None:
    """No caller pays for all that has expired or is idle; the backlog shrinks with every set."""
    clock = FakeClock(NOW)
    tier = MemoryTier(max_idle=max_idle, clock=clock)
    for i in range(100):
        tier.set(a_slot(f"dead-{i}", keep=1.0 if i < over else 60.0))
    clock.advance(2)
    tier.set(a_slot("a"))

    assert len(tier) == 93
    for i in range(13):
        tier.set(a_slot(f"new-{i}"))
    assert len(tier) == 14


def test_expire_removes_all_that_is_over() -> None:
    """At once, by the tier's clock or the reading given; the end itself is over."""
    clock = FakeClock(NOW)
    tier = MemoryTier(clock=clock)
    for i in range(100):
        tier.set(a_slot(f"dead-{i}", keep=1))
    tier.set(a_slot("later", keep=10))
    tier.set(a_slot("never", keep=math.inf))

    assert tier.expire(NOW + 0.9) == 0
    clock.advance(1)
    assert tier.expire() == 100
    assert keys(tier) == {"later", "never"}
    assert tier.expire(NOW + 1e9) == 1
    assert keys(tier) == {"never"}


def test_replaced_entry_does_not_end_its_successor() -> None:
    """The lifetime given last counts."""
    clock = FakeClock(NOW)
    tier = MemoryTier(clock=clock)
    tier.set(a_slot("a", keep=1))
    tier.set(a_slot("a", keep=60))
    clock.advance(2)

    assert tier.expire() == 0
    assert tier.get("a") is not None


def test_hot_key_does_not_grow_the_memory_of_ends() -> None:
    """A key set again and again leaves a bounded number of records behind, and still ends."""
    clock = FakeClock(NOW)
    tier = MemoryTier(clock=clock)
    for i in range(1_000):
        tier.set(a_slot("hot", keep=60 + i))

    assert tier._ends.seconds <= 70
    clock.advance(60 + 999)
    assert tier.expire() == 1


def test_keeping_track_of_ends_is_never_done_for_all_at_once() -> None:
    """A slot that leaves early takes its record along, so there are as many as there are slots."""
    clock = FakeClock(NOW)
    tier = MemoryTier(max_entries=50, clock=clock)
    for i in range(1_000):
        tier.set(a_slot(f"{i % 100}", keep=60 + i % 7 + i / 1000))
        assert len(tier._ends) == len(tier) <= 50
    assert tier._ends.seconds <= 8
    clock.advance(68)

    assert tier.expire() == 50
    assert (len(tier._ends), tier._ends.seconds) == (0, 1)  # the second that has not ended


def test_what_was_cleared_is_given_back_in_steps() -> None:
    """A few with every set, and never so late that both together are above the bound."""
    tier = MemoryTier(max_bytes=10_000, clock=FakeClock(NOW))
    for i in range(100):
        tier.set(a_slot(f"old-{i}"))
    tier.clear()
    tier.set(a_slot("new"))

    assert keys(tier) == {"new"}
    assert len(tier._leaving) == 92
    tier.clear()
    for i in range(5):
        tier.set(a_slot(f"more-{i}"))
    tier.set(a_slot("large", size=9_000))
    assert tier._leaving.bytes + tier.statistics().bytes <= 10_000
    for i in range(50):
        tier.set(a_slot(f"last-{i}"))
    assert not tier._leaving
    assert evictions(tier)["cleared"] == 101


def test_idle_entry_leaves() -> None:
    """Not asked for during `max_idle`, it is gone, though its own time is not over."""
    clock = FakeClock(NOW)
    tier = MemoryTier(max_idle=10, clock=clock)
    tier.set(a_slot("asked"))
    tier.set(a_slot("idle"))
    clock.advance(9)
    assert tier.get("asked") is not None
    clock.advance(1)

    assert tier.get("idle") is None
    assert tier.get("asked") is not None
    assert evictions(tier) == {"idle": 1}


def test_idle_entries_that_nobody_reads_are_swept() -> None:
    """Setting others removes them, the longest idle first."""
    clock = FakeClock(NOW)
    tier = MemoryTier(max_idle=10, clock=clock)
    tier.set(a_slot("a"))
    clock.advance(5)
    tier.set(a_slot("b"))
    clock.advance(5)
    tier.set(a_slot("c"))

    assert keys(tier) == {"b", "c"}
    clock.advance(10)
    assert tier.expire() == 2
    assert evictions(tier) == {"idle": 3}


def test_use_puts_off_the_sweep_of_one_not_of_others() -> None:
    """One that is asked for does not keep those alive that came after it."""
    clock = FakeClock(NOW)
    tier = MemoryTier(max_idle=10, clock=clock)
    tier.set(a_slot("asked"))
    tier.set(a_slot("idle"))
    clock.advance(5)
    tier.get("asked")
    clock.advance(5)
    tier.set(a_slot("new"))

    assert keys(tier) == {"asked", "new"}


def test_idle_bound_forgets_what_left_otherwise() -> None:
    """Deleting, clearing and replacing leave nothing behind that would leave a second time."""
    clock = FakeClock(NOW)
    tier = MemoryTier(max_idle=10, max_entries=2, clock=clock)
    for key in "abca":
        tier.set(a_slot(key))
    tier.delete("a")
    tier.clear()
    clock.advance(20)

    assert tier.expire() == 0
    assert evictions(tier) == {"count": 2, "deleted": 1, "cleared": 1}


def test_without_idle_bound_reading_asks_no_clock() -> None:
    """The hit path reads the clock once, and that is the reader's own reading."""
    calls = []
    tier = MemoryTier(clock=lambda: calls.append(1) or NOW)  # type: ignore[func-returns-value]
    tier.set(a_slot("a"))
    calls.clear()

    assert tier.get("a") is not None
    assert calls == []


def test_looking_through_is_not_use() -> None:
    """`select` leaves the order as it was."""
    tier = MemoryTier(max_entries=3, clock=FakeClock())
    for key in "abc":
        tier.set(a_slot(key))

    assert [slot.entry.key for slot in tier.select(lambda entry: entry.key == "a")] == ["a"]
    tier.set(a_slot("d"))
    assert keys(tier) == {"b", "c", "d"}


def test_statistics_are_a_frozen_reading() -> None:
    """Later changes do not show in it, and nobody can change it."""
    tier = MemoryTier(max_bytes=300, max_entries=7, clock=FakeClock())
    tier.set(a_slot("a"))
    reading = tier.statistics()
    tier.clear()

    assert (reading.entries, reading.bytes) == (1, 100)
    assert (reading.max_bytes, reading.max_entries) == (300, 7)
    assert reading.evictions["cleared"] == 0
    with pytest.raises(TypeError):
        reading.evictions["cleared"] = 1  # type: ignore[index]


def test_repr_shows_what_is_held() -> None:
    """A person sees how full it is."""
    tier = MemoryTier(max_bytes=300, max_entries=7, clock=FakeClock())
    tier.set(a_slot("a"))

    assert repr(tier) == "<MemoryTier 1 of 7 entries, 100 of 300 bytes>"


@pytest.mark.parametrize(
    "options",
    [
        {"max_bytes": 0},
        {"max_bytes": 1.5},
        {"max_bytes": True},
        {"max_entries": 0},
        {"max_entries": -1},
        {"max_idle": 0},
        {"max_idle": math.inf},
        {"max_idle": math.nan},
        {"max_idle": True},
        {"keep": "fresh"},
        {"keep": None},
        {"keep": "slow", "cache": LRUCache(1)},
        {"cache": {}},
        {"cache": LRUCache},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    """The error names the option and what is allowed."""
    with pytest.raises(ConfigError, match=f"MemoryTier: {next(iter(options))}="):
        MemoryTier(**options)  # type: ignore[arg-type]


def test_find_counts_no_use_and_get_does() -> None:
    """A plain hit looks up at the speed of a dict and counts by itself, up to a bound."""
    tier = MemoryTier(clock=FakeClock())
    slot = a_slot("a")
    tier.set(slot)

    assert tier.find("a") is slot
    assert tier.find("absent") is None
    assert slot.uses == 0
    for _ in range(MAX_USES + 1):
        tier.get("a")
    assert slot.uses == MAX_USES


def test_what_finds_stays_the_same_object() -> None:
    """A reader takes it once; clearing does not make it look elsewhere."""
    tier = MemoryTier(clock=FakeClock())
    find = finder(tier)
    tier.set(a_slot("a"))
    tier.clear()
    tier.set(again := a_slot("a"))

    assert find("a") is again


class OnlyRequired:
    """A local tier with what each must have, and no more."""

    name = "plain"

    def get(self, key: str) -> Slot | None:
        return None

    def set(self, slot: Slot) -> bool:
        return False

    def delete(self, key: str) -> bool:
        return False

    def clear(self) -> None:
        pass

    def __len__(self) -> int:
        return 0


def test_who_may_hold_slots() -> None:
    """Not with an idle bound, which has to see each use; nor where a tier does not say so."""
    assert is_holdable(MemoryTier())
    assert not is_holdable(MemoryTier(max_idle=1))
    assert not is_holdable(NullLocalTier())
    assert finder(NullLocalTier())("a") is None
    plain = OnlyRequired()
    assert not is_holdable(plain)
    assert finder(plain) == plain.get


def test_finding_with_an_idle_bound_is_use() -> None:
    """It puts off the end of what is asked for, and finds nothing that is idle."""
    clock = FakeClock(NOW)
    tier = MemoryTier(max_idle=10, clock=clock)
    tier.set(slot := a_slot("a"))
    clock.advance(9)
    assert tier.find("a") is slot
    clock.advance(9)
    assert tier.find("a") is slot
    clock.advance(10)

    assert tier.find("a") is None
    assert slot.view == LEFT


@pytest.mark.parametrize("cause", ["size", "count", "expired", "idle", "replaced", "deleted"])
def test_a_slot_that_has_left_is_believed_by_no_reader(cause: str) -> None:
    """Its view equals no index's, whatever it left for; that of a slot that stays is untouched."""
    clock = FakeClock(NOW)
    idle = 5 if cause == "idle" else None
    tier = MemoryTier(max_bytes=300, max_entries=2, max_idle=idle, clock=clock)
    slot = a_slot("a", keep=4 if cause == "expired" else 60)
    slot.view = 7
    tier.set(slot)
    assert slot.view == 7
    if cause in ("size", "count"):
        tier.set(a_slot("b", 250 if cause == "size" else 1))
        tier.set(a_slot("c", 1))
    elif cause == "replaced":
        tier.set(a_slot("a"))
    elif cause == "deleted":
        tier.delete("a")
    else:
        clock.advance(5)
        tier.expire()

    assert evictions(tier) == {cause: 1}
    assert slot.view == LEFT


def test_setting_a_slot_again_leaves_its_view() -> None:
    """It is not one that has left."""
    tier = MemoryTier(clock=FakeClock())
    slot = a_slot("a")
    slot.view = 7
    tier.set(slot)
    tier.set(slot)

    assert tier.find("a") is slot
    assert slot.view == 7


class Reader:
    """Someone who holds slots, and looks again when told."""

    def __init__(self, tier: MemoryTier) -> None:
        self.told: list[int] = []
        self._tier = tier
        tier.on_clear(self.cleared)

    def cleared(self) -> None:
        self.told.append(len(self._tier))


def test_readers_are_told_that_all_has_left() -> None:
    """At once, when nothing is found any more; the slots themselves follow as they are freed."""
    tier = MemoryTier(clock=FakeClock(NOW))
    reader, gone = Reader(tier), Reader(tier)
    slots = [a_slot(str(number)) for number in range(20)]
    for slot in slots:
        tier.set(slot)
    del gone
    tier.clear()

    assert reader.told == [0]
    for number in range(5):
        tier.set(a_slot(str(number)))
    assert {slot.view for slot in slots} == {LEFT}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["set", "set", "set", "get", "delete", "clear", "expire", "wait"]),
            st.sampled_from("abcdefgh"),
            st.integers(1, 350),
        ),
        max_size=60,
    ),
    st.sampled_from([None, 7.0]),
)
def test_bounds_and_counts_hold_whatever_is_done(
    steps: list[tuple[str, str, int]], max_idle: float | None
) -> None:
    """Never above its bounds; what was offered is held, has left by one cause, or was refused."""
    clock = FakeClock(NOW)
    tier = MemoryTier(max_bytes=300, max_entries=4, max_idle=max_idle, clock=clock)
    offered = 0
    for step, key, number in steps:
        if step == "set":
            slot = Slot(replace(value_entry(key), keep_until=clock.now + number % 11))
            slot.size = number
            offered += 1
            assert tier.set(slot) is (number <= 300)
        elif step == "wait":
            clock.advance(number % 5)
        elif step == "get":
            tier.get(key)
        elif step == "delete":
            tier.delete(key)
        elif step == "clear":
            tier.clear()
        else:
            tier.expire()
        reading = tier.statistics()
        held = tier.select(lambda _: True)
        assert reading.bytes == sum(slot.size for slot in held) <= 300
        assert reading.entries == len(held) <= 4
        assert offered == reading.entries + sum(reading.evictions.values()) + reading.refused


@pytest.mark.parametrize(
    ("size", "grown", "left"),
    [
        (150, True, {"a", "b"}),
        (200, True, {"a", "b"}),
        (201, True, {"a"}),
        (301, False, {"a", "b"}),
    ],
)
def test_a_slot_that_grows_makes_room(size: int, grown: bool, left: set[str]) -> None:
    """As one that comes; one that would be larger than the tier stays as it is."""
    tier = MemoryTier(max_bytes=300, clock=FakeClock())
    slots = [a_slot(key) for key in "ba"]
    for slot in slots:
        tier.set(slot)
    last = slots[-1]
    tier.get("a")

    assert tier.resize(last, size) is grown
    assert keys(tier) == left
    assert last.size == (size if grown else 100)
    assert tier.statistics().bytes == 100 * (len(left) - 1) + last.size
    assert tier.resize(last, 100)  # and smaller again
    assert tier.statistics().bytes == 100 * len(left)


@pytest.mark.parametrize("how", ["deleted", "replaced", "cleared", "never-in-it"])
def test_a_slot_that_has_left_does_not_grow(how: str) -> None:
    """Nor does the one that took its place."""
    tier = MemoryTier(max_bytes=300, clock=FakeClock())
    slot, newer = a_slot("a"), a_slot("a")
    if how != "never-in-it":
        tier.set(slot)
    if how == "deleted":
        tier.delete("a")
    elif how == "replaced":
        tier.set(newer)
    elif how == "cleared":
        tier.clear()
    before = tier.statistics().bytes

    assert not tier.resize(slot, 200)
    assert (slot.size, newer.size, tier.statistics().bytes) == (100, 100, before)


def test_a_slot_may_leave_while_it_makes_room() -> None:
    """Where all others are in use and it is not: nothing is accounted for it then."""
    tier = MemoryTier(max_bytes=300, clock=FakeClock())
    slot = a_slot("a")
    tier.set(slot)
    for key in "bc":
        tier.set(a_slot(key))
        tier.get(key)

    assert not tier.resize(slot, 200)
    assert keys(tier) == {"b", "c"}
    assert tier.statistics().bytes == 200


@pytest.mark.parametrize("keep", ["used", "slow"])
def test_a_slot_that_grows_makes_room_for_itself(keep: Keep) -> None:
    """In every order of leaving; what is accounted for it leaves with it."""
    tier = MemoryTier(300, keep=keep, clock=FakeClock())
    for key in "abc":
        tier.set(a_slot(key))
    grown = tier.find("c")
    assert grown is not None
    assert tier.resize(grown, 150)

    assert (len(tier), tier.statistics().bytes) == (2, 250)
    assert evictions(tier) == {"size": 1}
    assert not tier.resize(grown, 301)
    tier.delete("c")
    assert tier.statistics().bytes == 100
    assert not tier.resize(grown, 150)
    tier.set(a_slot("d", 200))
    assert tier.statistics().bytes == 300


def test_a_slot_of_a_cache_with_sizes_does_not_grow() -> None:
    """The cache has noted its size; one that counts slots does not mind."""
    sized = MemoryTier(cache=LRUCache(300, getsizeof=lambda slot: slot.size), clock=FakeClock())
    counted = MemoryTier(300, cache=LRUCache(2), clock=FakeClock())
    for tier, grows in ((sized, False), (counted, True)):
        slot = a_slot("a")
        tier.set(slot)
        assert tier.resize(slot, 100)
        assert tier.resize(slot, 150) is grows
        assert tier.statistics().bytes == (150 if grows else 100)
