"""Identical requests at one time are one run of the origin, and nobody suffers from another."""

import asyncio
import gc
import traceback
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Message, Receive, Scope, Send
from tests.patience import until
from tests.support import (
    EVERYTHING,
    Cache,
    Client,
    Origin,
    Reply,
    Visit,
    answering,
    caching,
    pass_time,
    respond,
    settled,
)


async def gathered(cache: Cache, origin: Origin, number: int) -> list["asyncio.Task[Reply]"]:
    """A leader in the origin, and so many others that wait for it."""
    origin.gate.clear()
    tasks = [cache.client.begin("/x") for _ in range(number + 1)]
    await origin.arrived.acquire()
    await settled()
    return tasks


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


@pytest.mark.parametrize("leaves", ["cancelled", "disconnected"])
async def test_the_leaders_leaving_harms_no_waiter(leaves: str) -> None:
    """The origin's one run goes on, all waiters get the full body, and it is stored."""
    origin = Origin()
    origin.gate.clear()
    async with caching(origin) as cache:
        visit = Visit()
        leader = cache.client.begin("/x", visit=visit)
        await origin.arrived.acquire()
        waiters = [cache.client.begin("/x") for _ in range(100)]
        await settled()
        if leaves == "cancelled":
            leader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leader
        else:
            visit.leave()
        origin.gate.set()
        replies = await asyncio.gather(*waiters)
        await asyncio.gather(leader, return_exceptions=True)

        assert origin.calls == 1
        assert {reply.body for reply in replies} == {b"1"}
        assert (await cache.get("/x")).hit


async def test_a_waiters_leaving_harms_nobody() -> None:
    """One of the waiters is cancelled: the others and the leader are answered."""
    origin = Origin()
    async with caching(origin) as cache:
        tasks = await gathered(cache, origin, 5)
        tasks[3].cancel()
        await settled()
        origin.gate.set()
        replies = await asyncio.gather(*tasks, return_exceptions=True)

        assert isinstance(replies.pop(3), asyncio.CancelledError)
        assert all(isinstance(reply, Reply) and reply.body == b"1" for reply in replies)


async def test_who_gives_up_waiting_changes_nothing_for_others() -> None:
    """Some clients leave, then 20 more come: all of them share the one run, as for values."""
    origin = Origin()
    async with caching(origin) as cache:
        leader, *hasty = await gathered(cache, origin, 2)
        for task in hasty:
            task.cancel()
        await settled()
        others = [cache.client.begin("/x") for _ in range(20)]
        await settled()
        origin.gate.set()
        replies = await asyncio.gather(leader, *others)

        assert {reply.body for reply in replies} == {b"1"}
        assert origin.calls == 1


async def test_a_waiters_leaving_does_not_end_the_leaders_run() -> None:
    """The leader still waits, so the run is not given up however long it takes."""
    origin = Origin()
    async with caching(origin) as cache:
        flights = cache.manager.engine.flights
        flights._fill_timeout = 0.0
        leader, waiter = await gathered(cache, origin, 1)
        waiter.cancel()
        await pass_time(60)
        origin.gate.set()

        assert (await leader).body == b"1"


@pytest.mark.parametrize("leaves", ["cancelled", "disconnected"])
async def test_a_run_that_nobody_waits_for_ends_in_time(
    leaves: str, caplog: pytest.LogCaptureFixture
) -> None:
    """When everybody left, the run has `fill_timeout`, then it is cancelled; nothing is left."""
    ended = asyncio.Event()

    async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await receive()
            await receive()
        finally:
            ended.set()

    origin = Origin(hangs)
    async with caching(origin) as cache:
        flights = cache.manager.engine.flights
        flights._fill_timeout = 0.01
        visit = Visit()
        tasks = [cache.client.begin("/x", visit=visit)]
        tasks += [cache.client.begin("/x") for _ in range(3)]
        await origin.arrived.acquire()
        await settled()
        for task in tasks[1:] if leaves == "disconnected" else tasks:
            task.cancel()
        if leaves == "disconnected":
            visit.leave()
        async with asyncio.timeout(60):
            await ended.wait()
        await asyncio.gather(*tasks, return_exceptions=True)
        await settled()
        gc.collect()

        assert flights.running == 0
        assert len(flights) == 0
        assert "never retrieved" not in caplog.text


async def test_a_run_that_nobody_waits_for_may_finish_and_is_stored() -> None:
    """Its result is worth storing."""
    origin = Origin()
    async with caching(origin) as cache:
        tasks = await gathered(cache, origin, 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        origin.gate.set()
        await settled()

        assert (await cache.get("/x")).hit
        assert origin.calls == 1


class BoomError(Exception):
    """What the origin raises."""


async def _boom(scope: Scope, receive: Receive, send: Send) -> None:
    raise BoomError("before the start")


async def _boom_after_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise BoomError("after the start")


async def _boom_after_half(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise BoomError("after half the body")


async def _boom_after_half_with_length(scope: Scope, receive: Receive, send: Send) -> None:
    lines = [(b"content-length", b"8")]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise BoomError("after half the body")


@pytest.mark.parametrize(
    "fails", [_boom, _boom_after_start, _boom_after_half, _boom_after_half_with_length]
)
async def test_an_exception_reaches_all_as_if_each_had_called(
    fails: Callable[[Scope, Receive, Send], object],
) -> None:
    """Leader and waiters raise it with the origin's frames; nothing is stored; nobody hangs."""
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
    origin = Origin(_boom)
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
        assert all("in _boom" in text for text in seen)
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


UNSTORABLE = [
    pytest.param((b"set-cookie", b"sid=%d"), id="set-cookie"),
    pytest.param((b"cache-control", b"private"), id="private"),
    pytest.param((b"cache-control", b"no-store"), id="no-store"),
    pytest.param((b"vary", b"*"), id="vary-star"),
]


@pytest.mark.parametrize("line", UNSTORABLE)
async def test_a_response_that_is_its_clients_own_reaches_no_waiter(
    line: tuple[bytes, bytes],
) -> None:
    """100 waiters each run the origin themselves, all at once, and each gets his own answer."""
    origin = Origin()

    async def own(scope: Scope, receive: Receive, send: Send) -> None:
        number = origin.calls
        value = line[1] % number if b"%d" in line[1] else line[1]
        await respond(send, b"%d" % number, (line[0], value))

    origin._answer = own
    async with caching(origin) as cache:
        tasks = await gathered(cache, origin, 100)
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert origin.calls == 101
        assert len({reply.messages[0]["status"] for reply in replies}) == 1
        assert not any("collapsed" in reply.cache for reply in replies)
        assert len(cache.manager.engine.stack.local) == 0


async def test_waiters_are_released_at_the_start_of_what_is_not_shared() -> None:
    """They run the origin while the leader still streams."""
    gate = asyncio.Event()

    async def streams(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"cache-control", b"private")]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        await gate.wait()
        await send({"type": "http.response.body", "body": b"x"})

    origin = Origin(streams)
    async with caching(origin) as cache:
        tasks = await gathered(cache, origin, 10)
        origin.gate.set()
        for _ in range(10):
            await origin.arrived.acquire()

        assert origin.calls == 11
        gate.set()
        assert all(reply.body == b"x" for reply in await asyncio.gather(*tasks))


async def test_requests_do_not_queue_for_what_was_not_shared_a_moment_ago() -> None:
    """For `hit_for_miss` seconds each runs at once; then they wait for each other again."""
    origin = Origin(answering(b"x", (b"cache-control", b"private")))
    async with caching(origin, hit_for_miss=2.0) as cache:
        await cache.get("/x")
        await origin.arrived.acquire()
        origin.gate.clear()
        at_once = [cache.client.begin("/x") for _ in range(3)]
        for _ in range(3):
            await origin.arrived.acquire()
        assert origin.calls == 4
        cache.clock.advance(2.1)
        later = [cache.client.begin("/x") for _ in range(3)]
        await settled()
        assert origin.calls == 5
        origin.gate.set()
        await asyncio.gather(*at_once, *later)


async def test_a_storable_answer_ends_the_memory_of_what_was_not_shared() -> None:
    """Once a key's answer could be stored, requests wait for each other again at once."""
    origin = Origin(answering(b"x", (b"cache-control", b"private")))
    async with caching(origin) as cache:
        await cache.get("/x")
        origin._answer = origin.count
        await cache.get("/x")
        await cache.manager.clear()
        calls = origin.calls
        tasks = await gathered(cache, origin, 3)
        origin.gate.set()
        await asyncio.gather(*tasks)

        assert origin.calls == calls + 1


async def test_a_failing_origin_is_not_sent_everybody_at_once_from_then_on() -> None:
    """After a 503 the next burst waits for one run again."""
    origin = Origin(answering(b"x", status=503))
    async with caching(origin) as cache:
        await cache.get("/x")
        await origin.arrived.acquire()
        tasks = await gathered(cache, origin, 3)

        assert origin.calls == 2
        origin.gate.set()
        await asyncio.gather(*tasks)


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


async def test_a_rule_may_forbid_sharing_runs() -> None:
    """`coalesce=False`: each request runs the origin."""
    origin = Origin()
    async with caching(origin, [Rule("*", 300, coalesce=False)]) as cache:
        tasks = await gathered(cache, origin, 3)
        origin.gate.set()
        await asyncio.gather(*tasks)

        assert origin.calls == 4
        assert (await cache.get("/x")).hit


async def test_a_waiter_of_another_variant_asks_for_himself() -> None:
    """A coalesced answer whose `Vary` chooses another copy is not given to him."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        language = dict(scope["headers"])[b"accept-language"]
        await respond(send, language, (b"vary", b"accept-language"))

    origin = Origin(page)
    origin.gate.clear()
    async with caching(origin) as cache:
        lines = [[("accept-language", language)] for language in ("de", "fr", "de", "fr", "it")]
        tasks = [cache.client.begin("/x", line) for line in lines]
        await origin.arrived.acquire()
        await settled()
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert [reply.body for reply in replies] == [b"de", b"fr", b"de", b"fr", b"it"]
        assert origin.calls == 3


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


@pytest.mark.parametrize("fails", [_boom, answering(b"x", status=500)], ids=["raises", "500"])
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
        if fails is _boom:
            assert cache.manager.stats().failures == {"refresh": 2}
            assert "refresh of /x failed: BoomError: before the start" in caplog.text


async def test_a_refresh_that_may_not_be_shared_ends_the_copy() -> None:
    """The origin says now that its answer is one client's own: nobody gets the old one either."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10, stale_while_revalidate=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(11)
        origin._answer = answering(b"x", (b"set-cookie", b"a=b"))
        assert (await cache.get("/x")).body == b"1"
        await settled()

        assert (await cache.get("/x")).detail == "set-cookie"


async def test_a_refresh_that_streams_without_end_is_stopped() -> None:
    """What turns out not to be storable is heard by nobody, so the run ends."""
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
        for fails in (_boom, answering(b"x", status=503)):
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


@pytest.mark.parametrize(
    "fails", [_boom_after_start, _boom_after_half, _boom_after_half_with_length]
)
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
        if fails is _boom_after_start:
            assert isinstance(first, Reply)
            assert first.body == b"1"
        else:
            assert isinstance(first, BoomError)
        assert origin.calls == 2


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


async def test_who_has_left_while_waiting_waits_no_more() -> None:
    """The server stops waiting for such requests, and no run is begun for one of them."""
    origin = Origin()
    origin.gate.clear()
    async with caching(origin) as cache:
        visits = [Visit() for _ in range(5)]
        first, *gone, still = [cache.client.begin("/x", visit=visit) for visit in visits]
        await origin.arrived.acquire()
        await pass_time(2)
        for visit in visits[1:-1]:
            visit.leave()
        await settled()

        assert all(task.done() for task in gone)
        assert not any(visit.reply.messages for visit in visits[1:-1])
        origin.gate.set()
        assert (await still).body == (await first).body == b"1"
        assert origin.calls == 1


async def test_a_run_that_all_have_left_is_ended() -> None:
    """Those who wait keep a run going only for as long as they are there."""
    origin = Origin()
    origin.gate.clear()
    async with caching(origin) as cache:
        visits = [Visit() for _ in range(5)]
        tasks = [cache.client.begin("/x", visit=visit) for visit in visits]
        await origin.arrived.acquire()
        await pass_time(2)
        for visit, task in zip(visits, tasks, strict=True):
            visit.leave()
            await settled()
            assert task.done() is (visit is not visits[0])
        tasks[0].cancel()
        await settled()
        await pass_time(31)

        assert cache.manager.engine.flights.running == 0
        assert origin.calls == 1


@pytest.mark.parametrize("end", ["never", "ends"])
async def test_who_waits_in_vain_is_answered_from_the_start(end: str) -> None:
    """Its application hears an empty request first, whatever was heard while it waited."""
    heard: list[str] = []

    async def private(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])
        await respond(send, b"own", (b"cache-control", b"private"))

    async def endless() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    origin = Origin(private)
    origin.gate.clear()
    async with caching(origin) as cache:
        visit = Visit()
        if end == "never":
            visit.receive = endless  # type: ignore[method-assign]
        first = cache.client.begin("/x")
        await origin.arrived.acquire()
        waiter = cache.client.begin("/x", visit=visit)
        await pass_time(2)
        origin.gate.set()

        assert (await waiter).body == (await first).body == b"own"
        assert heard == ["http.request"] * 2
