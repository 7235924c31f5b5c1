"""What a ledger keeps is bounded in bytes, and what it keeps of a key is all of it."""

import gc
import tracemalloc
from collections import Counter
from dataclasses import replace

from asgi_multitier.shadow import Answer, Edit, Ledger, Observation, Traits
from asgi_multitier.shadow.keeping import FEW, MANY

from .play import Play, digest

MIB = 1 << 20


def _observation(number: int, key: int, *, places: int = 6, names: int = 4) -> Observation:
    told = {f"$.member{at}": digest((number, at)) for at in range(places)}
    return Observation(
        route=f"GET /route{key % 3}/{{id}}",
        key=f"{key:032x}",
        path=f"/route{key % 3}/{key}",
        began=number / 10,
        ended=number / 10 + 0.001,
        traits=Traits({b"field%d" % at: digest((number, at)) for at in range(names)}, client=key),
        answer=Answer(200, digest(number), 100, told, b"application/json"),
        would="miss",
        lifetime=60.0,
        tags=frozenset((f"tag:{key}",)),
        number=number + 1,
    )


def test_a_hundred_thousand_keys() -> None:
    """Keys that are kept are chosen by their hash alone; sums are exact."""
    ledger = Ledger(MIB)
    for number in range(100_000):
        ledger.observed(_observation(number, number, places=1, names=1))
        if ledger.bytes > MIB:
            raise AssertionError(number)

    routes = ledger.report().routes
    assert sum(route.requests for route in routes) == 100_000
    for route in routes:
        assert 0 < route.share < 1
        # One entry for each key, as those that are kept say.
        assert 0.5 < route.memory / (route.requests * 700) < 2


def test_what_is_claimed_is_what_is_taken() -> None:
    """By the allocator's own figures, also of names and places that are new each time."""
    gc.collect()
    tracemalloc.start()
    try:
        ledger = Ledger(MIB)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1_800):
            one = _observation(number, number % 500, places=number % 40, names=number % 12)
            ledger.observed(one)
            ledger.edited(
                Edit(f"PUT /{number % 9}", f"/{number}", number, number, number, (f"tag:{number}",))
            )
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert ledger.bytes <= MIB
    assert after - before < 1.15 * ledger.bytes


def test_one_key_keeps_so_many() -> None:
    """Less where there is no room."""
    for limit, most in ((64 * MIB, MANY), (MIB // 32, FEW)):
        ledger = Ledger(limit)
        for number in range(3_000):
            ledger.observed(_observation(number, 0, places=0))
        (kept,) = ledger.snapshot().routes[0].keys
        assert most * 0.6 < len(kept[3]) <= most
        assert ledger.bytes <= limit


def test_what_is_kept_of_a_key_is_chosen_for_what_it_shows() -> None:
    """The first of each answer, the newest, and where a wrong answer comes from."""
    play = Play(lambda asked: "b" if asked.now in (1050.0, 1090.0) else "a", lifetime=1e6)
    for _ in range(1_000):
        play.get()
    (kept,) = play.ledger.snapshot().routes[0].keys
    numbers = [record.number for record in kept[3]]

    assert numbers[0] == 1
    assert {50, 90} <= set(numbers)
    assert numbers[-6:] == [995, 996, 997, 998, 999, 1000]
    assert numbers == sorted(numbers)


def test_keys_are_kept_whole() -> None:
    """A key that is kept after others were given up has all of its records."""
    ledger = Ledger(MIB)
    for number in range(9_000):
        ledger.observed(_observation(number, number % 3_000))

    kept = [len(key[3]) for route in ledger.snapshot().routes for key in route.keys]
    assert 50 < len(kept) < 3_000
    assert Counter(kept) == {3: len(kept)}


def test_routes_beyond_many_are_counted_together() -> None:
    """And labels that are too long."""
    ledger = Ledger(8 * MIB)
    for number in range(2_100):
        one = replace(_observation(number, 0), route=f"GET /{number}", answer=None)
        ledger.observed(one)

    routes = {route.route: route.requests for route in ledger.report().routes}
    assert len(routes) == 2_049
    assert routes["(other routes)"] == 52


def test_edits_of_each_route_have_their_part() -> None:
    """A flood of one kind pushes out its own, not the rare ones."""
    ledger = Ledger(MIB)
    ledger.edited(Edit("PUT /rare", "/rare", 0.0, 0.0, 0.0))
    for number in range(5_000):
        ledger.edited(Edit("POST /flood", "/flood", number, number, number))

    kept = {one.route: len(one.edits) for one in ledger.snapshot().mutations}
    assert kept["PUT /rare"] == 1
    assert 50 < kept["POST /flood"] < 1_000
    assert ledger.bytes < MIB // 8


def test_clearing() -> None:
    """Rules stay known; all else is as at the beginning."""
    ledger = Ledger()
    ledger.observed(_observation(1, 1))
    ledger.edited(Edit("PUT /x", "/x", 0.0, 0.0, 0.0))
    ledger.clear()

    assert ledger.report().routes == ()
    assert ledger.snapshot().mutations == ()
