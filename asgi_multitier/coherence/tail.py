"""Reading: this node follows the log from a connection of its own.

Each read returns within about a second, with records or without. Without, the store is asked for
its position, since a log that vanished or went back to lower numbers does not report that by
itself. A node that has not been up to date for three seconds stops trusting its index.
"""

import asyncio
import logging

from .._types import Clock
from ..entry import Born
from ..errors import BackendError, SerializationError
from ..tracing import background
from .follower import Follower, ReadResult, Verdict
from .index import UNTRUSTED_AGE, Index
from .log import TRUST
from .outbox import MAX_PAUSE, PAUSE, Outbox
from .records import Body, Record, RecordCodec
from .store import Facts, LogReader, LogStore, StoredRecord

logger: logging.Logger = logging.getLogger("asgi_multitier")

_REPORT_EVERY = 1.0
"""Seconds between two lines about unreadable records: a flood of them must not fill a disk."""


class Tail:
    """Follows a log.

    Args:
        store: Where the log lies.
        follower: Decides what anything means.
        codec: Reads records.
        outbox: Woken when there is something to send again.
        optional: Whether there may be no store at all: until one was seen, the node trusts its own
            memory, since it is alone.
        clock: Monotonic seconds.

    Attributes:
        tried: Set once the node is up to date, or the store is known to be unreachable.
        trust: Renewed whenever the node is up to date.
        waiters: Callers that wait for the node to reach a position.
    """

    def __init__(
        self,
        store: LogStore,
        follower: Follower,
        codec: RecordCodec,
        *,
        outbox: Outbox,
        optional: bool,
        clock: Clock,
    ) -> None:
        self.tried: asyncio.Event = asyncio.Event()
        self.trust: Trust = Trust(follower.index, store.name, clock)
        self.waiters: PositionWaiters = PositionWaiters(follower.index)
        self._store = store
        self._follower = follower
        self._index = follower.index
        self._codec = codec
        self._outbox = outbox
        self._optional = optional
        self._clock = clock
        self._connected = True
        self._doubted = False
        self._pause = 0.0
        self._reported = -float("inf")
        self._end = Born("", 0)

    @property
    def behind(self) -> int:
        """Records that the log had when its position was read last, and that are not applied."""
        known = self._end.gen == self._index.gen
        return max(0, self._end.seq - self._index.seq) if known else 0

    def prepare(self) -> None:
        """Move to the running event loop."""
        self.tried = asyncio.Event()
        self.trust.prepare()
        self.waiters.forget()

    async def run(self) -> None:
        """Follow the log. Ends with its task."""
        while True:
            try:
                async with self._store.reading() as reader:
                    await self._reconcile(reader)
                    while True:
                        await self._step(reader)
                        self._has_read()
            except BackendError as error:
                self._lost(error)
            except Exception as error:
                # A tail that ended would leave the node untrusted for good.
                if self._connected:
                    logger.exception("%s: reading the log failed; restarting", self._store.name)
                    self._connected = False
                self._lost(error)
            await asyncio.sleep(self._pause)
            self._pause = min(max(2 * self._pause, PAUSE), MAX_PAUSE)

    async def _step(self, reader: LogReader) -> None:
        """Wait for records and apply them; where none arrive, compare positions."""
        found, more = await reader.records(self._index.seq)
        if not found:
            await self._reconcile(reader)
            return
        for stored in found:
            result = self._follower.read(self._record(stored))
            if result in (ReadResult.MISSING, ReadResult.REPLACED):
                await self._reconcile(reader, result, stored.seq)
                return
        self.waiters.moved()
        self._end = Born(self._index.gen, max(self._end.seq, self._index.seq + more))
        if more:
            await asyncio.sleep(0)
        else:
            self._up_to_date()

    def _record(self, stored: StoredRecord) -> Record:
        seq, gen, prev, op, data, mac = stored
        body: Body | None = None
        try:
            body = self._codec.decode(op, data, mac)
        except SerializationError as error:
            self._report_unreadable(seq, error)
        return Record(seq, gen, prev, op, body)

    def _report_unreadable(self, seq: int, error: SerializationError) -> None:
        if self._clock() - self._reported >= _REPORT_EVERY:
            self._reported = self._clock()
            logger.error(
                "%s: record %s cannot be read, everything cached is dropped: %s",
                self._store.name,
                seq,
                error,
            )

    async def _reconcile(
        self, reader: LogReader, result: ReadResult | None = None, seq: int | None = None
    ) -> None:
        """Compare positions with the store, also where the record `seq` did not fit.

        Where our history is gone, continue from that of the store.
        """
        facts = await reader.facts(self._index.seq)
        self._end = Born(facts.gen, facts.seq)
        verdict = self._follower.judge(facts)
        before = None
        if verdict in (Verdict.CURRENT, Verdict.BEHIND):
            # The positions agree, but a record did not fit the chain: that decides.
            if result is ReadResult.REPLACED:
                verdict = Verdict.REPLACED
            elif result is ReadResult.MISSING:
                verdict, before = Verdict.LOST, seq
        if verdict is Verdict.REPLACED:
            facts = await reader.facts(self._index.seq, facts.gen)
            self._end = Born(facts.gen, facts.seq)
        if verdict not in (Verdict.CURRENT, Verdict.BEHIND):
            self._adopt(facts, verdict, before)
        if self._index.seq >= facts.seq:
            self._up_to_date()

    def _adopt(self, facts: Facts, verdict: Verdict, before: int | None) -> None:
        if self._index.gen:
            logger.warning(
                "%s: the log %s; everything cached is dropped",
                self._store.name,
                verdict.value,
            )
        self._index.distrust()
        self._follower.adopt(facts, before=before)
        self.waiters.moved()
        self._outbox.wake()

    def _up_to_date(self) -> None:
        if self._outbox.is_overdue:
            self._doubt()
        else:
            if self._doubted:
                logger.info("%s: up to date", self._store.name)
            self._doubted = False
            self.trust.renew()
        self.tried.set()

    def _doubt(self) -> None:
        """The log can be read, but this node's invalidations cannot be written."""
        if not self._doubted:
            self._doubted = True
            logger.error(
                "%s: invalidations of this process have waited for %g s to be written (%s); until "
                "then other processes may serve older copies, and this one bypasses shared tiers",
                self._store.name,
                TRUST,
                self._outbox.failure,
            )
        self._index.distrust()

    def _has_read(self) -> None:
        """Records can be read; that the store reports its position does not show that.

        Only now is the pause reset: otherwise a store that reports its position but refuses reads
        would be retried without a pause, and logged as recovered each time.
        """
        self._pause = 0.0
        if not self._connected:
            logger.info("%s: the invalidation log can be read again", self._store.name)
        self._connected = True

    def _lost(self, error: Exception) -> None:
        if self._connected:
            self._connected = False
            logger.warning("the invalidation log does not answer; retrying: %s", error)
        if self._optional and not self._index.gen:
            self._index.trust()
        self.tried.set()


class Trust:
    """Trusts the index while it is renewed, and ends that when no renewal comes.

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
        self._begun = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def unheard(self) -> float:
        """Seconds since this node was up to date, or began to follow the log."""
        return self._clock() - max(self._begun, self._renewed)

    def prepare(self) -> None:
        """Move to the running event loop: a timer of a closed one never fires."""
        self._begun = self._clock()
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
            self.check()

    def check(self) -> None:
        """End the trust if it was not renewed in time; else check again when it would end."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            return  # another event loop follows the log now
        left = self._renewed + TRUST - self._clock()
        if left > 0:
            self._timer = loop.call_later(left, self.check, context=background())
            return
        self._timer = None
        if self._index.settled:
            logger.warning(
                "%s: no contact for %g s: memory entries older than %g s are stale, shared tiers "
                "are bypassed",
                self._name,
                TRUST,
                UNTRUSTED_AGE,
            )
            self._index.distrust()

    def end(self) -> None:
        """The log is not followed any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._index.distrust()


class PositionWaiters:
    """Callers that wait until this node has applied the log up to a position.

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
        """Forget the callers of another event loop: each ends at its own time-out."""
        self._waiting = []

    def moved(self) -> None:
        """The node has applied more: wake those whose position is reached."""
        if not self._waiting:
            return
        for waiter in [waiter for waiter in self._waiting if self._is_reached(waiter[0])]:
            self._waiting.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_result(None)
