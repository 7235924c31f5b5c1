"""The statistics as JSON: what adds up, what does not, and what follows from it."""

from dataclasses import fields
from typing import Any

import orjson
import pytest

from asgi_multitier import CacheManager, Rule
from asgi_multitier.coherence.log import InvalidationStats
from asgi_multitier.events import CacheStats, Histogram, RouteStats, TierStats
from asgi_multitier.metrics.report import Routes, counted, routes_of, summed
from asgi_multitier.testing import FakeClock
from tests.manager.support import SeenTier, over
from tests.support import Origin, caching

SUMS: list[tuple[Any, Any, Any]] = [
    ({"hits": 1}, {"hits": 2}, {"hits": 3}),
    ({"hits": 1}, {}, {"hits": 1}),
    ({}, {"hits": {"1": 1}}, {"hits": {"1": 1}}),
    ({"hits": {"1": 1}}, {"hits": {"1": 2, "2": 5}}, {"hits": {"1": 3, "2": 5}}),
    ({"bytes": None}, {"bytes": 5}, {"bytes": 5}),
    ({"bytes": 5}, {"bytes": None}, {"bytes": 5}),
    ({"trusted": True}, {"trusted": False}, {"trusted": False}),
    ({"trusted": True}, {"trusted": True}, {"trusted": True}),
    ({"lag_p99": 0.1}, {"lag_p99": 0.3}, {"lag_p99": 0.3}),
    ({"gen": "a", "seq": 3}, {"gen": "b", "seq": 9}, {"gen": "a", "seq": 3}),
    ({"breaker": "closed"}, {"breaker": "open"}, {"breaker": "open"}),
    ({"breaker": "open"}, {"breaker": "half-open"}, {"breaker": "open"}),
    ({"breaker": "closed"}, {"breaker": "new"}, {"breaker": "closed"}),
    ({"counts": [1, 2]}, {"counts": [3, 4]}, {"counts": [4, 6]}),
    ({"counts": [1, 2]}, {"counts": [3]}, {"counts": [1, 2]}),
    ({"hits": 1}, {"hits": "many"}, {"hits": 1}),
    (
        {"bounds": [1], "counts": [1, 2], "seconds": 3},
        {"bounds": [2], "counts": [3, 4], "seconds": 9},
        {"bounds": [1], "counts": [1, 2], "seconds": 3},
    ),
]


@pytest.mark.parametrize(("one", "other", "total"), SUMS)
def test_sums(one: Any, other: Any, total: Any) -> None:
    """Also of other releases; and what was added is not changed."""
    before = orjson.dumps([one, other])

    assert summed([one, other]) == total
    assert orjson.dumps([one, other]) == before


def shown_with(*seconds: float) -> Any:
    """How a route is answered that has some answers, and runs that took so long."""
    runs = Histogram()
    for each in seconds:
        runs.add(each)
    counts = {"bounds": [*runs.bounds], "counts": runs.counts, "seconds": runs.seconds}
    routes = Routes()
    answers = {"hits": {"1": 3}, "stale": 1, "misses": 1, "passes": {"cookie": 5}}
    routes.add("/a", [{**answers, "runs": counts}])
    return routes.shown[0]


@pytest.mark.parametrize(
    ("seconds", "mean", "p50", "p95"),
    [
        ((), None, None, None),
        ((0.05,) * 4, 0.05, 0.0375, 0.04875),
        ((0.05, 0.5), 0.275, 0.05, 0.475),
        ((40.0, 50.0), 45.0, 30.0, 30.0),
    ],
)
def test_quantiles(
    seconds: tuple[float, ...],
    mean: float | None,
    p50: float | None,
    p95: float | None,
) -> None:
    """As Prometheus computes them of the same classes."""
    runs = shown_with(*seconds)["runs"]

    assert runs["count"] == len(seconds)
    for name, expected in (("mean", mean), ("p50", p50), ("p95", p95)):
        assert runs[name] == (None if expected is None else pytest.approx(expected))


def test_what_hits_have_saved() -> None:
    """As many runs as there were answers without one."""
    found = shown_with(0.5)

    assert (found["requests"], found["ratio"], found["saved"]) == (10, 4 / 5, 2.0)


async def test_a_route_of_another_release_may_lack_something() -> None:
    """Then nothing of that was counted there."""
    routes = Routes()
    routes.add("/a", [{"hits": {"1": 2}, "new": 7}])

    assert routes.shown[0]["requests"] == 2
    assert routes.shown[0]["runs"]["count"] == 0


NAMES = {"size": "bytes", "local": "hits"}
LEFT = {
    "level", "name", "total", "routes", "tiers", "trusted", "gen", "seq",
}  # fmt: skip


async def test_every_counter_is_there() -> None:
    """What is added to the statistics is added here."""
    async with caching(Origin(), [Rule("/a*", 60)]) as cache:
        for _ in range(2):
            await cache.get("/a")
        found = cache.manager.metrics.json()
        stats = cache.manager.stats()

    for kind, part in (
        (CacheStats, found),
        (RouteStats, found["routes"][0]),
        (TierStats, found["tiers"][0]),
        (InvalidationStats, found["log"]),
    ):
        names = {NAMES.get(one.name, one.name) for one in fields(kind)} - LEFT
        assert names - set(part) - {"invalidations"} == set(), kind
    assert orjson.loads(orjson.dumps(found)) == found
    assert found["total"]["hits"] == {"1": 1}
    assert found["total"]["misses"] == stats.misses == 1
    assert found["fills"] == 1
    assert found["tiers"][0]["entries"] == 1


async def test_a_shared_tier_is_there_with_its_circuit_breaker() -> None:
    """And how long its operations took."""
    tier = SeenTier(clock := FakeClock())
    async with over(clock, tier) as manager:
        await manager.set("a", 1, 60)
        await manager.engine.stack.settle()
        tier.broken = True
        for number in range(3):
            await manager.get(f"absent {number}")
        found = manager.metrics.json()["tiers"][1]

    assert (found["level"], found["breaker"], found["failures"]) == (2, "open", {"get": 3})
    assert found["operations"]["get"]["count"] == 3
    assert (found["limit"], found["refused"]) == (None, None)


async def test_one_route_is_read_alone() -> None:
    """One that is not there is none."""
    async with CacheManager(redis_url=None, namespace="n") as manager:
        manager.engine.events.tally("/a")
        engine = manager.engine
        assert [name for name, _ in routes_of(engine, "/a")] == ["/a"]
        assert list(routes_of(engine, "/b")) == []
        assert "routes" not in counted(engine)
