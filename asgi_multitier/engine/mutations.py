"""Mutations under way in this process: unsafe requests that the application has and has not ended.

What such a request changes may be visible before anything is dropped: it is dropped when the
response begins, and once more when the application returns. So an answer that differs from what is
stored says that something is wrong only when the mutations that were under way have ended, and the
stored one is valid still.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakMethod

from .._types import Clock
from ..selectors import Selector


@dataclass(slots=True, eq=False)
class UnderWay:
    """One mutation.

    Attributes:
        route: What it is counted under.
        path: Its path, as the client has sent it.
        began: Monotonic seconds at which it came.
        answered: The same, of the beginning of its response; None if there is none.
        ended: The same, of the end of the application's work for it; None if it goes on.
        status: Of its response; 0 if there is none.
        selectors: What it drops.
    """

    route: str
    path: str
    began: float
    answered: float | None = None
    ended: float | None = None
    status: int = 0
    selectors: Sequence[Selector] = ()
    _waiting: list["tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]"] = field(
        default_factory=list, repr=False
    )


class Mutations:
    """The mutations under way: as many as the server has requests. May be used from any thread.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way: dict[int, UnderWay] = {}
        self._listeners: list[WeakMethod[Callable[[UnderWay], None]]] = []

    def __len__(self) -> int:
        return len(self._under_way)

    def listen(self, listener: Callable[[UnderWay], None]) -> None:
        """Call a method with each mutation that has ended, for as long as its object lives."""
        alive = [each for each in self._listeners if each() is not None]
        self._listeners = [*alive, WeakMethod(listener)]

    def begin(self, route: str, path: str) -> UnderWay:
        """One begins."""
        mutation = UnderWay(route, path, self._clock())
        self._under_way[id(mutation)] = mutation
        return mutation

    def answer(self, mutation: UnderWay, status: int) -> None:
        """Its response begins."""
        mutation.status, mutation.answered = status, self._clock()

    def end(self, mutation: UnderWay, *, told: bool = True) -> None:
        """The application has ended its work, and what that changes is dropped here.

        Args:
            mutation: Which.
            told: Whether listeners hear of it; not of one that has turned out to change nothing.
        """
        mutation.ended = self._clock()
        self._under_way.pop(id(mutation), None)
        while mutation._waiting:
            loop, over = mutation._waiting.pop()
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(_end, over)
        for each in self._listeners if told else ():
            if (listener := each()) is not None:
                listener(mutation)

    async def settled(self) -> None:
        """Wait until those that are under way now have ended; the caller limits the time."""
        loop = asyncio.get_running_loop()
        for mutation in list(self._under_way.values()):
            over: asyncio.Future[None] = loop.create_future()
            waiting = loop, over
            mutation._waiting.append(waiting)
            if mutation.ended is not None:  # in another thread, right before
                continue
            try:
                await over
            finally:
                with suppress(ValueError):
                    mutation._waiting.remove(waiting)


def _end(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)
