"""Where the records of a shared log lie: the I/O of it, and nothing of what it means.

An implementation writes records at the end and reads them in order. It keeps, beside them, the
generation, the number of the last record and the id of the last operation, all changed at once.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from ..entry import Born
from .follower import Facts

BATCH = 500
"""Most records that one reading brings; then others have a turn."""

FEW = 16
MUCH = 1024 * 1024
"""Records that a reader begins with, and bytes above which it takes fewer at a time: records bring
values, and a batch must arrive within one reading's patience."""

MAX_BYTES = 64 * 1024 * 1024
"""Bytes of records that a log keeps, about; beyond it the oldest quarter goes. A process that has
not read that begins from what is left, as after any gap."""

PATIENCE = 1.0
"""Seconds that a reading waits for records before it comes back without any."""


class StoredRecord(NamedTuple):
    """A record as it lies there, before anybody has looked into it.

    Attributes:
        seq: Its number.
        gen: Generation that it says to be of.
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
    """What one reading brought.

    Attributes:
        records: The next ones, in order.
        more: Whether there may be more already.
    """

    records: Sequence[StoredRecord]
    more: bool


def next_count(count: int, batch: Sequence[StoredRecord]) -> int:
    """How many records to ask for after this batch, of which `count` were asked for."""
    if sum(len(record.data) for record in batch) > MUCH:
        return max(1, count // 2)
    return min(BATCH, 2 * count) if len(batch) == count else count


class LogReader(Protocol):
    """One reading of the log from a connection of its own. One call at a time."""

    async def facts(self, after: int, condemned: str = "") -> Facts:
        """What the log holds, all at one moment. A log that is not there yet begins.

        Args:
            after: Number of the record that was applied last.
            condemned: A generation that must end; if the log is still of it, a new one begins.

        Raises:
            BackendError: If it could not be asked.
        """

    async def records(self, after: int) -> Batch:
        """The next records, at most `BATCH`; none if none came for about `PATIENCE` seconds.

        Args:
            after: Number of the record that was applied last.

        Raises:
            BackendError: If it could not be asked, or did not answer in time.
        """


class LogStore(Protocol):
    """A log that several nodes write and read."""

    @property
    def name(self) -> str:
        """Where it lies, for messages; without credentials."""

    @property
    def own_gen(self) -> str:
        """The generation that this object was the one to begin; "" if none."""

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:
        """Write a record at the end. Writing the same operation twice is harmless.

        Args:
            op: Id of the operation.
            data: The body, encoded.
            mac: The body's MAC, empty if none.
            after: Number of the record that this node has applied last.
            timeout: Seconds that it may take.

        Returns:
            The position of the record.

        Raises:
            BackendError: If it failed or took too long. It may have been written all the same.
        """

    def reading(self) -> AbstractAsyncContextManager[LogReader]:
        """A connection to read from, closed at the end of the block.

        Raises:
            BackendError: If there is none to be had.
        """
