"""A real uvicorn server in the test's own event loop, and a client that sends bytes as they are."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.h11_impl import H11Protocol as UvicornsH11
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as UvicornsHttpTools

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier import uvicorn as ours
from asgi_multitier._types import ASGIApp
from asgi_multitier.uvicorn.front import front_of
from tests.patience import until
from tests.support import settled

PAIRS: dict[str, tuple[Any, Any]] = {
    "httptools": (UvicornsHttpTools, ours.HttpToolsProtocol),
    "h11": (UvicornsH11, ours.H11Protocol),
}
"""uvicorn's own protocol, and the one with the cache in front."""

GET = b"GET / HTTP/1.1\r\nhost: example.org\r\n\r\n"


class Served:
    """A server that runs.

    Attributes:
        server: uvicorn's.
        connections: The protocols of all connections so far.
        received: Bytes that came, of all connections.
    """

    def __init__(self, app: ASGIApp, protocol: Any, **settings: Any) -> None:
        served = self
        self.connections: list[Any] = []
        self.received = 0

        class Watched(protocol):  # type: ignore[misc]
            def connection_made(self, transport: Any) -> None:
                served.connections.append(self)
                super().connection_made(transport)

            def data_received(self, data: bytes) -> None:
                served.received += len(data)
                super().data_received(data)

        given = {"log_config": None, "host": "127.0.0.1", "port": 0, "ws": "none", **settings}
        self.config = uvicorn.Config(app, http=Watched, **given)
        self.server = uvicorn.Server(self.config)
        self.state = self.server.server_state

    @property
    def port(self) -> int:
        """Where it listens."""
        number: int = self.server.servers[0].sockets[0].getsockname()[1]
        return number

    def is_quiet(self) -> bool:
        """Whether nothing is being answered, and all that was answered is sent."""
        return not self.state.tasks and not any(
            one.transport.get_write_buffer_size() for one in self.state.connections
        )

    async def send(self, *parts: bytes) -> bytes:
        """All that is answered on a new connection to parts that are read one by one."""
        async with self.connected() as (reader, writer):
            # Read all along: what came before a reset is lost to those who read after it.
            reading = asyncio.create_task(everything(reader))
            connection = self.connections[-1]
            for part in parts:
                expected = self.received + len(part)
                writer.write(part)

                def is_read(expected: int = expected) -> bool:
                    return self.received >= expected or connection not in self.state.connections

                await until(is_read)
                await settled()  # what can be answered now is, before the next part comes
            await until(self.is_quiet)
            with suppress(OSError):
                writer.write_eof()
            return await reading

    @asynccontextmanager
    async def connected(
        self, **options: Any
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A new connection that the server has accepted."""
        number = len(self.connections)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        await until(lambda: len(self.connections) > number)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def served(app: ASGIApp, protocol: Any, **settings: Any) -> AsyncIterator[Served]:
    """A server, until the end of the block."""
    one = Served(app, protocol, **settings)
    task = asyncio.create_task(one.server.serve())
    try:
        await until(lambda: one.server.started or task.done())
        yield one
    finally:
        one.server.should_exit = True
        await task


async def everything(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends."""
    got = b""
    with suppress(ConnectionError):
        while part := await reader.read(1 << 16):
            got += part
    return got


async def answers(reader: asyncio.StreamReader, number: int = 1) -> bytes:
    """So many answers with a `Content-Length`."""
    got = b""
    for _ in range(number):
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        assert found is not None, head
        got += head + await reader.readexactly(int(found[1]))
    return got


def timeless(raw: bytes) -> bytes:
    """The same bytes without what depends on the second."""
    return re.sub(rb"(date: |age: |ttl=)[^\r;]+", rb"\1-", raw)


def lines_of(messages: Sequence[str]) -> list[str]:
    """Access-log lines without the client's port, which is another for each connection."""
    return [re.sub(r"^127\.0\.0\.1:\d+", "127.0.0.1", line) for line in messages]


def manager() -> CacheManager:
    """One in memory."""
    return CacheManager(redis_url=None)


def cache(app: ASGIApp | None = None, body: str = "hello", **options: Any) -> CacheMiddleware:
    """A cache around everything, of all responses."""
    inner = PlainTextResponse(body) if app is None else app
    return CacheMiddleware(inner, manager(), rules=[Rule("*", 300)], **options)


def get(target: str, *lines: str) -> bytes:
    """A GET."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "host: example.org", *lines, "", ""]).encode()


async def hot(server: Served, request: bytes = GET) -> None:
    """The request is stored, and known by its bytes."""
    async with server.connected() as (reader, writer):
        for _ in range(4):
            writer.write(request)
            await answers(reader)
    front = front_of(server.config)
    assert front.cache is None or request in front.requests.young


def in_front(server: Served) -> int:
    """How many connections have had an answer without a cycle."""
    return sum(1 for one in server.connections if one.cycle is None and one._answered_at)
