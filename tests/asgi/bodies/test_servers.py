"""Questions over a real server: contents in chunks, `100 Continue`, and clients that break off."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httptools
import pytest
import uvicorn

from asgi_multitier import CacheManager, CacheMiddleware
from tests.asgi.bodies.support import Reader, searches

pytestmark = pytest.mark.parametrize("http", ["h11", "httptools"])

LIMIT = 100


class Wire:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, *lines: str, content: bytes = b"") -> None:
        """Send the head of a request, and so much of its content."""
        head = "\r\n".join((*lines, "Host: a.example", "", ""))
        self.writer.write(head.encode() + content)

    async def head(self) -> list[str]:
        """The next status line and field lines."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]

    async def answer(self) -> tuple[str, bytes]:
        """The next answer: what `Cache-Status` says, and the content."""
        lines = dict(line.lower().split(": ", 1) for line in (await self.head())[1:])
        content = await self.reader.readexactly(int(lines["content-length"]))
        return lines["cache-status"].removeprefix("asgi-multitier; "), content


@asynccontextmanager
async def serving(origin: Reader, http: str) -> AsyncIterator[int]:
    """The application behind the cache and a server; its port."""
    manager = CacheManager(redis_url=None, namespace="served")
    app = CacheMiddleware(origin, manager, rules=searches(max_body=LIMIT))
    config = uvicorn.Config(app, http=http, lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    served = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await served
        await manager.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    """A connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def _knows(method: str) -> bool:
    """Whether this httptools takes such a request."""
    try:
        httptools.HttpRequestParser(object()).feed_data(f"{method} / HTTP/1.1\r\n".encode())
    except httptools.HttpParserInvalidMethodError:
        return False
    return True


@pytest.mark.parametrize("method", ["POST", "QUERY"])
async def test_contents_in_chunks_and_with_a_length(http: str, method: str) -> None:
    """They are one question, and a connection goes on after each."""
    if http == "httptools" and not _knows(method):
        pytest.skip(f"this httptools does not know {method}")
    origin = Reader()
    async with serving(origin, http) as port, connected(port) as wire:
        wire.say(
            f"{method} /x HTTP/1.1",
            "Transfer-Encoding: chunked",
            content=b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        )
        first = await wire.answer()
        wire.say(f"{method} /x HTTP/1.1", "Content-Length: 3", content=b"abc")
        again = await wire.answer()
        wire.say("GET /x HTTP/1.1")
        got = await wire.answer()

    assert first[0].startswith("fwd=uri-miss; stored; ")
    assert first[1] == b"1:abc"
    assert again[1] == b"1:abc"
    assert again[0].startswith("hit; ")
    assert got[1] == b"2:"
    assert origin.asked == [(method, b"abc"), ("GET", b"")]


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
async def test_a_client_that_waits_is_told_to_continue(http: str, size: int) -> None:
    """By the first reader: the cache, or the application where the content is too long."""
    origin = Reader()
    async with serving(origin, http) as port, connected(port) as wire:
        for _ in range(2):
            wire.say("POST /x HTTP/1.1", f"Content-Length: {size}", "Expect: 100-continue")
            assert (await wire.head())[0].startswith("HTTP/1.1 100 ")
            wire.writer.write(b"x" * size)
            cache, content = await wire.answer()

    assert cache.startswith("hit; " if size <= LIMIT else "fwd=bypass; detail=request-body-over")
    assert content.endswith(b":" + b"x" * size)


async def test_contents_that_are_too_long_flow_on(http: str) -> None:
    """Whole, in chunks and with a length."""
    origin = Reader()
    content = b"y" * 300_000
    async with serving(origin, http) as port, connected(port) as wire:
        wire.say(
            "POST /x HTTP/1.1",
            "Transfer-Encoding: chunked",
            content=b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content),
        )
        assert await wire.answer() == ("fwd=bypass; detail=request-body-oversized", b"1:" + content)
        wire.say("POST /x HTTP/1.1", f"Content-Length: {len(content)}", content=content)
        assert await wire.answer() == ("fwd=bypass; detail=request-body-oversized", b"2:" + content)

    assert origin.asked == [("POST", content)] * 2


async def test_a_client_that_breaks_off(http: str) -> None:
    """The application gets what came, as it would alone, and other clients notice nothing."""
    origin = Reader()
    async with serving(origin, http) as port:
        async with connected(port) as wire:
            wire.say("POST /x HTTP/1.1", "Content-Length: 3", content=b"ab")
        await origin.arrived.acquire()
        async with connected(port) as wire:
            wire.say("POST /x HTTP/1.1", "Content-Length: 2", content=b"ab")
            cache, content = await wire.answer()
            assert cache.startswith("fwd=uri-miss; stored; ")
            assert content == b"2:ab"

    assert origin.asked == [("POST", b"ab and left"), ("POST", b"ab")]
