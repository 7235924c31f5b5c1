"""Mutations under way in this process: unsafe requests that the application has and has not ended.

What such a request changes may be visible before anything is dropped: it is dropped when the
response begins, and once more when the application returns. So an answer that differs from what is
stored says that something is wrong only when the mutations that were under way have ended, and the
stored one is valid still.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Final
from weakref import WeakMethod

import msgspec

from .._types import Clock
from ..selectors import Selector

MAX_SELECTORS: Final = 1_000
"""Selectors of one mutation that are noted; more of them are in force all the same."""


class UnderWay(msgspec.Struct, eq=False):
    """One mutation.

    Attributes:
        route: Its method, and what it is counted under: `PUT /prices/{id}`.
        path: Its path, as the client has sent it.
        began: Monotonic seconds at which it came.
        answered: The same, of the beginning of its response; None if there is none.
        ended: The same, of the end of the application's work for it; None if it goes on.
        status: Of its response; 0 if there is none.
        changes: Whether it is a change for all that is known; else it is one if it drops something.
        elsewhere: Whether it is a record of another process: its route and path are not known.
        selectors: What it drops, by its rule and by hand, in the order in which that was named.
    """

    route: str
    path: str
    began: float
    answered: float | None = None
    ended: float | None = None
    status: int = 0
    changes: bool = True
    elsewhere: bool = False
    selectors: dict[Selector, None] = msgspec.field(default_factory=dict)
    _waiting: list["tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]"] = msgspec.field(
        default_factory=list
    )

    @property
    def succeeded(self) -> bool:
        """Whether the application has answered that it did what was asked (2xx, 3xx)."""
        return 200 <= self.status < 400

    def drops(self, selectors: Iterable[Selector]) -> None:
        """It drops what these select."""
        for selector in selectors:
            if len(self.selectors) >= MAX_SELECTORS:
                return
            self.selectors[selector] = None


_current: ContextVar[UnderWay | None] = ContextVar("asgi_multitier_mutation", default=None)
"""The mutation that the running code is part of."""


def drops_by_hand(selectors: Iterable[Selector]) -> bool:
    """Code of the application drops something; within a mutation, this is what that drops.

    Returns:
        Whether it is within one.
    """
    mutation = _current.get()
    if mutation is None or mutation.ended is not None:
        return False
    mutation.drops(selectors)
    return True


class Mutations:
    """The mutations under way: as many as the server has requests. May be used from any thread.

    Args:
        clock: Monotonic seconds.

    Attributes:
        noted: Whether a listener tells them to the ledger of the cache: one does.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.noted = False
        self._under_way: dict[int, UnderWay] = {}
        self._listeners: list[WeakMethod[Callable[[UnderWay], None]]] = []

    def __len__(self) -> int:
        return len(self._under_way)

    @property
    def under_way(self) -> list[UnderWay]:
        """Those that have not ended, the oldest first."""
        return list(self._under_way.values())

    def listen(self, listener: Callable[[UnderWay], None]) -> None:
        """Call a method with each mutation that has ended, for as long as its object lives."""
        alive = [each for each in self._listeners if each() is not None]
        self._listeners = [*alive, WeakMethod(listener)]

    @contextmanager
    def running(self, route: str, path: str) -> Iterator[UnderWay]:
        """One runs inside, with all that it starts.

        Args:
            route: What it is counted under.
            path: Its path, as the client has sent it.
        """
        mutation = UnderWay(route, path, self._clock())
        self._under_way[id(mutation)] = mutation
        token = _current.set(mutation)
        try:
            yield mutation
        finally:
            # One whose event loop is gone is ended by the garbage collector, in another context.
            with suppress(ValueError):
                _current.reset(token)
            self._end(mutation)

    def _end(self, mutation: UnderWay) -> None:
        """The application has ended its work, and what that changes is dropped here."""
        mutation.ended = self._clock()
        self._under_way.pop(id(mutation), None)
        while mutation._waiting:
            loop, over = mutation._waiting.pop()
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(_end, over)
        if mutation.changes or mutation.selectors:
            self._tell(mutation)

    def dropped(self, selectors: Iterable[Selector], *, elsewhere: bool = False) -> None:
        """Something was dropped outside of a mutation: it is told as one without a route.

        Args:
            selectors: What was dropped.
            elsewhere: Whether another process has dropped it; else it was done by hand.
        """
        if not self._listeners:
            return
        now = self._clock()
        told = UnderWay("", "", now, answered=now, ended=now, status=200, elsewhere=elsewhere)
        told.drops(selectors)
        self._tell(told)

    def _tell(self, mutation: UnderWay) -> None:
        for each in self._listeners:
            if (listener := each()) is not None:
                listener(mutation)

    async def settled(self) -> None:
        """Wait until those that are under way now have ended; the caller limits the time."""
        loop = asyncio.get_running_loop()
        for mutation in self.under_way:
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
