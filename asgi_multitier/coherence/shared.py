"""The log of several nodes: one who sends, one who reads, and trust between the two.

What anything means is decided by the `Follower`; where the records lie is the affair of a
`LogStore`.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from .._types import Clock
from ..entry import Born
from ..selectors import Selector
from .follower import Follower
from .index import Index
from .log import InvalidationStats, LogListener, Operation, Update
from .outbox import Outbox
from .positions import Positions
from .records import RecordCodec
from .store import LogStore
from .tail import Tail
from .trust import Trust

logger = logging.getLogger("asgi_multitier")

_START = 2.0


class SharedLog:
    """An invalidation log that this node follows, whatever its records lie in.

    Args:
        store: Where the records lie.
        codec: Makes and reads records; all nodes have the same.
        optional: Whether there may be no store at all. Until one was seen, this node then believes
            what it holds: it is alone.
        clock: Monotonic seconds; the clock of the entries.
    """

    def __init__(
        self,
        store: LogStore,
        codec: RecordCodec,
        *,
        optional: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self.index = Index(clock=clock)
        self.index.distrust()
        self._store = store
        self._follower = Follower(self.index, later=_call_later, clock=clock)
        self._outbox = Outbox(store, self._follower, codec, clock=clock, sent=self._sent)
        self._positions = Positions(self.index)
        self._trust = Trust(self.index, store.name, clock)
        self._tail = Tail(
            store,
            self._follower,
            codec,
            outbox=self._outbox,
            positions=self._positions,
            trust=self._trust,
            optional=optional,
            clock=clock,
        )
        self._optional = optional
        self._pid = os.getpid()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._store.name}, {self.index!r}>"

    @property
    def trusted(self) -> bool:
        """Whether the log has been heard of recently enough to believe shared tiers."""
        return self.index.settled and bool(self.index.gen)

    @property
    def is_own(self) -> bool:
        """Whether this node began the log that it follows: nobody was there before."""
        return bool(self.index.gen) and self._store.own_gen == self.index.gen

    def stats(self) -> InvalidationStats:
        """A frozen reading of the counters."""
        return self._follower.stats()

    async def start(self, listener: LogListener) -> None:
        """Begin to follow. Returns once up to date, or once the store is known to be away."""
        self._follower.listener = listener
        self._follower.rearm()
        self._know_process()
        await self._follow()

    async def _follow(self) -> None:
        """Follow the store, in the event loop that runs. See `start`."""
        self._leave_other_loop()
        self._positions.forget()
        self._outbox.prepare()
        self._tail.prepare()
        self._trust.prepare()
        self._tasks = (
            asyncio.create_task(self._tail.run(), name="asgi-multitier log tail"),
            asyncio.create_task(self._outbox.run(), name="asgi-multitier log sender"),
        )
        try:
            async with asyncio.timeout(_START):
                await self._tail.tried.wait()
        except TimeoutError:
            logger.warning(
                "%s: not up to date with the log yet; it goes on in the background", self
            )

    async def close(self) -> None:
        """Stop following; send what waits, or say what is lost. May be called twice."""
        await end(*self._tasks)
        self._tasks = ()
        self._trust.end()
        # Where there may be no store and none was ever seen, there is nobody to tell.
        if self.index.gen or not self._optional:
            await self._outbox.flush()

    def _know_process(self) -> None:
        """A forked process is a node of its own."""
        if self._is_forked:
            self._pid = os.getpid()
            self._tasks = ()
            self._follower.take_new_identity()

    @property
    def _is_forked(self) -> bool:
        return os.getpid() != self._pid

    def _leave_other_loop(self) -> None:
        """End what still follows the log in another event loop: the index has one writer."""
        for task in self._tasks:
            loop = task.get_loop()
            if loop is not asyncio.get_running_loop() and not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)
        self._tasks = ()

    def begin(
        self, selectors: Sequence[Selector], updates: Sequence[Update] = (), *, settle: float = 0.0
    ) -> Operation:
        """Put an invalidation into force on this node. See `InvalidationLog.begin`."""
        self._know_process()
        operation = self._follower.begin(selectors, updates, settle)
        self._outbox.look()
        return operation

    async def commit(self, operation: Operation) -> Born | None:
        """Make it known to every node, within 250 ms. See `InvalidationLog.commit`."""
        return await self._outbox.commit(operation)

    def _sent(self, operation: Operation) -> None:
        """An operation of this node is in the log. For whoever wants to tell of it."""

    async def reached(self, position: Born, timeout: float) -> bool:
        """Wait until this node has applied the log up to a position. See `InvalidationLog`."""
        return await self._positions.reached(position, timeout)


def _call_later(delay: float, callback: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay, callback)


async def end(*tasks: "asyncio.Task[None]") -> None:
    """Cancel tasks and wait for them. Tasks of an event loop that is gone ended with it."""
    loop = asyncio.get_running_loop()
    ours = [task for task in tasks if task.get_loop() is loop]
    for task in ours:
        task.cancel()
    results = await asyncio.gather(*ours, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            logger.error("a task of the invalidation log failed", exc_info=cast("Any", result))
