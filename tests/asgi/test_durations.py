"""How long things take, what changes drop, and what is written: counted where it happens."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import Rule, invalidates
from asgi_multitier.events import Durations, Histogram
from asgi_multitier.testing import FakeClock
from tests.manager.support import SeenTier, over
from tests.support import Origin, caching, settled


@pytest.mark.parametrize(
    ("seconds", "place"), [(0.0, 0), (0.1, 0), (0.11, 1), (1.0, 1), (1.5, 2), (1e9, 2)]
)
def test_a_duration_belongs_to_the_first_class_that_holds_it(seconds: float, place: int) -> None:
    """What equals the upper end is in; the last class has no end."""
    histogram = Histogram((0.1, 1.0))
    histogram.add(seconds)

    assert histogram.counts == [int(number == place) for number in range(3)]
    assert (histogram.reading().count, histogram.reading().mean) == (1, seconds)
    assert Durations().mean == 0.0


class Slow:
    """An origin that takes so many seconds of a cache's clock.

    Args:
        status: What it answers.
    """

    def __init__(self, status: int = 200) -> None:
        self.clock: FakeClock | None = None
        self.seconds = 0.0
        self.status = status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.clock is not None
        self.clock.advance(self.seconds)
        await PlainTextResponse("x", self.status)(scope, receive, send)


@pytest.mark.parametrize("status", [200, 500])
async def test_runs_are_timed_by_route(status: int) -> None:
    """Those that bring nothing to store as well, and those in the background."""
    origin = Slow(status)
    rules = [Rule("/a", 60, stale_while_revalidate=60), Rule("/*", 60)]
    async with caching(origin, rules) as cache:
        origin.clock = cache.clock
        for path, seconds in (("/a", 2.0), ("/b", 0.25)):
            origin.seconds = seconds
            await cache.get(path)
        cache.clock.advance(70)
        origin.seconds = 0.5
        await cache.get("/a")
        await settled()
        stats = cache.manager.stats()

        assert (stats.routes["/a"].runs.count, stats.routes["/a"].runs.seconds) == (2, 2.5)
        assert (stats.routes["/*"].runs.count, stats.routes["/*"].runs.seconds) == (1, 0.25)
        assert (stats.total.runs.count, stats.total.runs.seconds) == (3, 2.75)


async def test_waits_for_the_runs_of_others_are_timed() -> None:
    """Not those of the one that began it."""
    origin = Origin()
    async with caching(origin) as cache:
        origin.gate.clear()
        tasks = [cache.client.begin("/x") for _ in range(3)]
        await settled()
        cache.clock.advance(4)
        origin.gate.set()
        await asyncio.gather(*tasks)
        total = cache.manager.stats().total

        assert (total.runs.count, total.runs.seconds) == (1, 4.0)
        assert (total.waits.count, total.waits.seconds) == (2, 8.0)


async def test_operations_of_tiers_and_writes_are_counted() -> None:
    """Once for each round trip, failed ones included; the first tier counts what it is given."""
    clock = FakeClock()
    tier = SeenTier(clock)
    async with over(clock, tier) as manager:
        await manager.set("a", 1, 60)
        await manager.engine.stack.settle()
        manager.engine.stack.local.clear()
        assert await manager.get("a") == 1
        await manager.engine.stack.settle()
        tier.broken = True
        await manager.get("b")
        local, shared = manager.stats().tiers

        assert (local.writes, shared.writes, shared.promotions) == (2, 1, 1)
        assert {kind: took.count for kind, took in shared.operations.items()} == {
            "set": 1,
            "get": 2,
        }
        assert shared.failures == {"get": 1}
        assert local.operations == {}


async def _page(request: Request) -> Response:
    return PlainTextResponse("x")


@invalidates(tags=["t"])
async def _named(request: Request) -> Response:
    return PlainTextResponse("x")


@invalidates(tags=lambda request: {}["none"])
async def _broken(request: Request) -> Response:
    return PlainTextResponse("x")


SHOP = Starlette(
    routes=[
        Route("/plain", _page, methods=["POST"]),
        Route("/named", _named, methods=["POST"]),
        Route("/broken", _broken, methods=["POST"]),
        Route("/fails", lambda request: Response(status_code=400), methods=["POST"]),
    ]
)


async def test_changes_are_counted_by_what_named_what_they_drop() -> None:
    """Once a change; one that changed nothing is not counted."""
    async with caching(SHOP) as cache:
        for path in ("/plain", "/plain", "/named", "/broken", "/fails"):
            await cache.client.request("POST", path)
        await cache.manager.invalidate_tags("t")

        assert cache.manager.stats().invalidations == {
            "/plain": {"url": 2},
            "/named": {"url": 1, "route": 1},
            "/broken": {"failed": 1},
            "manager": {"call": 1},
        }
