"""One hit in so many is chosen, each as likely as any other, and within a number of runs."""

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from asgi_multitier.engine.sampling import Doors, Picker, picker
from asgi_multitier.entry import Born, Entry, Slot, StoredResponse, Variants
from asgi_multitier.testing import FakeClock

FOREVER = float("inf")


def slot_of(key: str, payload: Any = None, fresh_until: float = FOREVER) -> Slot:
    """What a door finds."""
    response = StoredResponse(200, (), b"x") if payload is None else payload
    entry = Entry(
        key=key,
        payload=response,
        born=Born("", 0),
        created=0.0,
        fresh_until=fresh_until,
        keep_until=FOREVER,
        filled_at=0.0,
    )
    return Slot(entry)


class Timers:
    """An event loop whose time is that of a fake clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.pauses: list[float] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []

    def call_later(self, pause: float, call: Callable[[], None], *, context: object) -> Any:
        """Call it when so much time has passed."""
        self.pauses.append(pause)
        timer = (self.clock() + pause, len(self.pauses), call)
        heappush(self._timers, timer)
        return SimpleNamespace(cancel=lambda: self._timers.remove(timer))

    def advance(self, seconds: float) -> None:
        """So much time passes."""
        until = self.clock() + seconds
        while self._timers and self._timers[0][0] <= until:
            when, _, call = heappop(self._timers)
            self.clock.advance(max(0.0, when - self.clock()))
            call()
        self.clock.advance(max(0.0, until - self.clock()))


class Door:
    """Looks up what is there."""

    def __init__(self, slots: dict[str, Slot]) -> None:
        self.find = slots.get


class Traffic:
    """Requests at one door of a cache, and what is chosen of them.

    Args:
        rate, runs: The picker's.
        seed: For what is random.
        pause: Seconds between two hits.
    """

    def __init__(
        self, rate: float, runs: int = 10_000, *, seed: int = 1, pause: float = 0.001
    ) -> None:
        self.pause = pause
        self.timers = Timers(FakeClock())
        self.doors = Doors()
        self.slots = {f"p{number}": slot_of(f"p{number}") for number in range(10)}
        self.door: Any = Door(self.slots)
        self.doors.take(self.door)
        self.hits, self.routes = 0, 1
        self.chosen: Counter[str] = Counter()
        self.general = 0
        chance = Random(seed)  # nothing is secret
        count = lambda: (self.hits, self.routes)  # noqa: E731
        self.picker = Picker(rate, runs, count, self.doors, self.timers.clock, chance)
        loop: Any = self.timers
        self.picker.begin(loop)

    def hit(self, key: str, *, done: bool = True) -> bool:
        """One request that is a hit; whether it is chosen."""
        self.timers.advance(self.pause)
        self.hits += 1
        if self.door.find(key) is not None:
            return False
        return self._elsewhere(key, done=done)

    def hit_below(self, key: str) -> bool:
        """One request that a shared tier answers."""
        self.timers.advance(self.pause)
        self.hits += 1
        return self.picker.armed and self._elsewhere(key, done=True)

    def _elsewhere(self, key: str, *, done: bool) -> bool:
        """The general way answers a hit."""
        self.general += 1
        if not self.picker.chooses():
            return False
        self.chosen[key] += 1
        if done:
            self.picker.release()
        return True


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("rate", "hits"), [(1 / 1000, 200_000), (1 / 100, 20_000), (1 / 3, 3_000)])
def test_it_is_one_in_so_many(rate: float, hits: int, seed: int) -> None:
    """Within four standard deviations; and no other hit leaves the usual way."""
    made = Traffic(rate, seed=seed)
    for number in range(hits):
        made.hit(f"p{number % 10}")

    expected = hits * rate
    assert abs(made.chosen.total() - expected) <= 4 * expected**0.5
    assert made.general == made.chosen.total()
    assert made.picker.skipped == 0


def test_each_hit_is_as_likely_as_any_other() -> None:
    """Also of pages that come rarely."""
    made = Traffic(1 / 10)
    pages = ["p0", *["p1"] * 9, *["p2"] * 90]
    for _ in range(500):
        for page in pages:
            made.hit(page)

    shares = {page: made.chosen[page] / (500 * pages.count(page)) for page in ("p0", "p1", "p2")}
    assert shares == pytest.approx({"p0": 0.1, "p1": 0.1, "p2": 0.1}, abs=0.04)
    assert shares["p2"] == pytest.approx(0.1, abs=0.005)


def test_what_comes_in_bursts_is_chosen_as_often() -> None:
    """The rate is one of hits, not of seconds."""
    made, hits = Traffic(1 / 100), 0
    for burst in range(400):
        size = 1_000 if burst % 40 == 0 else 10
        hits += size
        for _ in range(size):
            made.hit("p0")
        made.timers.advance(3.0)

    assert abs(made.chosen.total() - hits / 100) <= 4 * (hits / 100) ** 0.5


def test_what_comes_first_after_a_pause_is_no_likelier() -> None:
    """A burst of twenty, then nothing for a while."""
    made = Traffic(1 / 10)
    for _ in range(3_000):
        for place in range(20):
            made.hit("p0" if place == 0 else "p1")
        made.timers.advance(1.0)

    share = made.chosen["p0"] / made.chosen.total()
    assert share == pytest.approx(1 / 20, abs=0.05)


def test_more_than_there_are_runs_for_is_skipped_and_counted() -> None:
    """Two runs a second, of a thousand hits of which half are due."""
    made = Traffic(1 / 2, runs=2)
    for number in range(10_000):
        made.hit(f"p{number % 10}")

    assert 18 <= made.chosen.total() <= 22
    assert made.picker.skipped + made.chosen.total() == pytest.approx(5_000, rel=0.1)


def test_no_more_go_on_at_a_time_than_begin_in_a_second() -> None:
    """However long they take."""
    made = Traffic(1 / 2, runs=3, pause=0.1)
    for number in range(1_000):
        made.hit(f"p{number % 10}", done=False)
    assert made.chosen.total() == 3

    made.picker.release()
    for number in range(1_000):
        made.hit(f"p{number % 10}", done=False)
    assert made.chosen.total() == 4


def test_hits_of_the_general_way_are_chosen_as_well() -> None:
    """As those of a shared tier, of which no door knows."""
    made = Traffic(1 / 10)
    for _ in range(5_000):
        made.hit_below("shared")

    assert abs(made.chosen["shared"] - 500) <= 4 * 500**0.5


NO_HITS = [
    pytest.param(slot_of("k", fresh_until=0.0), id="stale"),
    pytest.param(slot_of("k", Variants((b"accept",))), id="one of several is looked up next"),
]


@pytest.mark.parametrize("slot", NO_HITS)
def test_what_is_no_hit_is_found_as_ever(slot: Slot) -> None:
    """And it counts as none of those that pass."""
    made = Traffic(1 / 10)
    made.slots["k"] = slot
    made.picker._due = 1
    made.picker._arm()
    made.picker._pass = 1

    assert made.door.find("k") is slot
    assert made.door.find("none") is None
    assert made.picker._pass == 1


def test_while_nothing_is_due_the_door_has_its_own_function() -> None:
    """And again after a hit was chosen, and after the end."""
    made = Traffic(1 / 1_000)
    own, others = made.door.find, set()
    for _ in range(10_000):
        armed = made.picker.armed
        made.hit("p0")
        others.add((armed, made.picker.armed, made.door.find is own))
    assert {(False, False, True), (True, True, False), (True, False, True)} <= others
    assert not {(False, False, False), (True, True, True), (True, False, False)} & others

    made.picker._arm()
    assert made.door.find is not own
    made.picker.end()
    assert made.door.find is own
    assert made.timers._timers == []


def test_all_hits_are_chosen_where_the_rate_is_one() -> None:
    """As far as there are runs."""
    made = Traffic(1.0, runs=5, pause=0.0)
    assert all(made.hit("p0") for _ in range(5))
    assert not any(made.hit("p0") for _ in range(5))
    made.timers.advance(1.0)

    assert made.hit("p0")
    assert made.picker.skipped == 5


def test_with_many_routes_it_looks_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """To count them takes time."""
    made = Traffic(1 / 10_000)
    monkeypatch.setattr(made.picker._chance, "uniform", lambda least, most: (least + most) / 2)
    made.timers.pauses.clear()
    for routes, hits in ((1, 1), (2_000, 1), (1, 0)):
        made.routes, made.hits = routes, made.hits + hits
        made.picker._look()

    assert made.timers.pauses == pytest.approx([picker.EVERY, 10 * picker.EVERY, picker.IDLE])


def test_it_begins_again_in_another_event_loop() -> None:
    """What went on in the one before is forgotten."""
    made = Traffic(1 / 2, runs=1)
    for _ in range(2_000):
        made.hit("p0", done=False)
    assert made.chosen.total() == 1
    old, made.timers = made.timers, Timers(made.timers.clock)
    loop: Any = made.timers
    made.picker.begin(loop)
    for _ in range(2_000):
        made.hit("p0", done=False)

    assert made.chosen.total() == 2
    assert old._timers == []
