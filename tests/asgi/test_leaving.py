"""Callers that leave while a run is under way: others lose nothing, and no run is left alone."""

import asyncio
import gc

import pytest

from asgi_multitier import Rule
from asgi_multitier._types import Message, Receive, Scope, Send
from tests.asgi.support import gathered
from tests.patience import PATIENCE
from tests.support import Answered, Origin, Reply, Visit, caching, pass_time, respond, settled


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


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_application_may_wait_for_the_end_before_it_returns(method: str) -> None:
    """With a whole response its client counts as gone: fills and refreshes end."""
    returned = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x" * (len(returned) + 1))
        while (await receive())["type"] != "http.disconnect":
            pass
        returned.append(scope["method"])

    rules = [Rule("*", 10, stale_while_revalidate=60)]
    async with asyncio.timeout(PATIENCE), caching(app, rules) as cache:
        visit = Answered()
        await cache.client.request(method, "/x", visit=visit)
        await settled()
        assert (len(returned), len(cache.manager.engine.flights)) == (1, 0)
        cache.clock.advance(11)
        assert (await cache.get("/x")).body == b"x"
        await settled()
        assert (len(returned), len(cache.manager.engine.flights)) == (2, 0)
        assert (await cache.get("/x")).body == b"xx"
