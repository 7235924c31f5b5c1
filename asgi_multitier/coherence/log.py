"""The protocol of an invalidation log, and why it is enough.

Every entry carries `born`, the log position that its filler had applied before it asked the origin.
The *reader* decides: an entry is valid when no record after `born` selects it. Safety needs no
clock, no lock and no delete. `Index` (the reader's knowledge) is pure; an implementation of
`InvalidationLog` moves records in and out of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec

from ..entry import Born
from ..events import Durations
from ..selectors import Selector
from .index import Index

MAX_RIDE = 64 * 1024
"""Bytes of a value that travels in the log; a larger one is fetched from a shared tier."""

TRUST = 3.0
"""Seconds without being up to date, after which the log is not trusted."""


class Update(msgspec.Struct, frozen=True):
    """A new value of a key, which travels in the log to the L1 of other nodes.

    Attributes:
        key: The full key of the entry.
        value: The encoded entry, or None where it is too large and must be fetched from L2.
        ttl: Seconds for which the encoded entry may be kept, counted from when it was sent.
        tags: The entry's tags, so that the value can be matched before it is decoded.
    """

    key: str
    value: bytes | None
    ttl: float
    tags: tuple[str, ...] = ()


class Operation(msgspec.Struct, frozen=True):
    """An invalidation that this node has begun: already in force here, not yet in the log.

    Attributes:
        id: Random, unique; sending the same operation twice is harmless.
        born: The position at which it was begun; the new values in it count as born there.
        selectors: What it drops.
        updates: New values that it carries.
        settle: Seconds for which fills that it selects are not kept, on any node.
    """

    id: str
    born: Born
    selectors: tuple[Selector, ...]
    updates: tuple[Update, ...] = ()
    settle: float = 0.0

    @property
    def fence(self) -> int:
        """The local fence that it raised."""
        return self.born.fence


FlushCause: TypeAlias = Literal["start", "gap", "replaced", "unreadable", "unwritten"]
"""Why everything local was dropped: this process begins to follow; records were missing; the log
was another one; a record could not be read; another process could not write what it had changed."""


@dataclass(frozen=True, slots=True)
class InvalidationStats:
    """What the log has done, since the process started. Counts add up.

    Attributes:
        sent: Operations that reached the log.
        received: Records read from the log and applied, this node's own included.
        echoed: Of those, this node's own.
        applied: What those records selected, by selector kind (`"key"`, `"tag"` ...), and how many
            new values they brought (`"update"`).
        gaps: How often history was found missing or replaced.
        flushes: How often everything local was dropped, because of a gap or an unreadable record.
        processing_errors: Records that could not be read.
        queued: Selectors that are queued to be sent again.
        send_errors: Operations that could not be written to the log at once, and were queued.
        overflows: How often too many selectors were pending and became "everything".
        lag_p50, lag_p99: Seconds from sending an operation, here or on another node, to applying it
            here, over the last 1,024; 0 if there was none. What another node sent is timed by the
            clocks of both machines: their difference is part of it, unless beats have told it (see
            `instances`).
        gen, seq: The position applied.
        trusted: False while there has been no contact with the log for 3 s.
        audit_errors: Entries of the audit stream that could not be written.
        forgotten: Selectors that there was no room for, so that everything older than them counts
            as dropped: too many different ones were in force, or patterns without a common part.
        flush_causes: The flushes by cause.
        behind: Records of the log that were not applied yet when they were counted last, about once
            a second; None where no log is followed.
        unheard: Seconds since this process was up to date; None where no log is followed.
        commits: How long it took to write a record, of those that were written.
        lags: As `lag_p50`, since the process started: of `"own"` and of `"other"` processes.
        index_selectors: Selectors that are remembered, to decide which entries are valid.
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
    audit_errors: int = 0
    forgotten: int = 0
    send_errors: int = 0
    flush_causes: Mapping[str, int] = field(default_factory=dict)
    behind: int | None = None
    unheard: float | None = None
    commits: Durations = field(default_factory=Durations)
    lags: Mapping[str, Durations] = field(default_factory=dict)
    index_selectors: int = 0


class Applied(NamedTuple):
    """A record that this node has applied, for those who look at the log.

    Attributes:
        seq: Its number.
        node: Who wrote it; "" if it could not be read.
        own: Whether that is this node.
        at: When it was applied, by the log's clock.
        selectors: What it drops: the first ones.
        more: How many further ones.
        updates: How many new values it carries.
        settle: Seconds to settle.
    """

    seq: int
    node: str
    own: bool
    at: float
    selectors: tuple[Selector, ...]
    more: int
    updates: int
    settle: float


@runtime_checkable
class RememberingLog(Protocol):
    """A log that can tell what it has applied last. Optional."""

    def recent(self) -> list[Applied]:
        """The last records applied, oldest first."""


class LogListener(Protocol):
    """Callbacks of the owner of the local tiers. Called synchronously; must not raise."""

    def dropped(self, selectors: Sequence[Selector]) -> None:
        """Another node's selectors came into force: detach flights, free memory."""

    def updated(self, updates: Sequence[Update], born: Born) -> None:
        """Another node has new values, valid and born at `born`. Touch local tiers only."""

    def flushed(self) -> None:
        """History was lost: everything local is invalid."""


class InvalidationLog(Protocol):
    """One totally ordered log of a namespace, as this node sees it."""

    index: Index
    """What this node knows; read synchronously on every hit."""

    async def start(self, listener: LogListener) -> None:
        """Begin to follow. Returns once the position is known, or the back end is unreachable."""

    async def close(self) -> None:
        """Stop following; send what is queued, or write a log line about what is lost."""

    def begin(
        self, selectors: Sequence[Selector], updates: Sequence[Update] = (), *, settle: float = 0.0
    ) -> Operation:
        """Put an invalidation into force on this node, at once and without awaiting.

        Args:
            selectors: What to drop.
            updates: New values for keys; what was stored for these keys before is dropped.
            settle: Seconds for which what is selected is neither kept nor used on any node, for
                origins that read from a replica with such a lag.

        Raises:
            InvalidationError: If a selector can match nothing, or is refused.
        """

    async def commit(self, operation: Operation) -> Born | None:
        """Write it to the log, for every node. Never raises.

        Returns:
            The position of its record. None if it could not be sent; then it is queued, stays in
            force here, and is sent when that is possible. A value that it carries may be written to
            a shared tier as born at this position once the position is `reached` and the value, as
            born at `operation.born`, is still permitted: a record in between may have dropped it.
        """

    async def reached(self, position: Born, timeout: float) -> bool:
        """Wait until this node has applied the log up to a position.

        Args:
            position: As `commit` returned it, here or on another node.
            timeout: Seconds to wait at most.

        Returns:
            False if the time is over first, or the position is of another generation.
        """

    @property
    def trusted(self) -> bool:
        """Whether the last contact with the log is recent enough to use shared tiers."""

    def stats(self) -> InvalidationStats:
        """A frozen reading of the counters."""
