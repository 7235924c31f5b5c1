"""When entries are over: nothing is lost, and nothing grows without entries."""

import random

from asgi_multitier.tiers.ends import Ends
from asgi_multitier.tiers.leaving import Leaving


def test_keys_come_out_when_their_second_has_ended() -> None:
    """The earliest first; none before, and those of infinite life never."""
    ends = Ends()
    for key, until in (("late", 9.5), ("early", 3.2), ("never", float("inf"))):
        ends.add(key, until)

    assert len(ends) == 2
    assert ends.pop_over(3.9) is None
    assert ends.around(3.9) == ["early"]
    assert ends.pop_over(20) == "early"
    assert ends.pop_over(20) == "late"
    assert ends.pop_over(20) is None
    assert (len(ends), ends.seconds) == (0, 0)


def test_a_second_may_be_emptied_and_filled_again() -> None:
    """Any number of times: it is remembered once."""
    ends = Ends()
    for _ in range(1_000):
        ends.add("a", 5)
        ends.remove("a", 5)
    ends.remove("absent", 5)
    ends.remove("absent", 99)
    ends.remove("absent", float("inf"))
    ends.add("b", 5)

    assert ends.seconds == 1
    assert [ends.pop_over(5), ends.pop_over(5)] == ["b", None]


def test_seconds_without_keys_are_bounded_and_no_key_is_lost() -> None:
    """Whatever the order in which keys come and go."""
    rng = random.Random(3)
    ends = Ends()
    held: dict[str, float] = {}
    for number in range(20_000):
        until = rng.random() * 100_000
        ends.add(str(number), until)
        held[str(number)] = until
        if len(held) > 100:
            key = rng.choice(list(held))
            ends.remove(key, held.pop(key))
        assert len(ends) == len(held)
        assert ends.seconds <= 4 * len(held) + 128
    out = []
    while (key := ends.pop_over(200_000)) is not None:
        out.append(key)
    assert sorted(out) == sorted(held)


def test_a_bucket_gives_back_the_room_of_what_has_left() -> None:
    """A hundred thousand keys that all but one have left take no more than one."""
    ends = Ends()
    for number in range(10_000):
        ends.add(str(number), 5)
    for number in range(1, 10_000):
        ends.remove(str(number), 5)

    (bucket,) = ends.clear()
    assert list(bucket) == ["0"]
    assert bucket.__sizeof__() < 1_000


def test_what_was_cleared_is_freed_slots_first_then_the_rest() -> None:
    """In steps, to the last key; nothing to free is no error."""
    leaving = Leaving()
    assert not leaving
    leaving.free(5, 0)
    leaving.add([], 0, [{"a": None, "b": None}, {}])
    assert leaving
    assert len(leaving) == 0
    leaving.free(1, 0)
    assert leaving
    leaving.free(1, 0)
    assert not leaving
