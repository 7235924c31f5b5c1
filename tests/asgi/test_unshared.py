"""Responses that are their own client's: no waiter gets one, and none waits for the next."""

import asyncio

import pytest

from asgi_multitier import Policy
from asgi_multitier._types import Receive, Scope, Send
from tests.asgi.support import gathered
from tests.support import Origin, answering, caching, respond, settled

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


AUTHORIZED = [("authorization", "Bearer a")]


async def test_who_sends_authorization_gets_no_answer_to_one_who_does_not() -> None:
    """It waited for that run, and the answer does not say that it is for all: it asks itself."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        named = b"authorization" in dict(scope["headers"])
        body = b"yours" if named else b"for all"
        await respond(send, body, (b"cache-control", b"max-age=60"))

    origin = Origin(page)
    origin.gate.clear()
    async with caching(origin, (), default=Policy.from_origin()) as cache:
        first = cache.client.begin("/x")
        await origin.arrived.acquire()
        second = cache.client.begin("/x", AUTHORIZED)
        await settled()
        origin.gate.set()

        assert [(await task).body for task in (first, second)] == [b"for all", b"yours"]


async def test_requests_with_authorization_do_not_queue_where_each_gets_its_own() -> None:
    """Once one has got an answer that is not for all; those without still share one run."""
    origin = Origin(answering(b"x", (b"cache-control", b"max-age=60")))
    async with caching(origin, (), default=Policy.from_origin()) as cache:
        await cache.get("/x", AUTHORIZED)
        origin.gate.clear()
        own = [cache.client.begin("/x", AUTHORIZED) for _ in range(3)]
        await settled()
        assert origin.calls == 1 + 3
        shared = [cache.client.begin("/x") for _ in range(3)]
        await settled()
        assert origin.calls == 1 + 3 + 1
        origin.gate.set()
        await asyncio.gather(*own, *shared)
