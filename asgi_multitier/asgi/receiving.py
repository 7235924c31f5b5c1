"""The receive side of a run, and whether the client of a waiting request is still there."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import msgspec

from .._types import Message, Receive
from ..policy.reasons import Reason
from .client import Client

WATCH_AFTER = 1.0
"""Seconds that a request waits before its client is watched: most answers are there by then, and
watching takes a task."""

_EMPTY = 8
"""Messages without content that are passed over at a time: a server has one for a request, but
other channels may have no end of them."""


class ReceiveSide:
    """The application's `receive` in a run: the whole content, then blocks until disconnect.

    That the client has left is not said while other clients may want the response, only once the
    run serves its client alone, or its response is whole, or it is over.

    Args:
        client: The client that the response is for; None for a background refresh.
        content: The content of the request.
    """

    __slots__ = ("_asked", "_client", "_content", "_released")

    def __init__(self, client: Client | None, content: bytes = b"") -> None:
        self._client = client
        self._content = content
        self._asked = False
        self._released = asyncio.Event()

    def release(self) -> None:
        """The run serves its client alone, or its response is whole, or it is over."""
        self._released.set()

    def heed(self, message: Message) -> None:
        """Note what the application has sent: with its last message the response is whole.

        Servers say then that the client is gone, and an application may wait for that before it
        returns.
        """
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.release()

    async def receive(self) -> Message:
        """The next message for the application."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._content, "more_body": False}
        client = self._client
        while client is not None and not client.gone:
            message = await client.receive()
            if message["type"] == "http.disconnect":
                client.leave()
            elif message["type"] != "http.request":
                return message
        await self._released.wait()
        return {"type": "http.disconnect"}


def from_the_start(receive: Receive, content: bytes = b"") -> Receive:
    """The channel of a request whose content is known, as if nothing had been read from it."""
    asked = False

    async def unread() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": content, "more_body": False}
        for _ in range(_EMPTY):
            message = await receive()
            if message["type"] != "http.request":
                break
        return message

    return unread


async def opened(receive: Receive) -> tuple[Receive, bool]:
    """Look at the first message of a request.

    Returns:
        A channel that gives all of it, the first message included, and whether there is a body, or
        might be.
    """
    try:
        first = await receive()
    except Exception as error:  # noqa: BLE001  # the application's, as in `read_within`
        return resumed(receive, [error]), True
    has_body = first["type"] == "http.request" and bool(first.get("body") or first.get("more_body"))
    return resumed(receive, [first]), has_body


class Reading(msgspec.Struct, frozen=True):
    """What was read of a request's content.

    Attributes:
        receive: A channel that gives all of it, from the start.
        content: All of the content; None if it is not known.
        reason: Why it does not meet the cache; where its content is not known, that is beyond the
            bound, its client left before its end, or the channel failed.
    """

    receive: Receive
    content: bytes | None = None
    reason: Reason | None = None


async def read_within(receive: Receive, limit: int) -> Reading:
    """Read the content of a request, unless it is longer than so many bytes.

    No more is held than the limit and one message. What was read reaches the application as one
    message, and the rest as it comes. So does an exception: a layer around the cache that counts
    what is received may raise one that the application answers, such as a 413.
    """
    read = bytearray()
    more = True
    while more:
        try:
            message = await receive()
        except Exception as error:  # noqa: BLE001  # the application's
            return Reading(_unended(receive, read, error), reason=Reason.REQUEST_BODY)
        if message["type"] != "http.request":
            return Reading(_unended(receive, read, message), reason=Reason.REQUEST_BODY)
        read += message.get("body", b"")
        more = message.get("more_body", False)
        if len(read) > limit:
            held = [_part(read, more=more)]
            return Reading(resumed(receive, held), reason=Reason.REQUEST_BODY_OVERSIZED)
    content = bytes(read)
    return Reading(from_the_start(receive, content), content)


def _unended(receive: Receive, read: bytearray, last: Message | Exception) -> Receive:
    """A channel on which this came in place of the rest."""
    held = [_part(read, more=True)] if read else []
    return resumed(receive, [*held, last])


def _part(read: bytearray, *, more: bool) -> Message:
    return {"type": "http.request", "body": bytes(read), "more_body": more}


def resumed(receive: Receive, first: Iterable[Message | Exception]) -> Receive:
    """A channel that gives these messages first, and raises what is none."""

    held = deque(first)

    async def resuming() -> Message:
        if not held:
            return await receive()
        message = held.popleft()
        if isinstance(message, Exception):
            raise message
        return message

    return resuming


class Presence:
    """Whether the client of a request whose content was read is still there.

    Args:
        receive: Its channel.
    """

    __slots__ = ("_early", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._early: Message | None = None

    async def receive(self) -> Message:
        """The request's channel, with the message that was received while it waited."""
        if self._early is None:
            return await self._receive()
        message = self._early
        if message["type"] != "http.disconnect":
            self._early = None
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
        with suppress(Exception):  # a broken channel does not show whether the client is there
            while self._early is None and empty < _EMPTY:
                message = await self._receive()
                if message["type"] == "http.request":
                    empty += 1
                    continue
                self._early = message
                if message["type"] == "http.disconnect":
                    scope.reschedule(asyncio.get_running_loop().time())
