"""The invalidation log of one machine's workers: none while there is one, then one in a file.

A worker starts *alone*: its invalidations are applied at once, and no file is opened. When a second
worker starts, both continue *near*, with a log file in the private directory: the first one drops
what it holds, repeats in the new log what it invalidated while alone, and only then answers. From
then on each writer wakes the others, so an edit is seen within milliseconds; if a process dies
before it has woken them, they find the record a quarter of a second later.

Where Redis may appear at the default address, the workers check for it meanwhile. The one that
finds it switches to it for good (*far*) and informs the others; they follow at once, and use
nothing until they have caught up there. Each of these steps changes the log's generation, as a
failover does, and each is taken after the one before: that order is why `NearLog` is one class.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..._types import Clock
from ...entry import Born
from ...errors import BackendError
from ...selectors import Selector
from ...tracing import background
from ..beats import BeatStore
from ..log import LogListener, Operation, Update
from ..records import RecordCodec
from ..shared import SharedLog, cancel_all
from ..store import LogReader, LogStore
from .peers import CHANGED, FOLLOWING, HELLO, LOST, MOVED, Peers

if TYPE_CHECKING:
    from ..sqlite import TableStore

logger: logging.Logger = logging.getLogger("asgi_multitier")

_BYTES = 4 * 1024 * 1024
"""Bytes of records kept. Each record wakes the workers, so few lag behind; and the directory is
often in a small file system in memory."""

_POLL = 0.25
_SEEK = 0.5
_WATCH = 1.0
_GREETING = 1.0
"""Seconds that a new worker waits for the others to answer that they follow the common log."""

_NO_SERVER = (
    "%s: no server answers at %s yet: until it does, responses are kept in memory, and "
    "invalidations reach the workers of this machine only; if there is to be none, set "
    "REDIS_URL=none or redis_url=None"
)
_ISOLATED = (
    "%s: workers on this machine do not receive each other's invalidations (%s): with several "
    "workers a stale copy may be served for its whole lifetime; run one worker, or set redis_url= "
    "or sqlite="
)


class _Reach(Enum):
    UNKNOWN = "unknown"
    ALONE = "alone"
    NEAR = "near"
    FAR = "far"


class NearLog(SharedLog):
    """An invalidation log for the workers of one application on this machine.

    Args:
        namespace: The application's name; the same in all workers.
        maxlen: Records kept.
        secret: Key of the records' MAC; the same in all workers, or None.
        far: The log on a server that may appear, reachable for all workers; None for none.
        clock: Monotonic seconds; the clock of the entries.
    """

    def __init__(
        self,
        *,
        namespace: str,
        maxlen: int = 100_000,
        secret: bytes | None = None,
        far: LogStore | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._switched = _SwitchedStore(f"{namespace} on this machine")
        super().__init__(self._switched, RecordCodec(namespace, secret), clock=clock)
        self._namespace = namespace
        self._maxlen = maxlen
        self._far = far
        self._reach = _Reach.UNKNOWN
        self._peers = Peers(namespace, self._on_message)
        self._table: TableStore | None = None
        self._seeking: asyncio.Task[None] | None = None
        self._joining: asyncio.Task[None] | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._moved: set[str] = set()
        self._awaited: set[str] = set()
        self._answered = asyncio.Event()
        self._warned = self._is_isolated = False
        if far is None:
            self._be_alone()

    def __repr__(self) -> str:
        return f"<NearLog {self._namespace}, {self._reach.value}, {self.index!r}>"

    # Life.

    async def start(self, listener: LogListener) -> None:
        """Greet the other workers, and begin to follow. See `InvalidationLog.start`."""
        self._follower.listener = listener
        self._follower.rearm()
        self._know_process()
        self._leave_other_loop()
        await self._go_on(self._begin())

    async def _begin(self) -> None:
        if self._reach is _Reach.ALONE and self._peers.may_have_missed:
            # While this one was closed, another worker may have started, written and stopped.
            self._reach = _Reach.UNKNOWN
        if self._reach is _Reach.FAR:
            self._opened()
            await self._follow()
        elif self._reach is not _Reach.NEAR and await self._sees_far():
            await self._go_far()
        else:
            await self._meet()
        self._watch()
        if self._far is not None and self._reach is not _Reach.FAR:
            if not self._warned:
                self._warned = True
                place = self._far.name.rpartition(" at ")[2]
                logger.warning(_NO_SERVER, self._namespace, place)
            self._seeking = asyncio.create_task(
                self._seek(), name="asgi-multitier log search", context=background()
            )

    async def _meet(self) -> None:
        """Greet the others and join them; alone only if there is and was no other worker."""
        others = self._peers.broadcast(HELLO) if self._opened() else set()
        if others or self._reach is _Reach.NEAR:
            await self._join(others)
        elif self._reach is _Reach.UNKNOWN:
            self._be_alone()
        else:
            self.index.trust()

    def _watch(self) -> None:
        """Check every second that other workers can still find this one.

        Cleaning a temporary directory, or ending a user's session, removes the sockets of living
        workers. Workers that start after that find no other; this check opens a new socket.
        """
        if self._watching is not None:
            self._watching.cancel()
        if self._peers.is_open:
            loop = asyncio.get_running_loop()
            self._watching = loop.call_later(_WATCH, self._be_found, context=background())

    def _be_found(self) -> None:
        self._watching = None
        if self._peers.is_removed:
            self._peers.close()
            self._go_on(self._be_found_again())
        else:
            self._watch()

    async def _be_found_again(self) -> None:
        logger.warning(
            "%s: the directory of its sockets was removed; creating it again", self._namespace
        )
        if self._reach is _Reach.FAR:
            self._opened()
        else:
            await self._meet()
        self._watch()

    def _leave_other_loop(self) -> None:
        """See `SharedLog`; the search for a server and a change of logs are left as well."""
        self._seeking, self._joining = map(self._unless_elsewhere, (self._seeking, self._joining))
        super()._leave_other_loop()

    def _unless_elsewhere(self, task: "asyncio.Task[None] | None") -> "asyncio.Task[None] | None":
        if task is None or task.get_loop() is asyncio.get_running_loop():
            return task
        self._tasks += (task,)
        return None

    def _know_process(self) -> None:
        forked = self._is_forked
        super()._know_process()
        if forked:
            self._seeking = self._joining = self._watching = None
        if forked and self._reach is _Reach.ALONE:
            self._be_alone()  # with a history of its own

    def _be_alone(self) -> None:
        self._reach = _Reach.ALONE
        self._follower.be_alone()

    def _opened(self) -> bool:
        """Whether other workers can reach this one; if not, that is logged once."""
        try:
            self._peers.open()
        except OSError as error:
            if not self._is_isolated:
                self._is_isolated = True
                logger.warning(_ISOLATED, self._namespace, error)
            return False
        return True

    async def close(self) -> None:
        """Stop following; send what is queued, or log what is lost. May be called twice."""
        tasks = [task for task in (self._seeking, self._joining) if task is not None]
        self._seeking = self._joining = None
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        await cancel_all(*tasks)
        await super().close()
        self._peers.close()
        if self._table is not None:
            await self._table.close()

    # Messages to other workers.

    def begin(
        self, selectors: Sequence[Selector], updates: Sequence[Update] = (), *, settle: float = 0.0
    ) -> Operation:
        """Put an invalidation into force on this worker. See `InvalidationLog.begin`."""
        if self._reach is _Reach.ALONE:
            return self._follower.begin_alone(selectors, updates, settle)
        return super().begin(selectors, updates, settle=settle)

    async def commit(self, operation: Operation) -> Born | None:
        """Write it to the log, if there are other workers. See `InvalidationLog.commit`."""
        if self._reach is _Reach.ALONE:
            return Born(self.index.gen, self.index.seq)
        position = await super().commit(operation)
        if position is None and self._reach is _Reach.NEAR:
            # The file cannot be written, for example on a full disk. The others can still be
            # informed that something has changed, but not what.
            self._peers.broadcast_until_taken(LOST)
        return position

    def _sent(self, operation: Operation) -> None:  # noqa: ARG002 (the readers get it from the log)
        if self._reach is _Reach.FAR:
            self._peers.broadcast(MOVED, but=self._moved)
        else:
            self._peers.broadcast(CHANGED)

    # Messages from other workers.

    def _on_message(self, what: bytes, name: str) -> None:
        if what == FOLLOWING:
            self._awaited.discard(name)
            if not self._awaited:
                self._answered.set()
        elif what == MOVED:
            self._moved.add(name)
            if self._far is not None and self._reach is not _Reach.FAR:
                self._go_on(self._go_far())
        elif self._reach is _Reach.FAR:
            self._peers.send(name, MOVED)
        elif what == HELLO:
            self._go_on(self._welcome(name))
        elif self._reach is _Reach.NEAR and self._table is not None:
            if what == LOST:
                self._follower.forget()
            self._table.wake()
        else:
            self._go_on(self._welcome(name))

    def _go_on(self, step: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Take a step after the steps before it."""
        before = self._joining

        async def after() -> None:
            if before is not None:
                await asyncio.wait({before})
            await step

        self._joining = asyncio.create_task(
            after(), name="asgi-multitier log change", context=background()
        )
        # A step whose task is cancelled before its turn is never awaited.
        self._joining.add_done_callback(lambda _: step.close())
        return self._joining

    async def _welcome(self, name: str) -> None:
        if self._reach is not _Reach.FAR:
            await self._go_near()
            self._peers.send(name, FOLLOWING)
        else:
            self._peers.send(name, MOVED)

    async def _join(self, others: set[str]) -> None:
        """Follow the common log, and wait until the others do."""
        self._awaited, self._answered = set(others), asyncio.Event()
        await self._go_near()
        # Also to those that greet at the same moment and wait for this one.
        self._peers.broadcast(FOLLOWING)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GREETING if self._awaited else 0):
                await self._answered.wait()

    async def _go_near(self) -> None:
        if self._peers.directory is None:
            return
        path, left = self._peers.directory / "log", self._table
        if self._reach is _Reach.NEAR and left is not None and left.path == path:
            if self._tasks:
                await self._tail.tried.wait()
            else:
                await self._follow()
            return
        from ..sqlite import TableStore  # one worker alone needs none

        logger.info("%s: another worker has started; following a common log", self._namespace)
        self._table = TableStore(
            path, self._namespace, self._maxlen, poll=_POLL, durable=False, max_bytes=_BYTES
        )
        await self._change(_Reach.NEAR, self._table)
        if left is not None:
            await left.close()

    async def _go_far(self) -> None:
        if self._reach is _Reach.FAR or self._far is None:
            return
        logger.info("%s: following %s", self._namespace, self._far.name)
        self._opened()
        change = self._change(_Reach.FAR, self._far)
        self._peers.broadcast(MOVED)
        await change

    async def _change(self, reach: _Reach, store: LogStore) -> None:
        """Follow another store; what this worker knows belongs to the one before."""
        self._reach = reach
        self._switched.store = store
        self.index.distrust()
        self.index.enter("", 0)
        tasks, self._tasks = self._tasks, ()
        await cancel_all(*tasks)
        await self._follow()
        if self._follower.asked is not None:
            self._follower.asked()

    @property
    def is_alone(self) -> bool:
        """Whether no other process can write to this log at present."""
        return self._reach is _Reach.ALONE

    @property
    def is_own(self) -> bool:
        """Whether no other worker was there before. See `SharedLog.is_own`."""
        return self._reach is _Reach.ALONE or super().is_own

    # The search for a server.

    async def _seek(self) -> None:
        while self._reach is not _Reach.FAR:
            await asyncio.sleep(_SEEK)
            if await self._sees_far():
                self._go_on(self._go_far())
                return

    async def _sees_far(self) -> bool:
        if self._far is None:
            return False
        try:
            async with self._far.reading() as reader:
                await reader.facts(0)
        except BackendError as error:
            logger.debug("%s: %s", self._namespace, error)
            return False
        return True


class _SwitchedStore:
    """A `LogStore` that passes calls on to the store that is followed now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.store: LogStore | None = None

    @property
    def own_gen(self) -> str:
        """See `LogStore.own_gen`."""
        return "" if self.store is None else self.store.own_gen

    @property
    def beats(self) -> BeatStore | None:
        """See `LogStore.beats`."""
        return None if self.store is None else self.store.beats

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:
        """See `LogStore.append`."""
        if self.store is None:
            raise BackendError(f"{self.name}: the log has not been located yet")
        return await self.store.append(op, data, mac, after=after, timeout=timeout)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[LogReader]:
        """See `LogStore.reading`."""
        if self.store is None:
            raise BackendError(f"{self.name}: the log has not been located yet")
        async with self.store.reading() as reader:
            yield reader
