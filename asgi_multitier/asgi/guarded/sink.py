"""What the story of a guarded request says to its client: kept, as the framework answers that."""

import asyncio

from ..._types import Header, Message
from ...policy import cache_status
from ..replay import AGE


class Sink:
    """The client's channel of a story.

    Attributes:
        status, lines, body: The response.
        told: Done when it is complete.
    """

    __slots__ = ("body", "lines", "status", "told")

    def __init__(self) -> None:
        self.status = 0
        self.lines: list[Header] = []
        self.body = b""
        self.told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, message: Message) -> None:
        """One message."""
        if message["type"] == "http.response.start":
            self.status, self.lines = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body", False) and not self.told.done():
                self.told.set_result(None)

    @property
    def complete(self) -> bool:
        """Whether all of it is here."""
        return self.told.done()

    @property
    def member(self) -> bytes:
        """What it says in `Cache-Status`; empty if it has said nothing."""
        found = [value for name, value in self.lines if name == cache_status.NAME]
        return found[-1] if found else b""

    @property
    def age(self) -> float | None:
        """Seconds since it was generated; None for a new one."""
        found = [float(value) for name, value in self.lines if name == AGE]
        return found[0] if found else None

    @property
    def own_lines(self) -> list[Header]:
        """Its field lines without what is said of this exchange."""
        return [line for line in self.lines if line[0] not in (AGE, cache_status.NAME)]
