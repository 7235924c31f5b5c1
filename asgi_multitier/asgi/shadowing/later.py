"""Work that is done after responses, in small pieces, between those of the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from time import perf_counter, thread_time
from typing import Final, Generic, TypeVar

T = TypeVar("T")

DELAY: Final = 0.01
"""Seconds after which what has come is worked on."""

PIECES: Final = 8
"""What is worked on at a time: half a millisecond, after which others have their turn."""

PAUSE: Final = 0.004
"""Seconds after which no more of them is begun: some may take long."""


class Later(Generic[T]):
    """A bounded queue of things to work on in the event loop that they come from.

    Args:
        work: Works on one.
        most: How many may wait.
        spent: Told how many CPU seconds some work took, and the time of the loop.

    Attributes:
        refused: How many there was no room for.
    """

    __slots__ = ("_handle", "_loop", "_most", "_spent", "_waiting", "_work", "refused")

    def __init__(
        self,
        work: Callable[[T], None],
        most: int,
        spent: Callable[[float, float], None] = lambda *_: None,
    ) -> None:
        self._work = work
        self._spent = spent
        self._most = most
        self._waiting: deque[T] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.Handle | None = None
        self.refused: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, one: T) -> bool:
        """Work on one later; False if there is no room for it."""
        if len(self._waiting) >= self._most:
            self.refused += 1
            return False
        self._waiting.append(one)
        loop = asyncio.get_running_loop()
        if self._handle is None or self._loop is not loop:
            # What a loop that has ended was to do is done by this one.
            self._loop = loop
            self._handle = loop.call_later(DELAY, self._some, context=Context())
        return True

    def _some(self) -> None:
        """Work on some, and go on in the next turn of the loop."""
        self._handle = None
        begun, until = thread_time(), perf_counter() + PAUSE
        for _ in range(min(PIECES, len(self._waiting))):
            self._work(self._waiting.popleft())
            if perf_counter() >= until:
                break
        if self._loop is not None:
            self._spent(thread_time() - begun, self._loop.time())
        if self._waiting and self._loop is not None:
            self._handle = self._loop.call_soon(self._some, context=Context())

    async def rest(self) -> None:
        """Work on all that waits now, in pieces: others have their turn."""
        count = len(self._waiting)
        if count:
            self.cancel()
            self._loop = asyncio.get_running_loop()
            self._some()
        for _ in range(count):
            if not self._waiting:
                return
            await asyncio.sleep(0)

    def all(self) -> None:
        """Work on all that waits, now."""
        self.cancel()
        while self._waiting:
            self._work(self._waiting.popleft())

    def cancel(self) -> None:
        """Begin nothing by itself, until something is added."""
        if self._handle is not None and self._loop is not None and not self._loop.is_closed():
            self._handle.cancel()
        self._handle = None
