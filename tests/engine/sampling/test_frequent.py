"""The most frequent keys, in few counters."""

import random
from itertools import accumulate

import pytest

from asgi_multitier.engine.sampling import Frequent


def shares(counts: "Frequent[int]") -> dict[str, float]:
    """What is told of each key."""
    return {key: share for key, share, _ in counts.top()}


def test_while_there_is_room_counts_are_exact() -> None:
    """The most frequent first, each with what was seen last."""
    counts: Frequent[int] = Frequent(3)
    for number, key in enumerate("abacabb"):
        counts.add(key, number, 0.0)

    expected = [("a", pytest.approx(3 / 7), 4), ("b", pytest.approx(3 / 7), 6)]
    assert list(counts.top())[:2] == expected
    assert shares(counts)["c"] == pytest.approx(1 / 7)
    assert counts.total(0.0) == 7


def test_the_least_frequent_makes_room() -> None:
    """The new one is told with no more than it has surely come."""
    counts: Frequent[int] = Frequent(2)
    for key in "aaabbc":
        counts.add(key, 0, 0.0)

    assert shares(counts) == {"a": pytest.approx(3 / 6), "c": pytest.approx(1 / 6)}
    assert len(counts) == 2


def test_counts_fade() -> None:
    """Half of them is left after a half-life, so what is asked for now is soon first."""
    counts: Frequent[int] = Frequent(half_life=60.0)
    for _ in range(4):
        counts.add("before", 0, 0.0)
    for _ in range(3):
        counts.add("now", 0, 60.0)

    assert shares(counts) == {"now": pytest.approx(3 / 5), "before": pytest.approx(2 / 5)}
    assert counts.total(60.0) == pytest.approx(5)
    assert counts.total(120.0) == pytest.approx(2.5)


@pytest.mark.parametrize("pause", [60.0 * 41, 1e9])
def test_weights_stay_within_bounds(pause: float) -> None:
    """However long it runs."""
    counts: Frequent[int] = Frequent(half_life=60.0)
    counts.add("before", 0, 0.0)
    counts.add("now", 0, pause)

    assert shares(counts)["now"] == pytest.approx(1.0)
    assert counts.total(pause) == pytest.approx(1.0)
    assert counts.total(1e12) >= 0.0


def test_counts_fade_after_a_year_as_on_the_first_day() -> None:
    """Weights begin again at 1 before they are too large."""
    counts: Frequent[int] = Frequent(half_life=60.0)
    year = 365 * 86_400.0
    for when in (0.0, 3_600.0, year / 2):
        counts.add("before", 0, when)
    counts.add("a", 0, year)
    counts.add("b", 0, year + 60.0)

    assert shares(counts)["b"] == pytest.approx(2 / 3)
    assert counts.total(year + 60.0) == pytest.approx(1.5)


def test_the_ten_most_frequent_of_many_are_found() -> None:
    """By Zipf's law, of 20,000 keys and 2,000 that were seen."""
    chance = random.Random(7)
    weights = list(accumulate(1 / (number + 1) for number in range(20_000)))
    counts: Frequent[int] = Frequent()
    for number in chance.choices(range(20_000), cum_weights=weights, k=2_000):
        counts.add(str(number), 0, 0.0)

    first = [key for key, _, _ in counts.top()][:12]
    assert len(set(first) & {str(number) for number in range(10)}) >= 9
    assert len(counts) == 256
