"""A log store in memory, which several simulated instances share, and whose connections can fail.

An `append` returns when every instance that is well has applied the record: what a test does next
on another instance finds it there, without waiting.
"""

import asyncio
import threading
import time
from asyncio.events import _get_running_loop as loop_here
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from secrets import token_hex

from .._types import Clock
from ..coherence.beats import BeatStore
from ..coherence.records import RecordCodec
from ..coherence.shared import SharedLog
from ..coherence.store import PATIENCE, Batch, Facts, LogReader, StoredRecord
from ..entry import Born
from ..errors import BackendError

_DELIVERY = 1.0
"""Seconds that an append waits at most for the other instances."""

_TURN = 0.001


class Fault(Enum):
    """What is wrong with a connection."""

    NONE = auto()
    CUT = auto()
    HUNG = auto()
    SLOW = auto()


class Wire:
    """The records of one log."""

    def __init__(self) -> None:
        self.lock: threading.Lock = threading.Lock()
        self.nodes: list[Node] = []
        self.gen: str = token_hex(16)
        self.records: list[StoredRecord] = []
        self._positions: dict[str, int] = {}

    @property
    def seq(self) -> int:
        """Number of the last record."""
        return len(self.records)

    def add(self, op: str, data: bytes, mac: bytes) -> Born:
        """Append a record, once for each operation."""
        with self.lock:
            seq = self._positions.get(op)
            if seq is None:
                prev = self.records[-1].op if self.records else ""
                seq = self._positions[op] = self.seq + 1
                self.records.append(StoredRecord(seq, self.gen, prev, op, data, mac))
        for node in list(self.nodes):
            node.wake()
        return Born(self.gen, seq)

    def facts(self, after: int) -> Facts:
        """Its state. See `LogReader.facts`."""
        with self.lock:
            seq = self.seq
            last = self.records[-1].op if seq else ""
            at = self.records[after - 1].op if 0 < after <= seq else None
        return Facts(self.gen, seq, last, 1 if seq else None, seq or None, at)

    async def delivered(self, seq: int) -> None:
        """Wait until all that are well, and run, have applied a record."""
        ends = time.monotonic() + _DELIVERY
        nodes = self.nodes
        while any(node.owes(seq) for node in nodes) and time.monotonic() < ends:  # noqa: ASYNC110  # of several loops
            await asyncio.sleep(_TURN)


class Node:
    """One instance's connection to the log: a `LogStore` and its `LogReader`.

    Args:
        wire: The log.
        name: For messages.
        clock: The clock of the entries.

    Attributes:
        log: The log, as this instance sees it.
        fault: What is wrong with the connection.
        delay: Seconds that it takes, where it is slow.
    """

    own_gen = ""
    beats: BeatStore | None = None

    def __init__(self, wire: Wire, name: str, clock: Clock) -> None:
        self.name = name
        self.fault: Fault = Fault.NONE
        self.delay: float = 0.0
        self._wire = wire
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self.log: FleetLog = FleetLog(self, clock)
        wire.nodes.append(self)

    def __repr__(self) -> str:
        return f"<{self.name}, connection {self.fault.name.lower()}>"

    # Faults.

    def suffer(self, fault: Fault, delay: float = 0.0) -> None:
        """Change what is wrong, from any thread."""
        self.fault, self.delay = fault, delay
        self.wake()

    def wake(self) -> None:
        """Let the reader look again."""
        self.call(self._woken.set)

    def call(self, function: Callable[[], None]) -> None:
        """Call a function in the event loop that the instance runs in, from any thread."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        if loop is loop_here():
            function()
        else:
            loop.call_soon_threadsafe(function)

    def owes(self, seq: int) -> bool:
        """Whether it has not applied a record that it can read."""
        return self.is_well and self.log.index.seq < seq

    @property
    def is_well(self) -> bool:
        """Whether it runs and nothing is wrong."""
        loop = self._loop
        return self.fault is Fault.NONE and loop is not None and loop.is_running()

    @property
    def is_settled(self) -> bool:
        """Whether it has applied and sent everything, or cannot."""
        if not self.is_well:
            return True
        log = self.log
        return log.index.settled and log.index.seq >= self._wire.seq and not log.stats().queued

    # What a log asks of its store.

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:  # noqa: ARG002 (protocol)
        """Append a record. See `LogStore.append`."""
        if self.fault is Fault.SLOW:
            await asyncio.sleep(min(self.delay, timeout))
        if self.fault is Fault.HUNG or (self.fault is Fault.SLOW and self.delay >= timeout):
            await self._until(lambda: self.fault is not Fault.HUNG, timeout)
            raise BackendError(f"{self.name}: no answer from the log in time")
        self._refuse_cut()
        position = self._wire.add(op, data, mac)
        await self._wire.delivered(position.seq)
        return position

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[LogReader]:
        """A connection. See `LogStore.reading`."""
        self._refuse_cut()
        self._loop = here = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        try:
            yield self
        except asyncio.CancelledError:
            self.leave(here)
            raise

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """The instance does not run in this event loop any more."""
        if self._loop is loop:
            self._loop = None

    async def facts(self, after: int, condemned: str = "") -> Facts:  # noqa: ARG002 (protocol)
        """The state of the log. See `LogReader.facts`."""
        await self._answering()
        return self._wire.facts(after)

    async def records(self, after: int) -> Batch:
        """The next records. See `LogReader.records`."""
        await self._until(lambda: self._wire.seq > after or self.fault is Fault.CUT, PATIENCE)
        await self._answering()
        return Batch(self._wire.records[after:], more=False)

    async def _answering(self) -> None:
        """Wait for as long as the fault lasts."""
        while self.fault is Fault.HUNG:
            await self._until(lambda: self.fault is not Fault.HUNG, PATIENCE)
        if self.fault is Fault.SLOW:
            await self._until(lambda: self.fault is not Fault.SLOW, self.delay)
        self._refuse_cut()

    def _refuse_cut(self) -> None:
        if self.fault is Fault.CUT:
            raise BackendError(f"{self.name}: the test has cut the connection to the log")

    async def _until(self, true: Callable[[], bool], timeout: float) -> None:
        """Wait until it is true, for so long at most; it is asked again when woken."""
        ends = time.monotonic() + timeout
        while not true() and (left := ends - time.monotonic()) > 0:
            self._woken.clear()
            if true():
                return
            try:
                async with asyncio.timeout(left):
                    await self._woken.wait()
            except TimeoutError:
                return


class FleetLog(SharedLog):
    """The invalidation log of one simulated instance.

    Args:
        node: Its connection.
        clock: Monotonic seconds; the clock of the entries.
    """

    def __init__(self, node: Node, clock: Clock) -> None:
        super().__init__(node, RecordCodec("fleet"), clock=clock)
        self._node = node

    async def close(self) -> None:
        """Stop following; send what is queued. See `InvalidationLog.close`."""
        await super().close()
        self._node.leave(asyncio.get_running_loop())

    def time_moved(self) -> None:
        """Time was moved: an instance in contact still is, for another one it may be too long."""
        self._node.call(self._contact)

    def _contact(self) -> None:
        trust = self._tail.trust
        if self._node.fault in (Fault.NONE, Fault.SLOW):
            trust.renew()
        else:
            trust.check()
