"""The storage of a shared log: its I/O, without the meaning of the records.

An implementation appends records and reads them in order. Along with them it keeps the generation,
the number of the last record and the id of the last operation, changed in one step.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from ..entry import Born
from .beats import BeatStore

BATCH = 500
"""Most records that one read returns; then the event loop runs other tasks."""

FEW = 16
MUCH = 1024 * 1024
"""Records of a reader's first batch, and bytes above which it asks for fewer: records carry values,
and a batch must arrive within the time limit of one read."""

MAX_BYTES = 64 * 1024 * 1024
"""Approximate bytes of records that a log keeps; beyond it the oldest quarter is removed. A process
that has not read them continues from what is left, as after any gap."""

PATIENCE = 1.0
"""Seconds that a read waits for records before it returns none."""


class Facts(NamedTuple):
    """The state of a stored log, read at one moment.

    Attributes:
        gen: Its generation.
        seq: Number of the last record written.
        last: Id of the last operation.
        first: Number of the oldest record kept, None if there is none.
        top: Number of the youngest record kept, None if there is none.
        at: Id of the operation at the number that the reader had applied, None if not kept.
    """

    gen: str
    seq: int
    last: str
    first: int | None
    top: int | None
    at: str | None


class StoredRecord(NamedTuple):
    """A record as stored, not decoded.

    Attributes:
        seq: Its number.
        gen: Generation that it names.
        prev: Id of the operation before it.
        op: Id of its operation.
        data: Its body, encoded.
        mac: The body's MAC, empty if none.
    """

    seq: int
    gen: str
    prev: str
    op: str
    data: bytes
    mac: bytes


class Batch(NamedTuple):
    """The result of one read.

    Attributes:
        records: The next ones, in order.
        more: Whether there may be more already.
    """

    records: Sequence[StoredRecord]
    more: bool


def next_count(count: int, batch: Sequence[StoredRecord]) -> int:
    """How many records to ask for after this batch, for which `count` were requested."""
    if sum(len(record.data) for record in batch) > MUCH:
        return max(1, count // 2)
    return min(BATCH, 2 * count) if len(batch) == count else count


class LogReader(Protocol):
    """Reads the log on a connection of its own. One call at a time."""

    async def facts(self, after: int, condemned: str = "") -> Facts:
        """The state of the log, read at one moment. A log that does not exist yet is begun.

        Args:
            after: Number of the record that was applied last.
            condemned: A generation that must end; if the log is still of it, a new one begins.

        Raises:
            BackendError: If the store cannot be reached.
        """

    async def records(self, after: int) -> Batch:
        """The next records, at most `BATCH`; none if none arrived for about `PATIENCE` seconds.

        Args:
            after: Number of the record that was applied last.

        Raises:
            BackendError: If the store cannot be reached, or did not answer in time.
        """


class LogStore(Protocol):
    """Storage of a log that several nodes write and read."""

    @property
    def name(self) -> str:
        """Its location, for messages; without credentials."""

    @property
    def own_gen(self) -> str:
        """The generation that this object began; "" if none."""

    @property
    def beats(self) -> BeatStore | None:
        """Where those that follow this log tell of themselves; None if nowhere yet."""

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:
        """Append a record. Writing the same operation twice is harmless.

        Args:
            op: Id of the operation.
            data: The body, encoded.
            mac: The body's MAC, empty if none.
            after: Number of the record that this node has applied last.
            timeout: Seconds allowed.

        Returns:
            The position of the record.

        Raises:
            BackendError: If it failed or took too long. The record may have been written anyway.
        """

    def reading(self) -> AbstractAsyncContextManager[LogReader]:
        """A connection to read from, closed at the end of the block.

        Raises:
            BackendError: If no connection can be made.
        """
