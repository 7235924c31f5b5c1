"""Streams flow from their first byte; what is whole is kept; lies about length keep nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Message, Receive, Scope, Send
from tests.support import Origin, Visit, caching, pass_time, respond, settled, timers


class Stream:
    """An answer that sends what a test puts into it."""

    def __init__(self, *lines: tuple[bytes, bytes]) -> None:
        self.lines = list(lines)
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.sent = 0
        self.ended: BaseException | None = None
        self.over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.lines})
            while (piece := await self.pieces.get()) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                self.sent += 1
            await send({"type": "http.response.body", "body": b""})
        except BaseException as error:
            self.ended = error
            raise
        finally:
            self.over.set()


async def test_an_event_stream_flows_from_its_first_byte() -> None:
    """Its start and each event reach the client at once; others have streams of their own."""
    streams: list[Stream] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        streams.append(Stream((b"content-type", b"text/event-stream; charset=utf-8")))
        await streams[-1](scope, receive, send)

    origin = Origin(page)
    async with caching(origin) as cache:
        visits = [Visit() for _ in range(3)]
        tasks = [cache.client.begin("/events", visit=visit) for visit in visits]
        for visit in visits:
            await visit.heard.wait()
        for number, stream in enumerate(streams):
            stream.pieces.put_nowait(b"data: %d\n\n" % number)
        await settled()

        assert origin.calls == 3
        assert sorted(visit.reply.body for visit in visits) == [
            b"data: 0\n\n",
            b"data: 1\n\n",
            b"data: 2\n\n",
        ]
        assert {visit.reply.detail for visit in visits} == {"event-stream"}
        for stream in streams:
            stream.pieces.put_nowait(None)
        await asyncio.gather(*tasks)
        assert len(cache.manager.engine.stack.local) == 0


async def test_an_unmarked_stream_flows_too_and_is_kept_when_it_ends() -> None:
    """A stream without a length reaches its client piece by piece; the next one gets the copy."""
    stream = Stream()
    origin = Origin(stream)
    async with caching(origin) as cache:
        visit = Visit()
        task = cache.client.begin("/x", visit=visit)
        for number in range(3):
            stream.pieces.put_nowait(b"%d" % number)
            await settled()
            assert visit.reply.body == b"012"[: number + 1]
        assert visit.reply.start["headers"]
        stream.pieces.put_nowait(None)
        await task
        hit = await cache.get("/x")

        assert hit.hit
        assert hit.body == b"012"


async def test_a_stream_that_fails_is_not_followed_by_what_is_stale() -> None:
    """Its client has had the beginning of another response; who waits gets what is stale."""
    broken = asyncio.Event()

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if origin.calls == 1:
            await respond(send, b"whole")
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await broken.wait()
        raise ConnectionError("upstream")

    origin = Origin(page)
    async with caching(origin, [Rule("*", 5, stale_if_error=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(6)
        visit = Visit()
        leader = cache.client.begin("/x", visit=visit)
        await visit.heard.wait()
        other = cache.client.begin("/x")
        await settled()
        broken.set()
        with pytest.raises(ConnectionError):
            await leader

        assert visit.reply.body == b"begun"
        assert len([m for m in visit.reply.messages if m["type"] == "http.response.start"]) == 1
        assert (await other).body == b"whole"


async def test_nothing_waits_any_longer_for_a_stream_that_has_ended() -> None:
    """The timer by which others would begin a run of their own is gone, with what it holds."""
    stream = Stream()
    async with caching(Origin(stream)) as cache:
        await cache.manager.start()
        before = timers()
        task = cache.client.begin("/x")
        stream.pieces.put_nowait(b"1")
        await settled()
        assert timers() > before
        stream.pieces.put_nowait(None)
        await task
        await settled()

        assert timers() == before


async def test_the_copy_is_there_before_the_client_has_the_last_byte() -> None:
    """A client that asks again as soon as its answer is complete gets a hit."""
    seen = []

    async def asking_again(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            seen.append((await cache.get("/x")).hit)
        visit.reply.messages.append(message)

    stream = Stream()
    for target in (Origin(), Origin(stream)):
        stream.pieces.put_nowait(b"x")
        stream.pieces.put_nowait(None)
        async with caching(target) as cache:
            visit = Visit()
            visit.send = asking_again  # type: ignore[method-assign]
            await cache.get("/x", visit=visit)

    assert seen == [True, True]


async def test_an_endless_stream_stops_when_its_client_leaves() -> None:
    """Beyond the largest entry it is its client's alone: a lost connection ends the origin."""
    stream = Stream()
    async with caching(Origin(stream), max_entry=10) as cache:
        visit = Visit()
        task = cache.client.begin("/x", visit=visit)
        for _ in range(5):
            stream.pieces.put_nowait(b"12345")
        await settled()
        assert visit.reply.body == b"12345" * 5
        visit.leave()
        stream.pieces.put_nowait(b"12345")
        with pytest.raises(OSError, match="gone"):
            await task

        assert isinstance(stream.ended, OSError)


async def test_an_endless_stream_whose_leader_left_early_stops() -> None:
    """Nobody is left to hear it once it cannot be kept any more, so it ends."""
    stream = Stream()
    async with caching(Origin(stream), max_entry=10) as cache:
        visit = Visit()
        task = cache.client.begin("/x", visit=visit)
        stream.pieces.put_nowait(b"1")
        await settled()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(5):
            stream.pieces.put_nowait(b"12345")
        await stream.over.wait()

        assert isinstance(stream.ended, OSError)
        assert stream.sent == 2


@pytest.mark.parametrize("early", [True, False], ids=["by and by", "at the end"])
async def test_storable_streams_without_end_end_after_their_clients(early: bool) -> None:
    """30 clients of a framework's stream leave: their requests end at once, the runs in seconds."""
    ended = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
                await asyncio.Event().wait()
        finally:
            ended.append(1)

    async def page(request: Request) -> Response:
        return StreamingResponse(pieces(), media_type="application/x-ndjson")

    async with caching(Starlette(routes=[Route("/{n}", page)])) as cache:
        asgi = {"version": "3.0", "spec_version": "2.3"}
        visits = [Visit() for _ in range(30)]
        tasks = [
            cache.client.begin(f"/{number}", visit=visit, asgi=asgi)
            for number, visit in enumerate(visits)
        ]
        await asyncio.gather(*(visit.heard.wait() for visit in visits))
        for visit in visits:
            visit.leave()
        await asyncio.gather(*tasks)
        if early:
            await pass_time(5.1)
        else:
            await cache.manager.close()
        await settled()

        assert len(ended) == 30
        assert cache.manager.engine.flights.running == 0


async def test_a_stream_whose_client_breaks_off_ends_too() -> None:
    """The server takes nothing any more; the application does not ask whether anybody listens."""
    stream = Stream()
    async with caching(Origin(stream)) as cache:
        visit = Visit()
        task = cache.client.begin("/x", visit=visit)
        stream.pieces.put_nowait(b"1")
        await settled()
        visit.leave()
        stream.pieces.put_nowait(b"2")
        await task
        await pass_time(5.1)

        assert isinstance(stream.ended, asyncio.CancelledError)
        assert cache.manager.engine.flights.running == 0


async def test_a_frameworks_stream_hears_that_its_client_left() -> None:
    """A `StreamingResponse` that passes is ended by `http.disconnect`, as without a cache."""
    ended = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"data: 1\n\n"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def page(request: Request) -> Response:
        return StreamingResponse(pieces(), media_type="text/event-stream")

    async with caching(Starlette(routes=[Route("/x", page)])) as cache:
        visit = Visit()
        asgi = {"version": "3.0", "spec_version": "2.3"}
        task = cache.client.begin("/x", visit=visit, asgi=asgi)
        await visit.heard.wait()
        visit.leave()
        async with asyncio.timeout(60):
            await ended.wait()
            await task


async def test_a_client_that_does_not_read_holds_its_origin_back() -> None:
    """The origin's `send` waits for the client's: nothing is gathered in memory."""
    free = asyncio.Event()

    class Slow(Visit):
        async def send(self, message: Message) -> None:
            if message.get("more_body"):
                await free.wait()
            await super().send(message)

    stream = Stream()
    for _ in range(100):
        stream.pieces.put_nowait(b"x" * 1000)
    stream.pieces.put_nowait(None)
    async with caching(Origin(stream)) as cache:
        task = cache.client.begin("/x", visit=Slow())
        await settled()

        assert stream.sent == 0
        free.set()
        assert len((await task).body) == 100_000


@pytest.mark.parametrize("length", [True, False], ids=["with-length", "without-length"])
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(("size", "stored"), [(99, True), (100, True), (101, False)])
async def test_a_body_is_kept_up_to_the_bound_and_not_a_byte_further(
    size: int, stored: bool, pieces: int, length: bool
) -> None:
    """At `max_entry` it is stored, one byte beyond it passes; the client gets all of it always."""
    body = bytes(range(size))

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"content-length", b"%d" % size)] if length else []
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        step = -(-size // pieces)
        for at in range(0, size, step):
            await send(
                {"type": "http.response.body", "body": body[at : at + step], "more_body": True}
            )
        await send({"type": "http.response.body"})

    async with caching(Origin(page), max_entry=100) as cache:
        first, second = await cache.get("/x"), await cache.get("/x")

        assert first.body == second.body == body
        assert second.hit is stored
        assert first.complete
        assert second.complete
        if not stored:
            assert cache.manager.stats().refused == {"oversized": 2}


async def test_waiters_are_released_at_once_when_a_body_is_too_large() -> None:
    """They run the origin themselves while the leader still streams."""
    streams: list[Stream] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        streams.append(Stream())
        await streams[-1](scope, receive, send)

    origin = Origin(page)
    async with caching(origin, max_entry=10) as cache:
        tasks = [cache.client.begin("/x") for _ in range(3)]
        await origin.arrived.acquire()
        await settled()
        assert origin.calls == 1
        streams[0].pieces.put_nowait(b"x" * 11)
        await settled()

        assert origin.calls == 3
        for stream in streams:
            stream.pieces.put_nowait(None)
        await asyncio.gather(*tasks)


BODY = bytes(range(128))
"""Each byte is another one."""


@pytest.mark.parametrize("ends", ["returns", "raises", "says-so"])
@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_body_that_ends_before_its_length_is_never_stored(ends: str, pieces: int) -> None:
    """Cut before each of its bytes, however the origin ends: its client alone gets it."""
    cut = 0

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"content-length", b"%d" % len(BODY))]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        half = cut // 2 if pieces == 2 else cut
        await send({"type": "http.response.body", "body": BODY[:half], "more_body": True})
        if pieces == 2:
            await send({"type": "http.response.body", "body": BODY[half:cut], "more_body": True})
        if ends == "raises":
            raise ConnectionError("upstream")
        if ends == "says-so":
            await send({"type": "http.response.body", "body": b""})

    async with caching(Origin(page)) as cache:
        for cut in range(len(BODY)):
            visit = Visit()
            try:
                await cache.get("/x", visit=visit)
            except ConnectionError:
                assert ends == "raises"
            if visit.reply.messages:
                assert visit.reply.body == BODY[:cut]
        cut = len(BODY)
        if ends != "raises":
            await cache.get("/y")

        assert cache.manager.stats().fills == (ends == "says-so")
        assert len(cache.manager.engine.stack.local) == (ends == "says-so")


@pytest.mark.parametrize(
    "lines",
    [
        [(b"content-length", b"4")],
        [(b"content-length", b"6")],
        [(b"content-length", b"5"), (b"content-length", b"6")],
        [(b"content-length", b"5, 6")],
        [(b"content-length", b"-5")],
        [(b"content-length", b"five")],
        [(b"content-length", b"5" * 5000)],
        [(b"content-length", b"")],
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_length_that_is_not_the_bodys_keeps_nothing(
    lines: list[tuple[bytes, bytes]],
) -> None:
    """Too long, too short, contradictory or no number: passed on as it is, and not stored."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"hello", *lines, length=False)

    async with caching(Origin(page)) as cache:
        first, second = await cache.get("/x"), await cache.get("/x")

        assert first.body == second.body == b"hello"
        assert second.headers[: len(lines)] == lines
        assert first.detail == second.detail == "incomplete"


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_content_may_name_a_length(status: int) -> None:
    """RFC 9110 §8.6: the length is that of a response that would have content."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"", (b"content-length", b"5"), status=status, length=False)

    async with caching(Origin(page)) as cache:
        await cache.get("/x")

        assert (await cache.get("/x")).hit is (status == 204)


async def test_equal_lengths_twice_are_one() -> None:
    """RFC 9110 §8.6."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        line = (b"content-length", b"5")
        await respond(send, b"hello", line, line, length=False)

    async with caching(Origin(page)) as cache:
        assert (await cache.get("/x")).stored


async def test_trailers_pass() -> None:
    """A response with trailers is passed on whole, message by message, and not stored."""
    start = {"type": "http.response.start", "status": 200, "headers": [], "trailers": True}
    rest: list[Message] = [
        {"type": "http.response.body", "body": b"x"},
        {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]},
    ]

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        for message in (start, *rest):
            await send(message)

    async with caching(Origin(page)) as cache:
        reply = await cache.get("/x")

        assert reply.messages[1:] == rest
        assert reply.detail == "trailers"
        assert not (await cache.get("/x")).hit


@pytest.mark.parametrize("kind", ["http.response.pathsend", "http.response.push", "x.new"])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
async def test_messages_of_other_kinds_keep_their_place(kind: str, at: int) -> None:
    """Whatever an application sends reaches its client in order; what is not known is not kept."""
    messages: list[Message] = [
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.body", "body": b"one", "more_body": True},
        {"type": "http.response.body", "body": b"two", "more_body": False},
    ]
    messages.insert(at, {"type": kind, "path": "/x"})
    sent = [message["type"] for message in messages]

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(dict(message))

    async with caching(Origin(page)) as cache:
        first = await cache.get("/x")
        second = await cache.get("/x")

        got = [message["type"] for message in first.messages]
        assert got == (sent if at < 3 else sent[:3])
        assert first.body == b"onetwo"
        assert second.hit is (at in (0, 3))


async def test_extensions_that_hide_the_body_are_not_offered() -> None:
    """`pathsend` and `zerocopysend` would take a body past the cache; the others stay."""
    extensions = {
        "http.response.pathsend": {},
        "http.response.zerocopysend": {},
        "http.response.debug": {},
    }
    origin = Origin()
    async with caching(origin) as cache:
        await cache.get("/x", extensions=extensions)
        await cache.get("/x", [("cookie", "a=b")], extensions=extensions)

        assert set(origin.scopes[0]["extensions"]) == {"http.response.debug"}
        assert set(origin.scopes[1]["extensions"]) == set(extensions)


@pytest.mark.parametrize("asks", [False, True], ids=["body-unread", "body-read"])
async def test_the_application_gets_an_empty_body(asks: bool) -> None:
    """A GET that may be stored has no content, and the application may read it."""
    read: list[Message] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if asks:
            read.append(await receive())
        await respond(send)

    async with caching(Origin(page)) as cache:
        assert (await cache.get("/x")).stored
        assert read == ([{"type": "http.request", "body": b"", "more_body": False}] if asks else [])


async def test_a_client_lost_while_its_small_answer_is_sent_loses_nothing_for_others() -> None:
    """`send` raises OSError at the first message: the entry is there, the origin unharmed."""
    origin = Origin()
    async with caching(origin) as cache:
        await cache.get("/x", visit=Visit(broken=True))

        assert (await cache.get("/x")).hit


async def test_a_client_lost_while_its_own_answer_is_sent_is_told_to_the_origin() -> None:
    """What is not stored is for nobody else: the origin gets the OSError."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x", (b"set-cookie", b"a=b"))

    async with caching(Origin(page)) as cache:
        with pytest.raises(OSError, match="gone"):
            await cache.get("/x", visit=Visit(broken=True))


@pytest.mark.parametrize("content", [b"", b"hello"], ids=["nothing", "all"])
@pytest.mark.parametrize("stored", [True, False], ids=["ends", "fails"])
@pytest.mark.usefixtures("usual_hold")
async def test_what_is_held_goes_out_when_nothing_follows(content: bytes, stored: bool) -> None:
    """The start, or all of the content, and then a pause: the client has it all the same.

    Others wait for the end; only what has one is kept.
    """
    gate = asyncio.Event()

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        if content:
            await send({"type": "http.response.body", "body": content, "more_body": True})
        await gate.wait()
        if not stored:
            raise RuntimeError("the database is gone")
        await send({"type": "http.response.body", "body": b"hello"[len(content) :]})

    origin = Origin(page)
    async with caching(origin) as cache:
        visit = Visit()
        tasks = [cache.client.begin("/x", visit=visit)]
        tasks += [cache.client.begin("/x") for _ in range(3)]
        await settled()
        assert visit.reply.messages == []
        await pass_time(0.25)
        assert (visit.reply.status, visit.reply.body) == (200, content)
        await pass_time(1)
        assert origin.calls == 1
        gate.set()
        replies = await asyncio.gather(*tasks, return_exceptions=True)

        assert visit.reply.complete is stored
        assert [isinstance(reply, RuntimeError) for reply in replies] == 4 * [not stored]
        assert (len(cache.manager.engine.stack.local) == 1) is stored
        if stored:
            assert (await cache.get("/x")).body == b"hello"


class Slow(Visit):
    """A client that takes nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.taking = asyncio.Event()

    async def send(self, message: Message) -> None:
        await self.taking.wait()
        await super().send(message)


@pytest.mark.usefixtures("usual_hold")
async def test_what_has_gone_out_late_ends_with_its_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that takes nothing holds neither the last message up nor the closing."""
    monkeypatch.setattr("asgi_multitier.manager.lifecycle._CLOSE_PATIENCE", 0.1)
    stream = Stream()
    async with caching(Origin(stream)) as cache:
        visit = Slow()
        task = cache.client.begin("/x", visit=visit)
        await pass_time(0.25)
        stream.pieces.put_nowait(b"one")
        stream.pieces.put_nowait(None)
        await settled()
        assert not stream.over.is_set()
        visit.taking.set()
        await task

        assert [message.get("body") for message in visit.reply.messages] == [None, b"one", b""]

    stream = Stream()
    async with caching(Origin(stream)) as cache:
        task = cache.client.begin("/y", visit=Slow())
        await pass_time(0.25)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.usefixtures("usual_hold")
async def test_a_send_that_is_given_up_is_not_the_end_of_what_was_held() -> None:
    """An application that sends within a time limit, to a client that takes nothing for a while.

    What was held arrives, the application goes on, and nothing with a gap in it is kept.
    """
    refused = asyncio.Event()

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(1)
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await send({"type": "http.response.body", "body": b"lost", "more_body": True})
        refused.set()
        await send({"type": "http.response.body", "body": b"end"})

    async with caching(Origin(page)) as cache:
        visit = Slow()
        task = cache.client.begin("/x", visit=visit)
        await pass_time(1)
        await pass_time(1)
        assert refused.is_set()
        visit.taking.set()
        await task

        assert [message.get("body") for message in visit.reply.messages] == [None, b"end"]
        assert len(cache.manager.engine.stack.local) == 0


async def test_what_was_held_does_not_follow_what_stands_in_for_it() -> None:
    """The application fails after its start: a client that takes its time gets one answer."""
    fails = asyncio.Event()

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if not fails.is_set():
            await respond(send, b"good")
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("the database is gone")

    async with caching(Origin(page), [Rule("*", Policy(60, stale_if_error=600))]) as cache:
        await cache.get("/x")
        cache.clock.advance(61)
        fails.set()
        visit = Slow()
        task = cache.client.begin("/x", visit=visit)
        await pass_time(1)
        visit.taking.set()
        await task

        assert (visit.reply.start["status"], visit.reply.body) == (200, b"good")


async def test_streams_without_end_that_are_not_coalesced_begin_at_once() -> None:
    """`coalesce=False`: no request waits for the stream of another."""
    streams: list[Stream] = []

    async def feed(scope: Scope, receive: Receive, send: Send) -> None:
        streams.append(Stream())
        streams[-1].pieces.put_nowait(b"line")
        await streams[-1](scope, receive, send)

    async with caching(Origin(feed), [Rule("*", Policy(60, coalesce=False))]) as cache:
        visits = [Visit() for _ in range(10)]
        tasks = [cache.client.begin("/feed", visit=visit) for visit in visits]
        await settled()

        assert [visit.reply.body for visit in visits] == 10 * [b"line"]
        for stream in streams:
            stream.pieces.put_nowait(None)
        await asyncio.gather(*tasks)


@pytest.mark.usefixtures("usual_hold")
async def test_an_answer_to_post_that_is_kept_goes_out_when_nothing_follows() -> None:
    """Every response that is held for its end is let go."""
    gate = asyncio.Event()

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"cache-control", b"max-age=60"), (b"content-location", b"/x")]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        await gate.wait()
        await send({"type": "http.response.body", "body": b"hello"})

    policy = Policy.from_origin(methods=["GET", "HEAD", "POST"])
    async with caching(Origin(page), (), default=policy) as cache:
        visit = Visit()
        task = asyncio.create_task(cache.client.request("POST", "/x", visit=visit))
        await pass_time(0.25)
        assert visit.reply.status == 200
        gate.set()
        assert (await task).body == b"hello"
        assert (await cache.get("/x")).hit
