"""Background runs: never more at once than a bound, of responses and of values together."""

import asyncio

from asgi_multitier import Rule
from asgi_multitier.entry import Slot
from asgi_multitier.testing import FakeClock
from tests.manager.support import Function, SeenTier
from tests.support import Origin, caching, settled

STALE = [Rule("*", 10, stale_while_revalidate=600)]


async def test_no_more_background_runs_than_the_bound_are_begun() -> None:
    """300 stale responses and values are served at once; 16 runs renew them, then the next."""
    origin = Origin()
    value = Function("value")
    async with caching(origin, STALE) as cache:
        keys = range(150)
        options = {"strategy": 10, "stale_while_revalidate": 600}
        for number in keys:
            await cache.get(f"/{number}")
            await cache.manager.get_or_compute(f"k{number}", value, **options)
        origin.gate.clear()
        value.close()
        cache.clock.advance(11)
        calls, runs = origin.calls, value.runs
        for number in keys:
            assert (await cache.get(f"/{number}")).detail == "stale-while-revalidate"
            assert await cache.manager.get_or_compute(f"k{number}", value, **options) == "value"
        await settled()
        assert origin.calls - calls + value.runs - runs == 16
        origin.gate.set()
        value.gate.set()
        await settled()
        for number in keys:
            await cache.get(f"/{number}")
            await settled()
        assert origin.calls - calls == 150
        assert cache.manager.stats().refreshes == origin.calls - calls + value.runs - runs


async def test_the_bound_is_a_setting() -> None:
    """`max_refreshes=1`."""
    origin = Origin()
    async with caching(origin, STALE, max_refreshes=1) as cache:
        for path in ("/a", "/b"):
            await cache.get(path)
        origin.gate.clear()
        cache.clock.advance(11)
        await asyncio.gather(*(cache.get(path) for path in ("/a", "/b")))
        await settled()

        assert origin.calls == 3
        origin.gate.set()


async def test_what_lies_below_is_taken_where_it_is_not_due_itself() -> None:
    """The copy that was due here may be due there; what another instance has renewed is not."""
    clock, origin = FakeClock(), Origin()
    below = SeenTier(clock)
    rules = [Rule("*", 10, eager_refresh=0.5)]
    async with caching(origin, rules, l2=below, clock=clock, wall=clock) as cache:
        stack = cache.manager.engine.stack

        async def due(old: Slot | None = None) -> bytes:
            if old is not None:
                stack.local.set(old)
            reply = await cache.get("/x")
            await settled()
            await stack.settle()
            return bytes(reply.body)

        await due()
        [old] = stack.local.select(lambda _: True)
        clock.advance(6)

        assert await due() == b"1"
        assert origin.calls == 2
        assert await due(old) == b"1"
        assert (await due(), origin.calls) == (b"2", 2)
