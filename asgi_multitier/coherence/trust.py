"""How long a node that does not hear of the log believes what it holds."""

import asyncio
import logging

from .._types import Clock
from .index import Index

logger = logging.getLogger("asgi_multitier")

TRUST = 3.0
"""Seconds without having been up to date, after which the log is not trusted."""


class Trust:
    """Trusts the index while it is renewed, and ends that when it no longer is.

    Args:
        index: What the node knows.
        name: Of the log, for messages.
        clock: Monotonic seconds.
    """

    def __init__(self, index: Index, name: str, clock: Clock) -> None:
        self._index = index
        self._name = name
        self._clock = clock
        self._renewed = -float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def prepare(self) -> None:
        """Serve the event loop that runs now: a timer of one that is gone never rings."""
        loop = asyncio.get_running_loop()
        if self._timer is not None and self._loop is loop:
            self._timer.cancel()
        self._timer, self._loop = None, loop
        self._index.distrust()

    def renew(self) -> None:
        """This node is up to date at this moment."""
        self._renewed = self._clock()
        self._index.trust()
        if self._timer is None:
            self.look()

    def look(self) -> None:
        """End it if it was not renewed in time; look again when it would end."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            return  # another one has taken over
        left = self._renewed + TRUST - self._clock()
        if left > 0:
            self._timer = loop.call_later(left, self.look)
            return
        self._timer = None
        if self._index.settled:
            logger.warning("%s: not heard of for %g s; it is not trusted", self._name, TRUST)
            self._index.distrust()

    def end(self) -> None:
        """Nobody follows the log any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._index.distrust()
