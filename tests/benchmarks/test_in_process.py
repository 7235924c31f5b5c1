"""The benchmarks that start no server run; what they measure is not looked at."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks import audit, eviction, growth, guarded, hit, loading, shadow, visibility
from benchmarks.__main__ import main
from benchmarks.options import Options, Spread, UsageError, table
from benchmarks.traces import TRACES

pytestmark = pytest.mark.no_cover  # it measures the package and asserts nothing of it

SMALL = 64


@pytest.mark.parametrize("name", hit.CASES)
async def test_all_requests_of_a_case_are_hits(name: str) -> None:
    """Each request is one, with the status of the case; the benchmark itself raises otherwise."""
    case = replace(hit.CASES[name], entries=SMALL)

    row = await hit.measure(case, range(1), calls=10)

    assert row[0] == case.text


def test_each_case_has_a_process_of_its_own() -> None:
    """Two of them have their turns, and a row each."""
    rows = hit.measured(["plain", "origin"], 1)

    assert [row[0] for row in rows] == [hit.CASES["plain"].text, hit.CASES["origin"].text]


async def test_a_case_that_is_no_hit_is_refused() -> None:
    """A benchmark never takes misses for hits."""
    case = replace(hit.CASES["plain"], entries=SMALL, options={"when": lambda request: False})

    with pytest.raises(RuntimeError, match="no such hit"):
        await hit.measure(case, range(1), calls=10)


async def test_requests_without_an_entry_are_counted_as_no_hits() -> None:
    """Each turn compares the number of hits with that of the requests."""
    bench = hit.Bench(replace(hit.CASES["plain"], entries=SMALL))
    async with bench.manager:
        await bench.fill()
        await bench.manager.invalidate_tags("item")

        with pytest.raises(RuntimeError, match="hits of 50 requests"):
            await bench.turn(10)


async def test_audits_runs() -> None:
    """One round of each cache, in which every request is a hit."""
    benches = [audit.Bench(*case) for case in audit.CASES.values()]

    rows = await audit.measure(benches, 1)

    assert [row[0] for row in rows] == [text for text, *_ in audit.CASES.values()]
    for bench in benches:
        assert bench.manager.stats().l1_hits == audit.ENTRIES + audit.HITS
        assert bench.manager.stats().misses == audit.ENTRIES


def test_loading_runs() -> None:
    """One round of two programs after one that does not count; each ends well."""
    names = ("package", "cache")

    lines = loading.main(Options(rounds=1, cases=names))

    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        loading.PROGRAMS[name][0] for name in names
    ]


async def test_guarded_runs() -> None:
    """One round of it."""
    assert len(await guarded.measure(1)) == 3


@pytest.mark.parametrize("name", shadow.CASES)
async def test_shadow_runs(name: str) -> None:
    """One round of each kind."""
    assert len(await shadow.measure(shadow.CASES[name], 1, calls=4)) == 4


def test_eviction_runs() -> None:
    """Each made trace has its length, the same for each seed, and the report its rows."""
    for make in TRACES.values():
        traces = [make(random.Random(1), 500) for _ in range(2)]
        assert len(traces[0]) == 500
        assert traces[0] == traces[1]

    lines = list(eviction.report(["zipf"], length=500, rounds=1, calls=100))
    assert sum(line.startswith("| zipf") for line in lines) == 3


def test_unknown_names_are_refused() -> None:
    """The message lists the names that exist."""
    with pytest.raises(UsageError, match="no case orign; expected some of plain, origin"):
        Options(cases=("orign",)).chosen(["plain", "origin"])
    with pytest.raises(SystemExit, match="2"):
        main(["hti"])
    with pytest.raises(SystemExit, match="hit: no case orign"):
        main(["hit", "--cases", "orign"])


def test_selected_cases_keep_their_order() -> None:
    """`--cases` selects; without it all are chosen."""
    assert Options(cases=("c", "a")).chosen("abc") == ["a", "c"]
    assert Options().chosen("abc") == ["a", "b", "c"]


def test_table_is_markdown() -> None:
    """Figures stand to the right."""
    assert table(["case", "x"], [["plain", "1.5"]]) == [
        "| case  |   x |",
        "|-------|----:|",
        "| plain | 1.5 |",
    ]


def test_spread_of_figures() -> None:
    """Median, ends, and the tenths that are left out at both ends."""
    spread = Spread(tuple(float(number) for number in range(11)))

    assert (spread.median, spread.ends, spread.tenths) == (5.0, (0.0, 10.0), (1.0, 9.0))
    assert Spread((2.0,)).tenths == (2.0, 2.0)


@pytest.mark.parametrize("make", [growth.by_entries, growth.by_routes])
async def test_growth_measures_hits_and_misses(make: Callable[[int], growth.Grown]) -> None:
    """Each size has its figures; the benchmark itself raises if a hit is none."""
    found = await growth.measure([1, 20], make, 1)

    assert [(size, [*figures]) for size, figures in found] == [
        (size, ["hit", "miss", "alone"]) for size in (1, 20)
    ]


async def test_growth_measures_invalidations() -> None:
    """Each number of tags has its figures."""
    found = await growth.measure_tags([200], 1)

    assert [*found[0][1]] == ["invalidation", "first hit after", "hit"]


async def test_visibility_runs() -> None:
    """Each part has its rows; a request that fails raises."""
    parts = [
        await visibility.hits(1, calls=10, paths=5),
        await visibility.reports(1, routes=4),
        await visibility.walks(1, entries=20),
        await visibility.explanations(1, sizes=(2, 4), calls=1),
    ]

    assert [len(rows) for rows in parts] == [3, 2, 3, 2]
    with pytest.raises(RuntimeError, match="/none"):
        await visibility.ask(visibility.build(2)[1], "/none")
