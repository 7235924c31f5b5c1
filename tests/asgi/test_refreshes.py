"""Stale copies: renewed in the background within a bound, and standing in for a failed origin."""

import asyncio
import gc
from collections.abc import Callable

import pytest

from asgi_multitier import Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.entry import Slot
from asgi_multitier.testing import FakeClock
from tests.asgi.support import (
    BoomError,
    boom,
    boom_after_half,
    boom_after_half_with_length,
    boom_after_start,
    gathered,
)
from tests.manager.support import Function, SeenTier
from tests.patience import until
from tests.support import Origin, Reply, answering, caching, settled

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


async def test_stale_while_revalidate_is_one_refresh_for_all() -> None:
    """Past its lifetime a copy is served at once while one background run renews it."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10, stale_while_revalidate=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(11)
        origin.gate.clear()
        replies = [await cache.get("/x") for _ in range(5)]
        await settled()

        assert [reply.body for reply in replies] == [b"1"] * 5
        assert origin.calls == 2
        origin.gate.set()
        await settled()
        assert (await cache.get("/x")).body == b"2"
        stats = cache.manager.stats()
        assert (stats.refreshes, stats.total.stale) == (1, 5)


@pytest.mark.parametrize("fails", [boom, answering(b"x", status=500)], ids=["raises", "500"])
async def test_a_failed_refresh_leaves_the_copy_and_harms_nobody(
    fails: Callable[[Scope, Receive, Send], object], caplog: pytest.LogCaptureFixture
) -> None:
    """A background run that brings nothing is counted; the stale copy is served on."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10, stale_while_revalidate=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(11)
        origin._answer = fails
        for _ in range(2):
            assert (await cache.get("/x")).body == b"1"
            await settled()
        gc.collect()

        assert "never retrieved" not in caplog.text
        if fails is boom:
            assert cache.manager.stats().failures == {"refresh": 2}
            assert "refresh of /x failed: BoomError: before the start" in caplog.text


async def test_a_refresh_that_may_not_be_shared_ends_the_copy() -> None:
    """The origin says now that its answer is one client's own: the old one is not served either."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10, stale_while_revalidate=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(11)
        origin._answer = answering(b"x", (b"set-cookie", b"a=b"))
        assert (await cache.get("/x")).body == b"1"
        await settled()

        assert (await cache.get("/x")).detail == "set-cookie"


async def test_a_refresh_that_streams_without_end_is_stopped() -> None:
    """What turns out not to be storable has no reader, so the run ends."""
    ended = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            ended.set()

    origin = Origin()
    async with caching(origin, [Rule("*", 10, stale_while_revalidate=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(11)
        origin._answer = endless
        await cache.get("/x")
        async with asyncio.timeout(60):
            await ended.wait()
        await settled()

        assert cache.manager.stats().failures == {}
        assert cache.manager.engine.flights.running == 0


async def test_a_refresh_that_hangs_is_given_up() -> None:
    """A background run has `fill_timeout`; later requests are not held up by it for ever."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10, stale_while_revalidate=60)]) as cache:
        await cache.get("/x")
        cache.manager.engine.flights._fill_timeout = 0.01
        cache.clock.advance(11)
        origin.gate.clear()
        await cache.get("/x")
        await until(lambda: cache.manager.engine.flights.running == 0)
        origin.gate.set()

        assert len(cache.manager.engine.flights) == 0


async def test_eager_refresh_renews_before_the_end() -> None:
    """Past the share of its lifetime a hit starts one run, and is answered at once."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10, eager_refresh=0.5)]) as cache:
        await cache.get("/x")
        cache.clock.advance(4.9)
        assert (await cache.get("/x")).hit
        await settled()
        assert origin.calls == 1
        cache.clock.advance(0.2)
        assert (await cache.get("/x")).body == b"1"
        await settled()

        assert origin.calls == 2
        assert (await cache.get("/x")).body == b"2"


async def test_a_failing_origin_is_stood_in_for_within_the_window() -> None:
    """With `stale_if_error`, an exception or a 5xx serves the old copy; later the error shows."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10, stale_if_error=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(11)
        for fails in (boom, answering(b"x", status=503)):
            origin._answer = fails
            tasks = await gathered(cache, origin, 3)
            origin.gate.set()
            replies = await asyncio.gather(*tasks)
            assert {(reply.status, reply.body) for reply in replies} == {(200, b"1")}
            assert {reply.detail for reply in replies} == {"stale-if-error"}
        cache.clock.advance(60)

        assert (await cache.get("/x")).status == 503


async def test_an_invalidated_copy_stands_in_for_nothing() -> None:
    """After an explicit invalidation the error shows, however young the copy."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10, stale_if_error=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(11)
        await cache.manager.invalidate_path("/x")
        origin._answer = answering(b"x", status=503)

        assert (await cache.get("/x")).status == 503


@pytest.mark.parametrize("fails", [boom_after_start, boom_after_half, boom_after_half_with_length])
async def test_a_failure_in_the_middle_is_stood_in_for_where_nothing_was_heard(
    fails: Callable[[Scope, Receive, Send], object],
) -> None:
    """All who wait get the stale copy; the first client does unless it has had a part already."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10, stale_if_error=60)]) as cache:
        await cache.get("/x")
        await origin.arrived.acquire()
        cache.clock.advance(11)
        origin._answer = fails
        tasks = await gathered(cache, origin, 5)
        origin.gate.set()
        first, *others = await asyncio.gather(*tasks, return_exceptions=True)

        assert {(reply.body, reply.detail) for reply in others if isinstance(reply, Reply)} == {
            (b"1", "stale-if-error")
        }
        assert len([reply for reply in others if isinstance(reply, Reply)]) == 5
        if fails is boom_after_start:
            assert isinstance(first, Reply)
            assert first.body == b"1"
        else:
            assert isinstance(first, BoomError)
        assert origin.calls == 2


async def test_a_background_run_is_not_asked_with_directives_of_a_client() -> None:
    """What one client accepts is nothing that all who share the answer have said."""
    origin = Origin()
    async with caching(origin, [Rule("*", 5, stale_while_revalidate=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(6)
        stale = await cache.get("/x", [("cache-control", "max-stale=60"), ("pragma", "x")])
        await origin.arrived.acquire()
        await origin.arrived.acquire()

        assert stale.body == b"1"
        sent = {name for name, _ in origin.scopes[1]["headers"]}
        assert sent.isdisjoint({b"cache-control", b"pragma"})
