"""Waiting until this node has applied the log up to a position."""

import asyncio

from ..entry import Born
from .index import Index


class Positions:
    """Who waits for which position.

    Args:
        index: What the node has applied.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._waiting: list[tuple[Born, asyncio.Future[None]]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    async def reached(self, position: Born, timeout: float) -> bool:
        """See `InvalidationLog.reached`."""
        if self._is_reached(position):
            return True
        if not position.gen:
            return False
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (position, future)
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return False
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        return True

    def _is_reached(self, position: Born) -> bool:
        known = bool(position.gen) and position.gen == self._index.gen
        return known and position.seq <= self._index.seq

    def forget(self) -> None:
        """Another event loop waits from now on; who waited in the last one has its own time-out."""
        self._waiting = []

    def moved(self) -> None:
        """The node has applied more: wake those who waited for it."""
        if not self._waiting:
            return
        for waiter in [waiter for waiter in self._waiting if self._is_reached(waiter[0])]:
            self._waiting.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_result(None)
