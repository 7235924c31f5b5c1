"""What asks by a condition, or for a part, fills from the whole and gets its own answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import starlette
from packaging.version import Version
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Headers, Receive, Scope, Send
from tests.support import Origin, Visit, answering, caching, respond, settled

BODY = b"0123456789"
TAG = (b"etag", b'"1"')
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
MODIFIED = (b"last-modified", DATE.encode())
FRESH = (b"cache-control", b"max-age=60")
BY_ORIGIN = Policy.from_origin()
PART = [("range", "bytes=2-4")]

answers_parts = pytest.mark.skipif(
    Version(starlette.__version__) < Version("0.39"),
    reason="the files of this Starlette have no parts",
)

CASES = [
    pytest.param(PART, 206, b"234", id="range"),
    pytest.param([*PART, ("if-range", '"1"')], 206, b"234", id="if-range"),
    pytest.param([*PART, ("if-range", '"0"')], 200, BODY, id="if-range of another"),
    pytest.param([("range", "bytes=99-")], 416, b"", id="range outside"),
    pytest.param([("if-none-match", '"1"')], 304, b"", id="if-none-match"),
    pytest.param([("if-none-match", '"0"')], 200, BODY, id="if-none-match of another"),
    pytest.param([("if-modified-since", DATE)], 304, b"", id="if-modified-since"),
]


def fields_of(origin: Origin) -> list[set[bytes]]:
    """The names of the fields that the origin got, call by call."""
    return [{name for name, _ in scope["headers"]} for scope in origin.scopes]


@pytest.mark.parametrize(
    "settings",
    [{}, {"rules": (), "default": BY_ORIGIN}],
    ids=["annotated", "from-origin"],
)
@pytest.mark.parametrize(("asked", "status", "content"), CASES)
async def test_twenty_returning_browsers_are_one_run(
    asked: Any, status: int, content: bytes, settings: Any
) -> None:
    """After a purge: one run for all, each gets what it asked for, and the whole is stored."""
    origin = Origin(answering(BODY, FRESH, TAG, MODIFIED))
    origin.gate.clear()
    async with caching(origin, **settings) as cache:
        tasks = [cache.client.begin("/x", asked) for _ in range(20)]
        await settled()
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert origin.calls == 1
        assert fields_of(origin)[0] <= {b"host"}
        assert {(reply.status, reply.body) for reply in replies} == {(status, content)}
        hit = await cache.get("/x")
        assert (hit.hit, hit.body) == (True, BODY)


async def test_a_range_of_a_stale_copy_validates_it() -> None:
    """The origin is asked whether it still holds, and the part comes out of the copy."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if dict(scope["headers"]).get(b"if-none-match") == TAG[1]:
            await respond(send, b"", TAG, status=304, length=False)
        else:
            await respond(send, BODY, TAG)

    origin = Origin(page)
    async with caching(origin, [Rule("*", 10)]) as cache:
        await cache.get("/x")
        cache.clock.advance(11)
        reply = await cache.get("/x", PART)

        assert (reply.status, reply.body, reply.stored) == (206, b"234", True)
        assert (await cache.get("/x")).hit


async def test_a_head_waits_for_a_get_that_is_under_way() -> None:
    """Where responses decide for themselves too; without one it is the application's own."""
    origin = Origin(answering(BODY, FRESH))
    origin.gate.clear()
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        tasks = [cache.client.begin("/x")]
        await settled()
        tasks += [asyncio.create_task(cache.client.request("HEAD", "/x")) for _ in range(5)]
        await settled()
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert origin.calls == 1
        assert [reply.body for reply in replies] == [BODY, *5 * [b""]]


def files(tmp_path: Any, size: int, *lines: tuple[str, str]) -> tuple[Origin, list[int]]:
    """An application that serves a file, in parts where that is asked for."""
    path = tmp_path / "film.bin"
    path.write_bytes(b"x" * size)

    async def film(request: Request) -> Response:
        return FileResponse(path, headers=dict(lines))

    return Origin(Starlette(routes=[Route("/film", film)])), []


@answers_parts
async def test_a_part_of_what_is_too_large_is_the_applications_own(tmp_path: Any) -> None:
    """A player that seeks gets 206, not all of a film; then it is asked for as it is at once."""
    origin, _ = files(tmp_path, 300_000)
    async with caching(origin, max_entry=100_000) as cache:
        replies = [await cache.get("/film", [("range", "bytes=1000-1999")]) for _ in range(3)]

        assert [(reply.status, len(reply.body)) for reply in replies] == [(206, 1000)] * 3
        assert [reply.detail for reply in replies] == ["oversized", "range", "range"]
        assert [b"range" in names for names in fields_of(origin)] == [False, True, True, True]
        stats = cache.manager.stats()
        assert stats.total.requests == 3


@answers_parts
async def test_waiters_for_a_part_of_what_is_too_large_ask_for_it_themselves(
    tmp_path: Any,
) -> None:
    """Nobody is sent the whole."""
    origin, _ = files(tmp_path, 300_000)
    origin.gate.clear()
    async with caching(origin, max_entry=100_000) as cache:
        tasks = [cache.client.begin("/film", [("range", "bytes=0-9")]) for _ in range(5)]
        await settled()
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

        assert [(reply.status, len(reply.body)) for reply in replies] == [(206, 10)] * 5
        assert origin.calls == 6


@answers_parts
async def test_a_part_of_what_may_not_be_stored_is_the_applications_own(tmp_path: Any) -> None:
    """An application that serves parts says so; it is asked for the part then."""
    origin, _ = files(tmp_path, 1000, ("cache-control", "private"))
    async with caching(origin) as cache:
        reply = await cache.get("/film", [("range", "bytes=0-9")])

        assert (reply.status, len(reply.body), reply.detail) == (206, 10, "private")


async def test_a_part_of_a_file_that_comes_in_pieces_is_a_part(tmp_path: Any) -> None:
    """It is held back until it is whole, which its length tells."""
    origin, _ = files(tmp_path, 200_000)
    async with caching(origin) as cache:
        reply = await cache.get("/film", [("range", "bytes=5-9")])

        assert (reply.status, reply.body) == (206, b"xxxxx")
        assert origin.calls == 1
        assert (await cache.get("/film")).hit


async def test_an_application_that_knows_no_parts_is_asked_once() -> None:
    """Its own answer to a range is the whole as well."""
    origin = Origin(answering(BODY, (b"cache-control", b"private")))
    async with caching(origin) as cache:
        reply = await cache.get("/x", PART)

        assert (reply.status, reply.body) == (200, BODY)
        assert origin.calls == 1


async def test_a_stream_without_end_is_not_held_back_for_a_part() -> None:
    """Nobody knows when it will be whole, so its client gets it as it comes, from the start."""
    gate = asyncio.Event()

    async def radio(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"music", "more_body": True})
        await gate.wait()
        await send({"type": "http.response.body", "body": b"!"})

    async with caching(Origin(radio)) as cache:
        visit = Visit()
        asking = cache.client.begin("/x", [("range", "bytes=0-")], visit=visit)
        await visit.heard.wait()
        await settled()
        assert (visit.reply.status, visit.reply.body) == (200, b"music")
        gate.set()

        assert (await asking).body == b"music!"


@pytest.mark.parametrize(
    ("lines", "asked", "status"),
    [
        pytest.param((TAG,), ("if-none-match", '"1"'), 304, id="the same"),
        pytest.param((TAG,), ("if-none-match", '"0"'), 200, id="another"),
        pytest.param((MODIFIED,), ("if-modified-since", DATE), 304, id="not modified"),
        pytest.param((), ("if-modified-since", DATE), 200, id="nothing to compare with"),
    ],
)
@pytest.mark.parametrize("private", [True, False], ids=["private", "stored"])
async def test_a_client_that_has_a_response_is_not_sent_it(
    lines: Headers, asked: tuple[str, str], status: int, private: bool
) -> None:
    """Also where it is not stored, or comes in pieces: the condition was asked for by us."""
    lines = (*lines, *([(b"cache-control", b"private")] if private else []))

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(lines)})
        await send({"type": "http.response.body", "body": BODY, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with caching(Origin(page)) as cache:
        reply = await cache.get("/x", [asked])
        await settled()

        assert (reply.status, reply.body) == (status, BODY if status == 200 else b"")
        assert reply.complete
        assert (await cache.get("/x")).hit is not private


@pytest.mark.parametrize("asked", [("if-none-match", '"1"'), ("range", "bytes=0-1")])
async def test_a_framework_whose_response_is_cut_short_is_no_failure(asked: Any) -> None:
    """It says in words of its own that nobody listens any more; its client has its answer."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 100

    async def page(request: Request) -> Response:
        if "range" in request.headers:
            return Response(b"xx", 206, {"content-range": "bytes 0-1/300"})
        headers = {"etag": '"1"', "cache-control": "private", "accept-ranges": "bytes"}
        return StreamingResponse(pieces(), headers=headers)

    async with caching(Starlette(routes=[Route("/x", page)])) as cache:
        reply = await cache.get("/x", [asked])

        assert (reply.status, reply.body) in ((304, b""), (206, b"xx"))
        assert cache.manager.stats().failures == {}


async def test_conditions_reach_an_application_whose_answers_are_not_shared() -> None:
    """For `hit_for_miss` seconds it can spare itself the work, as without a cache."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if dict(scope["headers"]).get(b"if-none-match") == TAG[1]:
            await respond(send, b"", TAG, status=304, length=False)
        else:
            await respond(send, BODY, TAG, (b"cache-control", b"no-store"))

    origin = Origin(page)
    async with caching(origin, (), default=BY_ORIGIN) as cache:
        for _ in range(2):
            assert (await cache.get("/x", [("if-none-match", '"1"')])).status == 304

        assert [b"if-none-match" in names for names in fields_of(origin)] == [False, True]


async def test_a_client_that_asks_again_finds_its_channel_unread() -> None:
    """The application is asked twice, and reads what the client sends from its beginning twice."""
    heard: list[list[str]] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        messages = [await receive()]
        heard.append([message["type"] for message in messages])
        if b"range" in dict(scope["headers"]):
            await respond(send, b"0", (b"content-range", b"bytes 0-0/9999999"), status=206)
            visit.leave()
            heard.append([(await receive())["type"]])
            return
        lines = [(b"content-length", b"9999999")]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise AssertionError("nobody wants more")

    async with caching(Origin(page)) as cache:
        visit = Visit()
        reply = await cache.get("/x", [("range", "bytes=0-0")], visit=visit)

        assert (reply.status, reply.body) == (206, b"0")
        assert heard == [["http.request"], ["http.request"], ["http.disconnect"]]
