"""The log of several nodes: the base of every log whose records are stored outside the process.

The `Tail` reads, the `Outbox` writes, the `Follower` decides what a record means, and a `LogStore`
does the I/O.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from .._types import Clock
from ..entry import Born
from ..selectors import Selector
from ..tracing import background
from .beats import BeatStore
from .follower import Follower
from .index import Index
from .log import Applied, InvalidationStats, LogListener, Operation, Update
from .outbox import Outbox
from .records import RecordCodec
from .store import LogStore
from .tail import Tail

logger: logging.Logger = logging.getLogger("asgi_multitier")

_START = 2.0


class SharedLog:
    """An invalidation log that this node follows, over any `LogStore`.

    Args:
        store: Where the records are.
        codec: Encodes and decodes records; all nodes use the same.
        optional: Whether there may be no store at all. Until one was seen, this node trusts its own
            memory: it is alone.
        clock: Monotonic seconds; the clock of the entries.

    Attributes:
        clock_offset: Seconds by which the store's clock is ahead of this machine's, as far as that
            is known: records say when they were written by the store's.
    """

    def __init__(
        self,
        store: LogStore,
        codec: RecordCodec,
        *,
        optional: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self.index: Index = Index(clock=clock)
        self.index.distrust()
        self.clock_offset: float = 0.0
        self._store = store
        self._follower = Follower(self.index, later=call_later, clock=clock, wall=self._wall)
        self._outbox = Outbox(store, self._follower, codec, clock=clock, sent=self._sent)
        self._tail = Tail(
            store, self._follower, codec, outbox=self._outbox, optional=optional, clock=clock
        )
        self._optional = optional
        self._pid = os.getpid()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._store.name}, {self.index!r}>"

    def _wall(self) -> float:
        return time.time() + self.clock_offset

    @property
    def node(self) -> str:
        """This node's random id."""
        return self._follower.node

    @property
    def beats(self) -> BeatStore | None:
        """Where the nodes of this log tell of themselves; None if nowhere yet."""
        return self._store.beats

    def on_asked(self, asked: Callable[[], None]) -> None:
        """Call `asked` when another node asks for a beat; see `Follower.asked`."""
        self._follower.asked = asked

    @property
    def trusted(self) -> bool:
        """Whether the last contact with the log is recent enough to use shared tiers."""
        return self.index.settled and bool(self.index.gen)

    @property
    def is_own(self) -> bool:
        """Whether this node began the log that it follows: no other node used it before."""
        return bool(self.index.gen) and self._store.own_gen == self.index.gen

    def stats(self) -> InvalidationStats:
        """A frozen reading of the counters."""
        is_followed = bool(self._tasks)
        return replace(
            self._follower.stats(),
            commits=self._outbox.durations.reading(),
            behind=self._tail.behind if is_followed else None,
            unheard=self._tail.trust.unheard if is_followed else None,
        )

    def recent(self) -> list[Applied]:
        """The last records applied, oldest first."""
        return self._follower.recent()

    async def start(self, listener: LogListener) -> None:
        """Begin to follow. Returns once up to date, or the store unreachable."""
        self._follower.listener = listener
        self._follower.rearm()
        self._know_process()
        await self._follow()

    async def _follow(self) -> None:
        """Follow the store in the running event loop. See `start`."""
        self._leave_other_loop()
        self._outbox.prepare()
        self._tail.prepare()
        self._tasks = (
            asyncio.create_task(
                self._tail.run(), name="asgi-multitier log tail", context=background()
            ),
            asyncio.create_task(
                self._outbox.run(), name="asgi-multitier log sender", context=background()
            ),
        )
        try:
            async with asyncio.timeout(_START):
                await self._tail.tried.wait()
        except TimeoutError:
            logger.warning(
                "%s: not up to date after %g s; catching up in the background", self, _START
            )

    async def close(self) -> None:
        """Stop following; send what is queued, or log what is lost. May be called twice."""
        await cancel_all(*self._tasks)
        self._tasks = ()
        self._tail.trust.end()
        # Where there may be no store and none was ever seen, no other node can be told.
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
        """End the tasks that follow the log in another event loop: the index has one writer."""
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
        self._outbox.wake()
        return operation

    async def commit(self, operation: Operation) -> Born | None:
        """Write it to the log, within 250 ms. See `InvalidationLog.commit`."""
        return await self._outbox.commit(operation)

    def _sent(self, operation: Operation) -> None:
        """An operation of this node is in the log; a hook for subclasses."""

    async def reached(self, position: Born, timeout: float) -> bool:
        """Wait until this node has applied the log up to a position. See `InvalidationLog`."""
        return await self._tail.waiters.reached(position, timeout)


def call_later(delay: float, callback: Callable[[], None]) -> object:
    """Call a function after so many seconds in the running event loop."""
    return asyncio.get_running_loop().call_later(delay, callback, context=background())


async def cancel_all(*tasks: "asyncio.Task[None]") -> None:
    """Cancel tasks and wait for them. Tasks of a closed event loop ended with it."""
    loop = asyncio.get_running_loop()
    ours = [task for task in tasks if task.get_loop() is loop]
    for task in ours:
        task.cancel()
    results = await asyncio.gather(*ours, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            logger.error("a task of the invalidation log failed", exc_info=cast("Any", result))
