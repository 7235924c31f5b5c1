"""The invalidation log: what every implementation offers, and why it is enough.

Every entry carries `born`, the position its filler had applied before it asked the origin. The
*reader* decides: an entry is valid when no record after `born` selects it. Safety needs no clock,
no lock and no delete. `Index` (the reader's knowledge) is pure; an implementation of
`InvalidationLog` moves records in and out of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .index import Index
from .selectors import Selector


@dataclass(frozen=True, slots=True)
class Update:
    """"Key K has a new value": travels in the log so that other nodes' L1 follow.

    Attributes:
        key: The full key of the entry.
        value: The encoded entry, or None where it was too large and is to be fetched from L2.
        ttl: Seconds that the encoded entry has left to be kept when it was sent.
    """

    key: str
    value: bytes | None
    ttl: float


@dataclass(frozen=True, slots=True)
class Operation:
    """An invalidation that this node has begun: already in force here, not yet in the log.

    Attributes:
        id: Random, unique; sending the same operation twice is harmless.
        selectors: What it drops.
        updates: New values that ride along.
        fence: The local fence that it raised.
    """

    id: str
    selectors: tuple[Selector, ...]
    updates: tuple[Update, ...] = ()
    fence: int = 0


@dataclass(frozen=True, slots=True)
class InvalidationStats:
    """What the log has done, since the process started. Counts add up.

    Attributes:
        sent: Operations that reached the log.
        received: Records read from the log, this node's own included.
        echoed: Of those, this node's own.
        applied: Records applied, by selector kind (`"key"`, `"tag"` ... and `"update"`).
        gaps: Times that history was found missing or replaced.
        flushes: Times that everything local was dropped because of it.
        processing_errors: Records that could not be read.
        queued: Operations that wait to be sent again.
        overflows: Times that the queue became one new generation.
        lag_p50, lag_p99: Seconds from a record's writing to its application, 0 if none was seen.
        gen, seq: The position applied.
        trusted: False while the log has not been heard of for too long.
    """

    sent: int
    received: int
    echoed: int
    applied: dict[str, int]
    gaps: int
    flushes: int
    processing_errors: int
    queued: int
    overflows: int
    lag_p50: float
    lag_p99: float
    gen: str
    seq: int
    trusted: bool


class LogListener(Protocol):
    """What the owner of the local tiers does when the log moves. Called synchronously; never raises."""

    def dropped(self, selectors: Sequence[Selector]) -> None:
        """Another node's selectors came into force: detach flights, free memory."""

    def updated(self, updates: Sequence[Update]) -> None:
        """Another node has new values. Touch local tiers only."""

    def flushed(self) -> None:
        """History was lost: everything local is invalid."""


class InvalidationLog(Protocol):
    """One totally ordered log of a namespace, as this node sees it."""

    index: Index
    """What this node knows; read synchronously on every hit."""

    async def start(self, listener: LogListener) -> None:
        """Begin to follow. Returns once the position is known or the back end is known to be away."""

    async def close(self) -> None:
        """Stop following; send what waits, or say in the log of the process what is lost."""

    def begin(self, selectors: Sequence[Selector], updates: Sequence[Update] = ()) -> Operation:
        """Put an invalidation into force on this node, at once and without awaiting."""

    async def commit(self, operation: Operation) -> bool:
        """Make it known to every node. Never raises: on failure it is queued and False returned."""

    @property
    def trusted(self) -> bool:
        """Whether the log has been heard of recently enough to believe shared tiers."""

    def stats(self) -> InvalidationStats:
        """A frozen reading of the counters."""


Now = Callable[[], float]
