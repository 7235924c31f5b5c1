"""Reading: this node follows the log from a connection of its own.

It must hear something every second: a record, or that there is none, and then the store is asked
what it holds, since a log that vanished or went back to lower numbers says nothing by itself. A
node that has not been up to date for three seconds trusts its index no more.
"""

import asyncio
import logging

from .._types import Clock
from ..errors import BackendError, SerializationError
from .follower import Facts, Follower, Step, Verdict
from .outbox import MAX_PAUSE, PAUSE, Outbox
from .positions import Positions
from .records import Body, Record, RecordCodec
from .store import LogReader, LogStore, StoredRecord
from .trust import TRUST, Trust

logger = logging.getLogger("asgi_multitier")

_COMPLAINTS = 1.0
"""Seconds between two lines about unreadable records: a flood of them must not fill a disk."""


class Tail:
    """Follows a log.

    Args:
        store: Where the log lies.
        follower: Decides what anything means.
        codec: Reads records.
        outbox: Is told when there is something to send again.
        positions: Who waits for the node to get further.
        trust: Renewed whenever the node is up to date.
        optional: Whether there may be no store at all: until one was seen, the node then believes
            what it holds, since it is alone.
        clock: Monotonic seconds.

    Attributes:
        tried: Set once the node is up to date, or the store is known to be away.
    """

    def __init__(
        self,
        store: LogStore,
        follower: Follower,
        codec: RecordCodec,
        *,
        outbox: Outbox,
        positions: Positions,
        trust: Trust,
        optional: bool,
        clock: Clock,
    ) -> None:
        self.tried = asyncio.Event()
        self._store = store
        self._follower = follower
        self._index = follower.index
        self._codec = codec
        self._outbox = outbox
        self._positions = positions
        self._trust = trust
        self._optional = optional
        self._clock = clock
        self._connected = True
        self._doubted = False
        self._pause = 0.0
        self._complained = -float("inf")

    def prepare(self) -> None:
        """Serve the event loop that runs now."""
        self.tried = asyncio.Event()

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
                    logger.exception("%s: the tail broke and begins again", self._store.name)
                    self._connected = False
                self._lost(error)
            await asyncio.sleep(self._pause)
            self._pause = min(max(2 * self._pause, PAUSE), MAX_PAUSE)

    async def _step(self, reader: LogReader) -> None:
        """Wait for records and apply them; where none come, ask whether all is as we think."""
        found, more = await reader.records(self._index.seq)
        if not found:
            await self._reconcile(reader)
            return
        for stored in found:
            step = self._follower.read(self._record(stored))
            if step in (Step.MISSING, Step.REPLACED):
                await self._reconcile(reader, step, stored.seq)
                return
        self._positions.moved()
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
            self._complain(seq, error)
        return Record(seq, gen, prev, op, body)

    def _complain(self, seq: int, error: SerializationError) -> None:
        if self._clock() - self._complained >= _COMPLAINTS:
            self._complained = self._clock()
            logger.error("%s: record %s counts as everything: %s", self._store.name, seq, error)

    async def _reconcile(
        self, reader: LogReader, step: Step | None = None, seq: int | None = None
    ) -> None:
        """Ask what the log holds, and go on from where that leaves us.

        Args:
            reader: Whom to ask.
            step: What was wrong with a record.
            seq: That record's number.
        """
        facts = await reader.facts(self._index.seq)
        verdict = self._follower.judge(facts)
        before = None
        if verdict in (Verdict.CURRENT, Verdict.BEHIND):
            # The log looks whole from outside; the record that did not fit says otherwise.
            if step is Step.REPLACED:
                verdict = Verdict.REPLACED
            elif step is Step.MISSING:
                verdict, before = Verdict.LOST, seq
        if verdict is Verdict.REPLACED:
            facts = await reader.facts(self._index.seq, facts.gen)
        if verdict not in (Verdict.CURRENT, Verdict.BEHIND):
            self._adopt(facts, verdict, before)
        if self._index.seq >= facts.seq:
            self._up_to_date()

    def _adopt(self, facts: Facts, verdict: Verdict, before: int | None) -> None:
        if self._index.gen:
            logger.warning(
                "%s: history is %s; all that is cached is dropped", self._store.name, verdict.value
            )
        self._index.distrust()
        self._follower.adopt(facts, before=before)
        self._positions.moved()
        self._outbox.look()

    def _up_to_date(self) -> None:
        if self._outbox.is_overdue:
            self._doubt()
        else:
            if self._doubted:
                logger.info("%s: up to date", self._store.name)
            self._doubted = False
            self._trust.renew()
        self.tried.set()

    def _doubt(self) -> None:
        """The log can be read, and what this node has to say cannot be written."""
        if not self._doubted:
            self._doubted = True
            logger.error(
                "%s: invalidations of this process have waited for %g s to be written (%s); until "
                "they are, other processes may serve older copies, and this one trusts none",
                self._store.name,
                TRUST,
                self._outbox.failure,
            )
        self._index.distrust()

    def _has_read(self) -> None:
        """Records can be read. What the store says of itself is no sign of that.

        Only now the pauses begin anew: a store that answers questions and refuses to be read would
        be asked without a pause, and each time be told of as one that came back.
        """
        self._pause = 0.0
        if not self._connected:
            logger.info("%s: read again", self._store.name)
        self._connected = True

    def _lost(self, error: Exception) -> None:
        if self._connected:
            self._connected = False
            logger.warning("the invalidation log does not answer, trying again: %s", error)
        if self._optional and not self._index.gen:
            self._index.trust()
        self.tried.set()
