"""Round trips to shared tiers, whose spans have to be asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from asgi_multitier import Rule
from asgi_multitier.tracing.asking import MOST
from tests.manager.support import SeenTier
from tests.support import Cache, Origin, caching, settled
from tests.tracing.support import Seen, attributes

RULES = (Rule("*", 60, coalesce=False),)


@asynccontextmanager
async def asking(
    seen: Seen, tier: SeenTier, *, round_trips: bool = True
) -> AsyncIterator[tuple[Cache, Origin]]:
    origin = Origin()
    async with caching(origin, RULES, l2=tier) as cache:
        cache.manager.instrument(
            tracer_provider=seen.provider, metrics=False, round_trips=round_trips
        )
        await cache.manager.start()
        yield cache, origin
        await cache.manager.engine.stack.settle()
        await settled()


def trips(seen: Seen) -> list[str]:
    """Each round trip: name, parent, links."""
    return [line for line in seen.lines() if not line.startswith("cache fill")]


@pytest.mark.parametrize("round_trips", [True, False])
async def test_one_request(round_trips: bool) -> None:
    """It looks, and the run writes; by default neither has a span."""
    seen, tier = Seen(), SeenTier(lambda: 0.0)
    async with asking(seen, tier, round_trips=round_trips) as (cache, _):
        with seen.request():
            await cache.get("/a")
        await settled()
    made = [f"cache get {tier.name} < request", f"cache set {tier.name} < cache fill *"]
    assert trips(seen) == (made if round_trips else [])
    for span in seen.own:
        if not span.name.startswith("cache fill"):
            assert span.kind is SpanKind.CLIENT
            assert attributes(span) == {"namespace": "test", "tier": 2}


async def test_several_requests_of_one_turn() -> None:
    """One round trip: a child of the first, with a link to each other one."""
    seen, tier = Seen(), SeenTier(lambda: 0.0)

    async def get(cache: Cache, number: int) -> None:
        with seen.request(f"request {number}"):
            await cache.get(f"/{number}")

    async with asking(seen, tier) as (cache, _):
        await asyncio.gather(*(get(cache, number) for number in range(MOST + 3)))
        await settled()

    reads = [line for line in trips(seen) if line.startswith("cache get")]
    others = ", ".join(f"request {number}" for number in range(1, MOST))
    assert reads == [f"cache get {tier.name} < request 0 ~ {others}"]
    (write,) = [line for line in trips(seen) if line.startswith("cache set")]
    assert write.count("cache fill *") == MOST


async def test_turns_are_apart() -> None:
    """Who has asked in an earlier turn is not linked to."""
    seen, tier = Seen(), SeenTier(lambda: 0.0)
    async with asking(seen, tier) as (cache, _):
        for number in range(2):
            with seen.request(f"request {number}"):
                await cache.get(f"/{number}")
            await cache.manager.engine.stack.settle()

    assert [line for line in trips(seen) if line.startswith("cache get")] == [
        f"cache get {tier.name} < request {number}" for number in range(2)
    ]
    assert not any("~" in line for line in trips(seen))


async def test_what_no_request_asks_for() -> None:
    """A value that is set outside of any span, and a probe: nothing to show."""
    seen, tier = Seen(), SeenTier(lambda: 0.0)
    async with asking(seen, tier) as (cache, _):
        await cache.manager.set("k", 1)
        await cache.manager.health()
        with seen.request():
            await cache.manager.set("k", 2)

    assert trips(seen) == [f"cache set {tier.name} < request"]


async def test_a_round_trip_that_fails() -> None:
    """Its type is told, its text is not."""
    seen, tier = Seen(), SeenTier(lambda: 0.0)
    async with asking(seen, tier) as (cache, _):
        tier.broken = True
        with seen.request():
            await cache.get("/a")
        await settled()
    span = seen.one(f"cache get {tier.name}")

    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["error"] == "BackendError"
    assert "on purpose" not in span.to_json()
