"""HEADs that the application answers itself: those that come together are one run."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, Policy
from asgi_multitier._types import Receive, Scope, Send
from tests.support import (
    Cache,
    Client,
    Origin,
    Reply,
    answering,
    caching,
    pass_time,
    respond,
    settled,
)

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
FRESH = (b"cache-control", b"max-age=60")
TAG = (b"etag", b'"1"')
BY_ORIGIN = Policy.from_origin()
MANY = 20


def closed(*lines: tuple[bytes, bytes], status: int = 200) -> Origin:
    """An application that answers when its gate is opened."""
    origin = Origin(answering(b"hello", *lines, status=status))
    origin.gate.clear()
    return origin


def begin(client: Client, *fields: tuple[str, str]) -> "asyncio.Task[Reply]":
    return asyncio.create_task(client.request("HEAD", "/x", fields))


async def together(cache: Cache, origin: Origin, *asked: list[tuple[str, str]]) -> list[Reply]:
    """The answers to HEADs that all wait before the application answers the first."""
    await cache.manager.start()
    tasks = [begin(cache.client, *fields) for fields in asked]
    await settled()
    origin.gate.set()
    return await asyncio.gather(*tasks)


async def test_heads_that_come_together_are_one_run() -> None:
    """The application gets one HEAD; all have what it said, and nothing of it is stored."""
    origin = closed(FRESH, TAG)
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        await cache.manager.start()
        first, *others = await together(cache, origin, *MANY * [[]])

        assert [scope["method"] for scope in origin.scopes] == ["HEAD"]
        assert (first.cache, first.get("content-length")) == ("fwd=uri-miss; detail=method", b"5")
        for reply in others:
            assert reply.cache == "fwd=uri-miss; collapsed; ttl=60"
            assert (reply.status, reply.body, reply.complete) == (200, b"", True)
            assert [reply.get(name) for name in ("content-length", "etag")] == [b"5", b'"1"']
        assert (await cache.get("/x")).stored


async def test_heads_of_a_stale_copy_are_one_run_that_renews_it() -> None:
    """What the application says is heard for all, and for what is stored."""
    origin = Origin(answering(b"hello", FRESH, TAG))
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        await cache.get("/x")
        cache.clock.advance(61)
        origin.gate.clear()
        await together(cache, origin, *MANY * [[]])

        assert origin.calls == 2
        assert (await cache.get("/x")).hit


async def test_a_slow_head_is_followed_by_one_more() -> None:
    """One more run for each time-out that those who wait have to wait, not one for each of them."""
    origin = closed(FRESH)
    async with caching(origin, (), default=BY_ORIGIN, coalesce_timeout=5.0) as cache:
        tasks = [begin(cache.client) for _ in range(MANY)]
        for runs in (2, 3):
            await pass_time(5.0)
            assert origin.calls == runs
        origin.gate.set()

        assert {reply.status for reply in await asyncio.gather(*tasks)} == {200}


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param([], 200, id="nothing is said"),
        pytest.param([(b"cache-control", b"no-store")], 200, id="no-store"),
        pytest.param([(b"cache-control", b"private, max-age=60")], 200, id="private"),
        pytest.param([FRESH, (b"set-cookie", b"a=b")], 200, id="set-cookie"),
        pytest.param([FRESH, (b"vary", b"*")], 200, id="vary on everything"),
        pytest.param([], 500, id="failure"),
    ],
)
async def test_an_answer_to_head_that_is_not_for_everybody_is_its_clients(
    lines: list[tuple[bytes, bytes]], status: int
) -> None:
    """Those who wait ask for themselves, at once."""
    origin = closed(*lines, status=status)
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        replies = await together(cache, origin, *MANY * [[]])

        assert origin.calls == MANY
        assert {reply.status for reply in replies} == {status}
        assert not any("collapsed" in reply.cache for reply in replies)


async def test_an_answer_to_a_user_is_for_nobody_else() -> None:
    """RFC 9111 §3.5 holds for HEAD; who says nothing of a user still gets one answer with all."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        user = dict(scope["headers"]).get(b"authorization", b"nobody")
        await respond(send, b"", FRESH, (b"x-is", user))

    origin = Origin(page)
    origin.gate.clear()
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        users = [[("authorization", name)] for name in ("anna", "ben")]
        replies = await together(cache, origin, users[0], [], users[1], [], [])

        told = [b"anna", b"nobody", b"ben", b"nobody", b"nobody"]
        assert [reply.get("x-is") for reply in replies] == told
        assert origin.calls == 3


async def test_each_variant_is_one_run() -> None:
    """A HEAD gets what its own fields choose."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        language = dict(scope["headers"])[b"accept-language"]
        await respond(send, b"", FRESH, (b"vary", b"accept-language"), (b"x-is", language))

    origin = Origin(page)
    origin.gate.clear()
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        languages = [f"{letter}{letter}" for letter in "abcdefghij" for _ in range(2)]
        asked = [[("accept-language", language)] for language in languages]
        replies = await together(cache, origin, *asked)

        assert [reply.get("x-is") for reply in replies] == [name.encode() for name in languages]
        assert origin.calls == 10


@pytest.mark.parametrize(
    "condition", [("if-none-match", '"1"'), ("if-modified-since", DATE)], ids=["tag", "date"]
)
async def test_a_head_with_a_condition_is_answered_by_what_is_said_to_all(
    condition: tuple[str, str],
) -> None:
    """Whether or not the first client has it: 304 is only for those who have the response."""
    origin = closed(FRESH, TAG, (b"last-modified", DATE.encode()))
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        replies = await together(cache, origin, [condition], [condition], [])

        assert [reply.status for reply in replies] == [304, 304, 200]
        assert [reply.body for reply in replies] == 3 * [b""]
        assert origin.calls == 1


async def test_a_head_that_fails_is_told_to_all_who_wait() -> None:
    """The exception is theirs, as it would be without a cache."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("the database is gone")

    origin = Origin(page)
    origin.gate.clear()
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        await cache.manager.start()
        tasks = [begin(cache.client) for _ in range(MANY)]
        await settled()
        origin.gate.set()
        raised = await asyncio.gather(*tasks, return_exceptions=True)

        assert {str(error) for error in raised} == {"the database is gone"}
        assert origin.calls == 1


async def test_a_head_whose_client_leaves_is_followed_by_another() -> None:
    """The server ends its request; those who wait begin one more run, not one each."""
    origin = closed(FRESH)
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        await cache.manager.start()
        first, *others = [begin(cache.client) for _ in range(MANY)]
        await settled()
        first.cancel()
        for _ in range(2):
            await origin.arrived.acquire()
        await settled()
        origin.gate.set()

        assert {reply.status for reply in await asyncio.gather(*others)} == {200}
        assert first.cancelled()
        assert origin.calls == 2


async def test_a_head_that_was_overtaken_is_asked_for_again() -> None:
    """What came before an invalidation is for who asked before it, and not for those who wait."""
    origin = closed(FRESH)
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        await cache.manager.start()
        tasks = [begin(cache.client) for _ in range(MANY)]
        await settled()
        await cache.manager.invalidate_path("/x")
        origin.gate.set()
        await asyncio.gather(*tasks)

        assert origin.calls == 2


async def test_heads_beside_a_stream_without_end_are_one_run() -> None:
    """Where a GET takes its time they wait for a HEAD of their own."""
    heads = asyncio.Event()
    end = asyncio.Event()

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": [FRESH]}
        if scope["method"] == "HEAD":
            await heads.wait()
        await send(start)
        if scope["method"] == "GET":
            for _ in range(2):
                await send({"type": "http.response.body", "body": b"line", "more_body": True})
            await end.wait()
        await send({"type": "http.response.body", "body": b""})

    origin = Origin(page)
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        stream = cache.client.begin("/x")
        await pass_time(0.25)
        tasks = [begin(cache.client) for _ in range(MANY)]
        await settled()
        heads.set()

        assert {reply.status for reply in await asyncio.gather(*tasks)} == {200}
        assert origin.calls == 2
        end.set()
        await stream


async def test_a_session_that_a_head_has_written_is_its_clients() -> None:
    """Each visitor gets a cookie of its own."""
    origin_gate = asyncio.Event()
    runs: list[Any] = []

    async def page(request: Request) -> Response:
        runs.append(request)
        await origin_gate.wait()
        request.session["visitor"] = len(runs)
        return PlainTextResponse("hello", headers={"cache-control": "max-age=60"})

    inner = Starlette(routes=[Route("/x", page)])
    async with CacheManager(redis_url=None) as manager:
        cached = CacheMiddleware(inner, manager, default=BY_ORIGIN)
        app = SessionMiddleware(cached, secret_key="of this test")
        tasks = [begin(Client(app)) for _ in range(5)]
        await settled()
        origin_gate.set()
        replies = await asyncio.gather(*tasks)

        assert len(runs) == 5
        assert all(reply.get("set-cookie") for reply in replies)


async def test_a_head_that_asks_the_cache_for_itself_does_not_wait_for_itself() -> None:
    """A run that sends the request through the cache once more is answered by the application."""
    entry: list[Client] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if not entry[1:]:
            entry.append(entry[0])
            assert (await entry[0].request("HEAD", "/x")).detail == "nested"
        await respond(send, b"hello", FRESH)

    async with caching(Origin(page), (), default=BY_ORIGIN) as cache:
        entry.append(cache.client)

        assert (await cache.client.request("HEAD", "/x")).status == 200


async def test_a_head_of_what_is_not_coalesced_is_the_applications_own() -> None:
    """`coalesce=False`: each is a run, and asks with HEAD."""
    origin = closed(FRESH)
    policy = Policy.from_origin(coalesce=False)
    async with caching(origin, (), default=policy) as cache:
        await together(cache, origin, [], [])

        assert [scope["method"] for scope in origin.scopes] == ["HEAD", "HEAD"]
