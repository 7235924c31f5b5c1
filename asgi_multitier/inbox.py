"""The origin's `receive`: what the application hears while the cache listens to its answer."""

import asyncio
from collections.abc import Callable

from ._types import Message, Receive
from .capture import Client


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
        while (message := await receive())["type"] == "http.request":
            pass
        return message

    return unread
