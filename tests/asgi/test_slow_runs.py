"""Slow runs: begun once more after a patience, and ended or stood in for after a time-out."""

import asyncio

import pytest

from asgi_multitier import Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.asgi.support import gathered
from tests.support import Origin, caching, pass_time, respond, settled


async def test_a_slow_origin_is_asked_once_more_a_patience_and_never_by_all() -> None:
    """2,000 callers of a route that hangs: one run each `coalesce_timeout`; one answers all."""
    origin = Origin()
    async with caching(origin, coalesce_timeout=100) as cache:
        tasks = await gathered(cache, origin, 2000)
        for runs in (1, 2, 3):
            assert origin.calls == runs
            await pass_time(80)
            assert origin.calls == runs
            await pass_time(21)
        later = cache.client.begin("/x")
        await settled()
        assert origin.calls == 4
        origin.gate.set()
        replies = await asyncio.gather(*tasks, later)

        assert origin.calls == 4
        assert {reply.status for reply in replies} == {200}
        assert sum("collapsed" in reply.cache for reply in replies) == 1998
        assert cache.manager.stats().failures == {"coalesce-timeout": 3}


async def test_a_route_that_takes_longer_than_the_patience_is_run_twice() -> None:
    """30 callers of a route of 6 s: what the first run brings answers all who wait."""
    origin = Origin()
    async with caching(origin) as cache:
        leader, *waiters = await gathered(cache, origin, 29)
        await pass_time(5.1)
        assert origin.calls == 2
        first = origin.gate
        origin.gate = asyncio.Event()  # runs that begin from now on
        first.set()
        replies = await asyncio.gather(leader, *waiters)

        assert origin.calls == 2
        assert {reply.status for reply in replies} == {200}


async def test_a_run_that_was_overtaken_does_not_replace_what_is_younger() -> None:
    """The slow one ends last: its client gets what it brought, all others the newer answer."""
    gates = [asyncio.Event(), asyncio.Event()]

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        number = origin.calls
        await gates[number - 1].wait()
        await respond(send, b"%d" % number)

    origin = Origin(page)
    async with caching(origin) as cache:
        leader = cache.client.begin("/x")
        waiters = [cache.client.begin("/x") for _ in range(3)]
        await pass_time(5.1)
        assert origin.calls == 2
        gates[1].set()
        assert {reply.body for reply in await asyncio.gather(*waiters)} == {b"2"}
        gates[0].set()
        reply = await leader

        assert (reply.body, reply.detail) == (b"1", "superseded")
        assert (await cache.get("/x")).body == b"2"


async def test_a_slow_stream_is_begun_once_more_a_while_and_never_by_all() -> None:
    """What is sent on while it comes may never end: one more run at a time, until one ends."""
    gate = asyncio.Event()

    async def streams(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await gate.wait()
        await send({"type": "http.response.body", "body": b"b"})

    origin = Origin(streams)
    async with caching(origin) as cache:
        tasks = await gathered(cache, origin, 100)
        origin.gate.set()
        for runs in (1, 2, 3):
            await settled()
            assert origin.calls == runs
            await pass_time(0.3)
        gate.set()
        replies = await asyncio.gather(*tasks)

        assert origin.calls == 4
        assert {reply.body for reply in replies} == {b"ab"}


async def test_the_rules_own_patience_counts() -> None:
    """`coalesce_timeout=` of a rule is stronger than the cache's."""
    origin = Origin()
    async with caching(origin, [Rule("*", 300, coalesce_timeout=0.02)]) as cache:
        tasks = await gathered(cache, origin, 1)
        await origin.arrived.acquire()
        origin.gate.set()
        await asyncio.gather(*tasks)

        assert cache.manager.stats().failures == {"coalesce-timeout": 1}


async def test_a_soft_timeout_serves_the_stale_copy_and_lets_the_run_finish() -> None:
    """The client does not wait longer; what the run brings is stored."""
    origin = Origin()
    rule = Rule("*", 10, stale_if_error=60, soft_timeout=5)
    async with caching(origin, [rule]) as cache:
        await cache.get("/x")
        cache.clock.advance(11)
        origin.gate.clear()
        asking = cache.client.begin("/x")
        await pass_time(5)
        reply = await asking

        assert (reply.body, reply.detail) == (b"1", "soft-timeout")
        origin.gate.set()
        await settled()
        assert (await cache.get("/x")).body == b"2"


async def test_a_soft_timeout_serves_all_who_wait() -> None:
    """Also who has joined the run, and later."""
    origin = Origin()
    rule = Rule("*", 10, stale_if_error=60, soft_timeout=2)
    async with caching(origin, [rule]) as cache:
        await cache.get("/x")
        await origin.arrived.acquire()
        cache.clock.advance(11)
        tasks = await gathered(cache, origin, 10)
        await pass_time(2.1)
        replies = await asyncio.gather(*tasks)

        assert {(reply.body, reply.detail) for reply in replies} == {(b"1", "soft-timeout")}
        assert ["collapsed" in reply.cache for reply in replies] == [False] + 10 * [True]
        assert origin.calls == 2
        assert cache.manager.stats().total.stale == 11
        origin.gate.set()
        await settled()
        assert (await cache.get("/x")).body == b"2"


async def test_a_hard_timeout_is_that_of_all_who_wait() -> None:
    """Not of the run alone: one more run may be under way when a request's time is over."""
    origin = Origin()
    rule = Rule("*", 10, hard_timeout=6, coalesce_timeout=4)
    async with caching(origin, [rule]) as cache:
        tasks = await gathered(cache, origin, 10)
        await pass_time(4.1)
        assert origin.calls == 2
        await pass_time(2)
        results = await asyncio.gather(*tasks[:1], *tasks[2:], return_exceptions=True)

        assert {type(result) for result in results} == {TimeoutError}
        await pass_time(4)
        with pytest.raises(TimeoutError):
            await tasks[1]
        origin.gate.set()


async def test_a_hard_timeout_leaves_who_waits_for_an_answer_that_comes() -> None:
    """It counts until the origin begins to answer, for all who wait as for the first."""
    gate = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"1")],
            }
        )
        await gate.wait()
        await send({"type": "http.response.body", "body": b"x"})

    origin = Origin(slow)
    async with caching(origin, [Rule("*", 10, hard_timeout=2)]) as cache:
        tasks = await gathered(cache, origin, 3)
        origin.gate.set()
        await pass_time(2.1)
        gate.set()

        assert [reply.body for reply in await asyncio.gather(*tasks)] == [b"x"] * 4
        assert origin.calls == 1


async def test_a_hard_timeout_is_the_origins_failure() -> None:
    """Without a copy that may stand in, `TimeoutError` is raised; with one it is served."""
    origin = Origin()
    rule = Rule("*", 10, stale_if_error=60, hard_timeout=5)
    async with caching(origin, [rule]) as cache:
        origin.gate.clear()
        asking = cache.client.begin("/x")
        await pass_time(5)
        with pytest.raises(TimeoutError):
            await asking
        origin.gate.set()
        await cache.get("/x")
        cache.clock.advance(11)
        origin.gate.clear()
        asking = cache.client.begin("/x")
        await pass_time(5)

        assert (await asking).detail == "stale-if-error"


async def test_hard_timeout_does_not_cut_a_body() -> None:
    """It counts until the origin begins to answer."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await pass_time(60)
        await send({"type": "http.response.body", "body": b"x"})

    async with caching(Origin(slow), [Rule("*", 10, hard_timeout=5)]) as cache:
        assert (await cache.get("/x")).body == b"x"
