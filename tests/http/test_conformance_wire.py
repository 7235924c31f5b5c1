"""The same over a real server: framing, connections that serve several requests, lost origins.

The origin here is what a proxying application is: it passes on the field lines of another server,
those of the connection included, and content in as many messages as it comes in.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from tests.http.support import FULL, PLAIN, PROFILES, Answered, Dropped, Line, Step, World

MAX_AGE = ("Cache-Control", "max-age=3600")
SHORT = ("Cache-Control", "max-age=2")
ETAG = ("ETag", '"abc"')
CHUNKED = ("Transfer-Encoding", "chunked")
UPSTREAM: tuple[Line, ...] = (
    ("Server", "upstream"),
    ("Date", 0),
    ("Connection", "keep-alive, X-Hop"),
    ("Keep-Alive", "timeout=5"),
    ("X-Hop", "1"),
)

pytestmark = pytest.mark.parametrize("http", ["h11", "httptools"])


class Wire:
    """One connection to the server."""

    def __init__(
        self, world: World, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._world = world
        self._reader = reader
        self._writer = writer

    async def ask(self, step: Step) -> Answered:
        """Send the step's request as bytes, and read one response by its own framing."""
        self._world.script = step
        lines = [f"{step.method} {step.path} HTTP/1.1", "Host: origin.example"]
        lines += [f"{name}: {value}" for name, value in step.ask]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
        version, status, *_ = head[0].split(b" ")
        assert version == b"HTTP/1.1", head
        pairs = [line.split(b": ", 1) for line in head[1:]]
        got = Answered(int(status), [(name, value) for name, value in pairs], b"")
        bodiless = step.method == "HEAD" or got.status in (204, 304)
        got.body = b"" if bodiless else await self._content(got)
        return got

    async def _content(self, got: Answered) -> bytes:
        lengths, codings = got.values("content-length"), got.values("transfer-encoding")
        assert not (lengths and codings), got
        if lengths:
            return await self._reader.readexactly(int(lengths[0]))
        assert codings == ["chunked"], got
        content = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            content += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return content


@asynccontextmanager
async def serving(http: str, profile: str) -> AsyncIterator[tuple[World, Wire]]:
    """A world behind a real server, and a connection to it."""
    world = World(PROFILES[profile])
    config = uvicorn.Config(
        world.middleware,
        http=http,  # type: ignore[arg-type]  # one of the names it takes
        lifespan="off",
        log_config=None,
        date_header=False,
        server_header=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # With its protocol named, the event loop sends small segments without waiting for their like.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        await server.startup(sockets=[listening])
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        try:
            yield world, Wire(world, reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()
            await server.shutdown(sockets=[listening])
            await world.close()


async def test_every_made_response_is_framed(http: str) -> None:
    """Hits, 304, 206, 416 and HEAD follow each other on one connection, byte for byte."""
    async with serving(http, FULL) as (world, wire):
        first = await wire.ask(
            Step(fields=(MAX_AGE, ETAG, CHUNKED, *UPSTREAM), parts=(b"01234", b"567", b"89"))
        )
        hit = await wire.ask(Step())
        unchanged = await wire.ask(Step(ask=(("If-None-Match", '"abc"'),)))
        part = await wire.ask(Step(ask=(("Range", "bytes=2-4"),)))
        outside = await wire.ask(Step(ask=(("Range", "bytes=20-"),)))
        head = await wire.ask(Step(method="HEAD"))
        last = await wire.ask(Step())

        assert len(world.seen) == 1
    assert [first.status, first.body] == [200, b"0123456789"]
    assert [hit.status, hit.body] == [200, b"0123456789"]
    assert unchanged.status == 304
    assert [part.status, part.body] == [206, b"234"]
    assert outside.status == 416
    assert [head.status, last.status] == [200, 200]
    for got in (hit, unchanged, part, outside, head, last):
        assert not got.values("x-hop")
        assert not got.values("keep-alive")
        assert "hit" in got.cache_status
    assert len(hit.values("date")) == 1


async def test_a_condition_on_the_first_answer_is_framed(http: str) -> None:
    """The origin's 200 was chunked; the 304 that is made of it has no content at all."""
    async with serving(http, PLAIN) as (_, wire):
        first = await wire.ask(
            Step(fields=(MAX_AGE, ETAG, CHUNKED), body=b"abc", ask=(("If-None-Match", '"abc"'),))
        )
        second = await wire.ask(Step())

    assert (first.status, second.status, second.body) == (304, 200, b"abc")


async def test_a_range_of_the_first_answer_is_framed(http: str) -> None:
    """The origin sent the whole in chunks; the 206 that is made of it has a length."""
    async with serving(http, FULL) as (_, wire):
        first = await wire.ask(
            Step(fields=(MAX_AGE, ETAG, CHUNKED), body=b"abcdef", ask=(("Range", "bytes=1-2"),))
        )
        second = await wire.ask(Step())

    assert (first.status, first.body) == (206, b"bc")
    assert (second.status, second.body) == (200, b"abcdef")


async def test_an_answer_is_there_when_its_last_byte_is(http: str) -> None:
    """Whoever has read a whole response gets the next one from the cache, at once."""
    async with serving(http, PLAIN) as (_, wire):
        for number in range(50):
            path = f"/{number}"
            step = Step(path=path, fields=(MAX_AGE, CHUNKED), parts=(b"a", b"b", b""))
            await wire.ask(step)

            assert "hit" in (await wire.ask(Step(path=path))).cache_status


async def test_a_lost_origin_is_stood_in_for(http: str) -> None:
    """The application raises; the client gets the stale answer on a sound connection."""
    async with serving(http, PLAIN) as (world, wire):
        await wire.ask(Step(fields=(("Cache-Control", "max-age=2, stale-if-error=60"),)))
        world.now = 3.0
        got = await wire.ask(Step(drops=True))
        again = await wire.ask(Step(status=503))

    assert (got.status, got.body) == (200, b"content 1")
    assert (again.status, again.body) == (200, b"content 1")


async def test_what_breaks_off_is_not_kept(http: str) -> None:
    """A response that ended in the middle is the loss of one client only."""
    async with serving(http, FULL) as (world, wire):
        with pytest.raises(asyncio.IncompleteReadError):
            await wire.ask(Step(fields=(MAX_AGE, CHUNKED), parts=(b"abc", b"def"), drops=True))
        await world.settle()
        with pytest.raises(Dropped):
            await world.ask(Step(fields=(MAX_AGE,), parts=(b"abc", b"def"), drops=True))

        got = await world.ask(Step(fields=(MAX_AGE,)))

    assert (got.status, got.body) == (200, b"content 3")


async def test_a_validation_is_framed(http: str) -> None:
    """The origin's 304 becomes a 200 with the stored content."""
    async with serving(http, PLAIN) as (world, wire):
        await wire.ask(Step(fields=(SHORT, ETAG, CHUNKED, *UPSTREAM), parts=(b"a", b"b")))
        world.now = 3.0
        renewed = await wire.ask(Step(status=304, fields=(MAX_AGE, ETAG, *UPSTREAM)))
        hit = await wire.ask(Step())

    assert (renewed.status, renewed.body, hit.body) == (200, b"ab", b"ab")
    assert "fwd-status=304" in renewed.cache_status
    assert renewed.values("date") == hit.values("date")
