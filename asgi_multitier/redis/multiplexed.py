"""One connection for the reads of all callers of an event loop: asked together, answered in order.

It is made by redis-py, which finds the server, encrypts and authenticates; from then on its bytes
come here. There is no turn to wait for, no task and no timer a question:

- A caller that leaves takes nothing from the others: its replies are passed over when they come.
- One timer watches the oldest question. If that is not answered in time, nothing behind it will be:
  the connection is closed, and all that wait for it get the error. The next question opens another.
- Where the server has closed it meanwhile, the next question opens another too.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, cast

from hiredis import Reader
from redis.asyncio.connection import DefaultParser
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import InvalidResponse, RedisError

from ..tracing import background
from .packing import Packing

Replies: TypeAlias = "asyncio.Future[list[Any]]"

_MORE: Final = object()
"""What the parser returns where the rest of a reply is yet to come."""


class Multiplexed:
    """A connection of one event loop, opened by the first question.

    Args:
        make: Makes a connection of redis-py's that is not connected yet.
        timeout: Seconds in which a question is to be answered, and a connection opened.
    """

    __slots__ = ("_lines", "_make", "_opening", "_timeout")

    def __init__(self, make: Callable[[], Packing], timeout: float) -> None:
        self._make = make
        self._timeout = timeout
        self._lines: _Lines | None = None
        self._opening: asyncio.Task[_Lines] | None = None

    async def ask(self, commands: bytes, count: int) -> list[Any]:
        """Send packed commands, and return their replies; an error stands in its place.

        Args:
            commands: The commands, one after the other.
            count: How many.

        Raises:
            RedisError: If the connection is lost.
            TimeoutError: If it takes too long.
        """
        lines = self._lines
        if lines is None or lines.closing:
            lines = await self._opened()
        return await lines.ask(commands, count)

    async def _opened(self) -> "_Lines":
        """The connection, which all that ask meanwhile wait for."""
        if self._opening is None:
            self._opening = asyncio.create_task(
                self._open(), name="asgi-multitier connecting", context=background()
            )
            self._opening.add_done_callback(self._has_opened)
        return await asyncio.shield(self._opening)

    async def _open(self) -> "_Lines":
        connection = self._make()
        async with asyncio.timeout(self._timeout):
            await cast("Callable[[], Awaitable[None]]", connection.connect)()
        self._lines = lines = _Lines(connection.hand_over(), self._timeout)
        return lines

    def _has_opened(self, opening: "asyncio.Task[_Lines]") -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # who waits for it has it as well

    def drop(self) -> None:
        """Close the connection: the next question opens another, perhaps to another server."""
        if self._lines is not None:
            self._lines.drop(LostError("the connection is closed"))

    async def close(self) -> None:
        """Close the connection, and wait until it is closed."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        if self._lines is not None:
            lines, self._lines = self._lines, None
            await lines.close()


class _Lines(asyncio.Protocol):
    """What is asked and answered on an open connection.

    Args:
        writer: Of an open connection, on which nothing is under way.
        timeout: Seconds in which a question is to be answered.
    """

    def __init__(self, writer: asyncio.StreamWriter, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        # It closes its transport when it is freed.
        self._writer = writer
        self._transport = cast("asyncio.Transport", writer.transport)
        self._streams = cast("asyncio.Protocol", self._transport.get_protocol())
        self._reader = Reader(
            protocolError=InvalidResponse,
            replyError=DefaultParser.parse_error,
            notEnoughData=_MORE,
        )
        self._asked: deque[tuple[int, Replies, float]] = deque()
        self._replies: list[Any] = []
        self._watch: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self.closing = False
        self._transport.set_protocol(self)

    def ask(self, commands: bytes, count: int) -> Replies:
        """Send commands; a future for their replies, which may be cancelled."""
        loop = self._loop
        replies: Replies = loop.create_future()
        now = loop.time()
        self._asked.append((count, replies, now))
        if self._watch is None:
            self._watch = loop.call_at(now + self._timeout, self._look, context=background())
        self._transport.write(commands)
        return replies

    def _look(self) -> None:
        """Close the connection if the oldest question has waited for too long."""
        self._watch = None
        if not self._asked:
            return
        due = self._asked[0][2] + self._timeout
        if due <= self._loop.time():
            self.drop(TimeoutError())
        else:
            self._watch = self._loop.call_at(due, self._look, context=background())

    def drop(self, error: Exception) -> None:
        """Close the connection at once; all that wait for it get the error."""
        self.closing = True
        self._transport.abort()
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.closing = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        while self._asked:
            _, replies, _ = self._asked.popleft()
            if not replies.done():
                replies.set_exception(error)
                replies.exception()  # logged where it is awaited, if it still is

    async def close(self) -> None:
        """Close the connection, and wait until it is closed."""
        self.drop(LostError("the connection is closed"))
        await asyncio.wait({self._closed})

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Bytes of replies."""
        asked, replies, next_reply = self._asked, self._replies, self._reader.gets
        count = asked[0][0] if asked else 0
        try:
            self._reader.feed(data)
            while (reply := next_reply()) is not _MORE:
                replies.append(reply)
                if len(replies) < count:
                    continue
                if not asked:
                    raise InvalidResponse("a reply that is to no question")
                _, future, _ = asked.popleft()
                if not future.done():
                    future.set_result(replies)
                replies = self._replies = []
                count = asked[0][0] if asked else 0
        except RedisError as error:
            self.drop(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._fail(LostError(str(exc or "the server has closed the connection")))
        self._streams.connection_lost(exc)
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        """The peer reads slower than is written: what is written is bounded by the time-out."""
        self._streams.pause_writing()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._streams.resume_writing()
