"""The client of one run: its channel, and whether it is still there."""

import asyncio

from .._types import Message, Receive, Send


class Client:
    """The client that caused a run of the application.

    Args:
        receive, send: Its channel; attributes as well.

    Attributes:
        left: Done when the client has left, or has had all that it gets.
    """

    __slots__ = ("left", "receive", "send")

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive: Receive = receive
        self.send: Send = send
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def gone(self) -> bool:
        """Whether the client has left, or has had all that it gets."""
        return self.left.done()

    def leave(self) -> None:
        """Note that the client has left, or has had all that it gets."""
        if not self.left.done():
            self.left.set_result(None)

    async def deliver(self, message: Message) -> None:
        """Send a message, unless the client has left.

        Raises:
            OSError: The connection is lost, as this message has shown.
        """
        if self.gone:
            return
        try:
            await self.send(message)
        except OSError:
            self.leave()
            raise


class ClientGone(OSError):  # noqa: N818  # an outcome, not a fault
    """No client waits for the rest of this response, and it is not stored: it may end here."""
