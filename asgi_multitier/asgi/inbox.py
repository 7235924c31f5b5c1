"""What comes from the client while its request waits, or while the cache listens to its answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from .._types import Message, Receive
from .capture import Client

WATCH_AFTER = 1.0
"""Seconds that a request waits before its client is watched: most answers are there by then, and
watching takes a task."""

_EMPTY = 8
"""Messages without content that are passed over at a time: a server has one for a request, but
other channels may have no end of them."""


class Inbox:
    """The origin's `receive`: an empty body, then silence until there is something to say.

    The client's own leaving is not said while others may want the answer, only once the run serves
    its client alone.

    Args:
        client: Whom the response is for; None for a background refresh.
        on_left: Called when the client has left, if the application asks.
    """

    __slots__ = ("_asked", "_client", "_on_left", "_state")

    def __init__(self, client: Client | None, on_left: Callable[[], None]) -> None:
        self._client = client
        self._on_left = on_left
        self._asked = False
        self._state = asyncio.Event()

    def open(self) -> None:
        """The run serves its client alone, or is over."""
        self._state.set()

    async def receive(self) -> Message:
        """The next message for the application."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        client = self._client
        while client is not None and not client.gone:
            message = await client.receive()
            if message["type"] == "http.disconnect":
                client.leave()
                self._on_left()
            elif message["type"] != "http.request":
                return message
        await self._state.wait()
        return {"type": "http.disconnect"}


def from_the_start(receive: Receive) -> Receive:
    """The channel of a request without content, as if nothing had been read from it."""
    asked = False

    async def unread() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        for _ in range(_EMPTY):
            message = await receive()
            if message["type"] != "http.request":
                break
        return message

    return unread


class Presence:
    """Whether the client of a request without content is still there.

    Args:
        receive: Its channel.
    """

    __slots__ = ("_news", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._news: Message | None = None

    async def receive(self) -> Message:
        """The request's channel, with what was heard in the meantime."""
        if self._news is None:
            return await self._receive()
        message = self._news
        if message["type"] != "http.disconnect":
            self._news = None
        return message

    @asynccontextmanager
    async def awaited(self) -> AsyncIterator[asyncio.Timeout]:
        """Do the work inside for as long as the client is there.

        Raises:
            TimeoutError: It has left, as the yielded scope's `expired()` says.
        """
        loop, watches = asyncio.get_running_loop(), list[asyncio.Task[None]]()
        async with asyncio.timeout(None) as scope:
            begin = loop.call_later(
                WATCH_AFTER, lambda: watches.append(loop.create_task(self._watch(scope)))
            )
            try:
                yield scope
            finally:
                begin.cancel()
                for watch in watches:
                    watch.cancel()

    async def _watch(self, scope: asyncio.Timeout) -> None:
        empty = 0
        with suppress(Exception):  # A channel that is broken tells nothing.
            while self._news is None and empty < _EMPTY:
                message = await self._receive()
                if message["type"] == "http.request":
                    empty += 1
                    continue
                self._news = message
                if message["type"] == "http.disconnect":
                    scope.reschedule(asyncio.get_running_loop().time())
