"""Identical requests at one time are one run of the origin, and none suffers from another."""

import asyncio
import traceback
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.asgi.support import (
    BoomError,
    boom,
    boom_after_half,
    boom_after_half_with_length,
    boom_after_start,
    gathered,
)
from tests.support import EVERYTHING, Client, Origin, Visit, answering, caching, respond, settled


async def test_a_thousand_waiters_are_one_run() -> None:
    """1,001 requests for a cold key: the origin runs once, everybody has the whole answer."""
    origin = Origin(answering(b"x" * 1000))
    async with caching(origin, coalesce_timeout=300) as cache:
        tasks = await gathered(cache, origin, 1000)
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert origin.calls == 1
        assert all(reply.body == b"x" * 1000 and reply.complete for reply in replies)
        assert sum("collapsed" in reply.cache for reply in replies) == 1000
        total = cache.manager.stats().total
        assert (total.misses, total.coalesced, total.requests) == (1, 1000, 1001)


async def test_more_waiters_than_the_bound_wait_as_well() -> None:
    """However many come, there is one run for all."""
    origin = Origin()
    async with caching(origin, max_waiters=2) as cache:
        tasks = await gathered(cache, origin, 30)
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert origin.calls == 1
        assert {reply.body for reply in replies} == {b"1"}


async def test_more_waiters_than_allowed_are_refused_where_that_is_asked_for() -> None:
    """`overload="refuse"`: 503 with `Retry-After`, and no run of the origin."""
    origin = Origin()
    async with caching(origin, max_waiters=2, overload="refuse", coalesce_timeout=2.5) as cache:
        tasks = await gathered(cache, origin, 3)
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert origin.calls == 1
        assert [reply.status for reply in replies] == [200, 200, 200, 503]
        assert (replies[3].detail, replies[3].get("retry-after")) == ("overloaded", b"3")
        assert cache.manager.stats().total.passes == {"overloaded": 1}


async def test_who_is_refused_gets_what_is_stale_where_that_may_stand_in() -> None:
    """A stale copy is better than 503."""
    origin = Origin()
    rules = [Rule("*", 10, stale_if_error=60)]
    async with caching(origin, rules, max_waiters=1, overload="refuse") as cache:
        await cache.get("/x")
        await origin.arrived.acquire()
        cache.clock.advance(11)
        tasks = await gathered(cache, origin, 2)
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert [reply.body for reply in replies] == [b"2", b"2", b"1"]
        assert replies[2].detail == "overloaded"


async def test_more_flights_than_the_bound_are_joined_as_well() -> None:
    """Beyond `max_flights` keys at once there is still one run for all who ask for one."""
    origin = Origin()
    origin.gate.clear()
    async with caching(origin, max_flights=1) as cache:
        tasks = [cache.client.begin(path) for path in ("/a", "/b", "/b", "/b")]
        await settled()
        assert origin.calls == 2
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert [reply.stored for reply in replies] == [True] * 4


@pytest.mark.parametrize(
    "fails", [boom, boom_after_start, boom_after_half, boom_after_half_with_length]
)
async def test_an_exception_reaches_all_as_if_each_had_called(
    fails: Callable[[Scope, Receive, Send], object],
) -> None:
    """Leader and waiters raise it with the origin's frames; nothing is stored; no caller hangs."""
    origin = Origin(fails)
    async with caching(origin) as cache:
        tasks = await gathered(cache, origin, 5)
        origin.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert [type(result) for result in results] == [BoomError] * 6
        assert origin.calls == 1
        assert len(cache.manager.engine.stack.local) == 0
        total = cache.manager.stats().total
        assert (total.misses, total.coalesced) == (1, 5)


async def test_every_member_sees_where_the_origin_failed() -> None:
    """The traceback that a member logs names the origin's function, and not other members'."""
    origin = Origin(boom)
    seen: list[str] = []

    async def logging(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await cache.middleware(scope, receive, send)
        except BoomError:
            seen.append(traceback.format_exc())

    async with caching(origin) as cache:
        client = Client(logging)
        origin.gate.clear()
        tasks = [client.begin("/x") for _ in range(20)]
        await origin.arrived.acquire()
        await settled()
        origin.gate.set()
        await asyncio.gather(*tasks)

        assert len(seen) == 20
        assert all("in boom" in text for text in seen)
        assert all(text.count("in _awaited") <= 1 for text in seen)


async def test_an_origin_that_answers_nothing_is_asked_by_each() -> None:
    """An application that returns without answering: every request gets its own silence."""

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return

    origin = Origin(silent)
    async with caching(origin) as cache:
        tasks = await gathered(cache, origin, 3)
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert [reply.messages for reply in replies] == [[]] * 4
        assert origin.calls == 4


async def test_a_rule_may_forbid_sharing_runs() -> None:
    """`coalesce=False`: each request runs the origin."""
    origin = Origin()
    async with caching(origin, [Rule("*", 300, coalesce=False)]) as cache:
        tasks = await gathered(cache, origin, 3)
        origin.gate.set()
        await asyncio.gather(*tasks)

        assert origin.calls == 4
        assert (await cache.get("/x")).hit


async def test_a_request_that_asks_for_itself_does_not_wait_for_itself() -> None:
    """An origin that requests its own URL gets an answer, not a deadlock."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        inner = b""
        if origin.calls < 3:
            inner = (await cache.get("/x")).body
        await respond(send, b"%d" % origin.calls + inner)

    origin = Origin(page)
    async with caching(origin) as cache:
        async with asyncio.timeout(60):
            reply = await cache.get("/x")

        assert reply.body == b"333"


async def test_a_run_that_cancels_itself_is_run_again_by_its_waiters() -> None:
    """A `CancelledError` of the origin's own is not taken for the waiters' cancellation."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if origin.calls == 1:
            raise asyncio.CancelledError
        await origin.count(scope, receive, send)

    origin = Origin(page)
    async with caching(origin) as cache:
        leader, *waiters = await gathered(cache, origin, 3)
        origin.gate.set()
        replies = await asyncio.gather(*waiters)

        assert all(reply.status == 200 for reply in replies)
        with pytest.raises(asyncio.CancelledError):
            await leader


async def test_closing_while_requests_wait_answers_them() -> None:
    """`close` gives runs their time, cancels them, and their waiters ask the origin again."""
    origin = Origin()
    async with caching(origin) as cache:
        _, waiter = await gathered(cache, origin, 1)
        await cache.manager.engine.flights.close(0.0)
        await origin.arrived.acquire()
        origin.gate.set()

        assert (await waiter).status == 200


async def test_a_leader_cancelled_while_it_streams_alone_ends_its_origin() -> None:
    """The application's own clean-up is done when the caller gets its `CancelledError`."""
    cleaned = []

    async def streams(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"set-cookie", b"a=b")]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(1)

    async with caching(Origin(streams)) as cache:
        visit = Visit()
        leader = cache.client.begin("/x", visit=visit)
        await visit.heard.wait()
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader

        assert cleaned == [1]
        assert cache.manager.engine.flights.running == 0


async def test_context_of_the_request_reaches_the_application() -> None:
    """Context variables that layers outside set are seen by the origin, although it runs apart."""
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable", default="none")

    async def page(request: Request) -> Response:
        return PlainTextResponse(variable.get())

    async with caching(Starlette(routes=[Route("/x", page)])) as cache:
        variable.set("outside")

        assert (await cache.get("/x")).body == b"outside"


async def test_waiters_of_an_overtaken_run_look_again() -> None:
    """An invalidation while the origin runs: the waiters that had joined get a fresh answer."""
    origin = Origin()
    async with caching(origin, EVERYTHING, default=Policy(5)) as cache:
        tasks = await gathered(cache, origin, 3)
        await cache.manager.invalidate_path("/x")
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert replies[0].detail == "invalidated"
        assert {reply.body for reply in replies[1:]} == {b"2"}
        assert (await cache.get("/x")).body == b"2"
