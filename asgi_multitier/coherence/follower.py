"""The decisions of the log's protocol, without its I/O.

An implementation reads records, asks the server for *facts* and sends operations; each time the
`Follower` decides what that means. Everything here is synchronous, so that a model checker can
drive it through any order of events: the code that it checks is the code that runs. That is why it
is one class: sending, reading and judging change the same few numbers.

The chain: record n of a generation names the operation of record n - 1. A record is applied only if
it has our generation and the next number, and names the operation that we applied last. Otherwise
history is missing (trimmed, evicted) or was replaced (a promoted replica, a restart). Missing
history raises the floor; a replaced one ends the generation, since numbers of two histories must
not be compared.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from secrets import token_hex

from cachetools import FIFOCache

from .._types import Clock
from ..entry import Born
from ..errors import InvalidationError
from ..events import LAG_BOUNDS, Histogram
from ..selectors import MAX_TEXT, Selector, check_glob, is_short
from .index import Index
from .log import Applied, FlushCause, InvalidationStats, LogListener, Operation, Update
from .marks import ALL, canonical
from .records import Body, Record, bodies, riding
from .settling import Settling
from .store import Facts

MAX_PENDING = 10_000
"""Selectors of this node not yet seen back in the log; beyond it they become "everything"."""

MALFORMED_PAUSE = 1.0
"""Seconds between two flushes that unreadable records cause."""

_BATCH = 500
_LAGS = 1024
_SENT_REMEMBERED = 4096
_RECENT = 500
"""Records that are remembered for those who look at the log."""

_SHOWN = 16
"""Selectors of each of them."""


class Verdict(Enum):
    """How the server's log compares to what this node has applied."""

    CURRENT = "current"
    BEHIND = "behind"
    LOST = "has lost records that were not read yet"
    OTHER = "is of another generation"
    REPLACED = "was replaced by another history"


class ReadResult(Enum):
    """The result of reading a record."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    MISSING = "missing"
    REPLACED = "replaced"


class Follower:
    """One node's state in the protocol.

    Args:
        index: What the node knows.
        later: Calls a function after so many seconds, as an event loop's `call_later`.
        clock: Monotonic seconds.
        max_pending: Selectors not yet seen back in the log that are kept apart.
        wall: Unix seconds, as the other nodes' clocks give them.

    Attributes:
        node: This node's random id; a forked process takes a new one.
        epoch: How often this node has continued from another position.
        last: Operation at the position applied, None if unknown.
        asked: Called when another node asks for a beat: by a record that drops nothing, or by its
            appearance.
    """

    def __init__(
        self,
        index: Index,
        *,
        later: Callable[[float, Callable[[], None]], object],
        clock: Clock = time.monotonic,
        max_pending: int = MAX_PENDING,
        wall: Clock = time.time,
    ) -> None:
        self.index = index
        self.node: str = token_hex(8)
        self.epoch: int = 0
        self.last: str | None = None
        self.listener: LogListener | None = None
        self.asked: Callable[[], None] | None = None
        self._later = later
        self._clock = clock
        self._wall = wall
        self._max_pending = max_pending
        self._unsent: dict[Selector, float] = {}
        self._written: dict[Selector, None] = {}
        self._sent_at: FIFOCache[str, float] = FIFOCache(_SENT_REMEMBERED)
        self._lags: deque[float] = deque(maxlen=_LAGS)
        self._own_lags, self._other_lags = Histogram(LAG_BOUNDS), Histogram(LAG_BOUNDS)
        self._flushes: Counter[str] = Counter()
        self._applied: Counter[str] = Counter()
        self._recent: deque[Applied] = deque(maxlen=_RECENT)
        self._sent = self._received = self._echoed = 0
        self._gaps = self._errors = self._overflows = self._unwritten = 0
        self._flushed_at = -math.inf
        self._flush_owed = False
        self._settling = Settling(index, later, clock, max_pending)

    # Sending.

    def begin(
        self, selectors: Sequence[Selector], updates: Sequence[Update], settle: float
    ) -> Operation:
        """See `InvalidationLog.begin`."""
        updates = tuple(riding(update) for update in updates)
        chosen = tuple(checked_selector(selector) for selector in selectors)
        keys = tuple(Selector("key", update.key) for update in updates)
        self.index.begin(chosen + keys)
        if settle > 0:
            self._settling.hold(chosen, settle)
        if self._collapsed():
            return Operation(token_hex(8), self.index.born(), (ALL,), (), self._unsent[ALL])
        return Operation(token_hex(8), self.index.born(), chosen, updates, settle)

    def be_alone(self) -> None:
        """Begin a history of this node's own, with no other node to inform."""
        self.index.enter(token_hex(16), 0)
        self.last = ""
        self.epoch += 1
        self.index.acknowledge(list(self.index.pending()), self.index.fence)
        self._unsent.clear()
        self.index.trust()

    def forget(self) -> None:
        """Invalidate everything filled, or being filled, before this moment; on this node alone."""
        self.index.begin((ALL,))
        self.index.acknowledge((ALL,), self.index.fence)
        self._flush("unwritten")

    def begin_alone(
        self, selectors: Sequence[Selector], updates: Sequence[Update], settle: float
    ) -> Operation:
        """Begin an operation and apply it at once."""
        operation = self.begin(selectors, updates, settle)
        for body in self.bodies(operation):
            prev = self.last or ""
            record = Record(self.index.seq + 1, self.index.gen, prev, operation.id, body)
            self.sending(operation.id)
            self.read(record)
        self.sent(operation, self.epoch)
        return operation

    def _collapsed(self) -> bool:
        """Turn what is pending into "everything" if it is too much; whether it was."""
        if self.index.crowded:
            self._unite_globs()
        if self.index.pending_count <= self._max_pending and not self.index.crowded:
            return False
        self._overflows += 1
        self.index.collapse()
        self._unsent.clear()
        self._unsent[ALL] = self._settling.left().get(ALL, 0.0)
        return True

    def _unite_globs(self) -> None:
        """Replace queued globs by fewer and wider ones."""
        for narrow, wide in self.index.unite_globs().items():
            settle = self._unsent.pop(narrow, 0.0)
            self._unsent[wide] = max(settle, self._unsent.get(wide, 0.0))

    def bodies(self, operation: Operation) -> Iterator[Body]:
        """The records to write for an operation."""
        return bodies(self.node, operation, self._wall())

    def sending(self, op: str) -> None:
        """The record of this operation is being sent."""
        self._sent_at[op] = self._clock()

    def sent(self, operation: Operation, epoch: int) -> None:
        """The operation is in the log. It stays pending until it is read there.

        Args:
            operation: What was sent.
            epoch: The node's own when sending began. If it has changed since, the record may be in
                the history that was abandoned, and the operation stays queued.
        """
        self._sent += 1
        if epoch != self.epoch:
            return
        for selector in _touched(operation):
            # What was begun after it is not covered by it.
            if self.index.begun(selector) <= operation.fence:
                self._unsent.pop(selector, None)

    def unsent(self, operation: Operation) -> None:
        """The operation may not be in the log: queue what of it is still pending."""
        self._unwritten += 1
        for selector in _touched(operation):
            if self.index.is_pending(selector):
                self._unsent[selector] = max(operation.settle, self._unsent.get(selector, 0.0))

    @property
    def queued(self) -> int:
        """How many selectors are queued to be sent again."""
        return len(self._unsent)

    def resend(self) -> Operation | None:
        """The oldest queued selectors as one operation; None if none is queued.

        It carries the current fence, and so covers all that this node has begun on its selectors.
        """
        if not self._unsent:
            return None
        chosen = [selector for selector, _ in zip(self._unsent, range(_BATCH), strict=False)]
        settle = max(self._unsent[selector] for selector in chosen)
        return Operation(token_hex(8), self.index.born(), tuple(chosen), (), settle)

    def take_new_identity(self) -> None:
        """After a fork: this node, too, sends what the parent had begun."""
        self.node = token_hex(8)
        self._requeue()

    # Reading.

    def read(self, record: Record) -> ReadResult:
        """Apply a record if it is the next one."""
        index = self.index
        if record.gen != index.gen:
            return ReadResult.REPLACED
        if record.seq <= index.seq:
            return ReadResult.DUPLICATE
        if record.seq > index.seq + 1:
            return ReadResult.MISSING
        if self.last is not None and record.prev != self.last:
            return ReadResult.REPLACED
        self.last = record.op
        self._received += 1
        if record.body is None:
            self._apply_unreadable(record.seq)
        else:
            self._apply(record.seq, record.op, record.body)
        return ReadResult.APPLIED

    def _apply(self, seq: int, op: str, body: Body) -> None:
        keys = tuple(Selector("key", update[0]) for update in body.updates)
        selectors = body.selectors + keys
        for selector in body.selectors:
            self._applied[selector.kind] += 1
        if body.updates:
            self._applied["update"] += len(body.updates)
        self._note(seq, body)
        if body.node == self.node:
            self._echo(seq, op, selectors, body.fence)
            return
        # While catching up, a value's age is unknown: it is left to the shared tiers. And that a
        # record is old says nothing of how long records take.
        updates = list(self._still_valid(body)) if self.index.settled else []
        if body.sent is not None and self.index.settled:
            self._took(max(0.0, self._wall() - body.sent), self._other_lags)
        self.index.apply(seq, selectors)
        if body.settle > 0:
            self._settling.hold(body.selectors, body.settle)
        if not selectors and self.asked is not None:
            self.asked()
        if self.listener is None:
            return
        if selectors:
            self.listener.dropped(selectors)
        if updates:
            self.listener.updated(updates, Born(self.index.gen, seq))

    def _note(self, seq: int, body: Body) -> None:
        shown = body.selectors[:_SHOWN]
        more, own = len(body.selectors) - len(shown), body.node == self.node
        noted = Applied(
            seq, body.node, own, self._clock(), shown, more, len(body.updates), body.settle
        )
        self._recent.append(noted)

    def recent(self) -> list[Applied]:
        """The last records applied, oldest first."""
        return list(self._recent)

    def _still_valid(self, body: Body) -> Iterator[Update]:
        """New values that nothing selected between their birth and their record.

        A delayed record may bring a value older than an invalidation that overtook it.
        """
        born = Born(body.gen, body.seq)
        for update in body.updates:
            if self.index.permits_fill(born, update[0], "", "", "", update[3]):
                yield Update(*update)

    def _echo(self, seq: int, op: str, selectors: Sequence[Selector], fence: int) -> None:
        self._echoed += 1
        self._remember(selectors)
        self.index.apply(seq, selectors, own_fence=fence)
        for selector in selectors:
            if not self.index.is_pending(canonical(selector)):
                self._unsent.pop(canonical(selector), None)
        sent_at = self._sent_at.pop(op, None)
        if sent_at is not None:
            self._took(self._clock() - sent_at, self._own_lags)

    def _took(self, seconds: float, lags: Histogram) -> None:
        """A record took so long from its writer to here."""
        self._lags.append(seconds)
        lags.add(seconds)

    def _remember(self, selectors: Sequence[Selector]) -> None:
        """Remember what this node wrote in this generation; too much becomes "everything"."""
        self._written.update(dict.fromkeys(map(canonical, selectors)))
        if ALL in self._written or len(self._written) > self._max_pending:
            self._written = {ALL: None}

    def _apply_unreadable(self, seq: int) -> None:
        """It may select anything, so everything is dropped; at most once a second."""
        self._errors += 1
        self.index.apply(seq, ())
        if self._flush_owed:
            return
        wait = self._flushed_at + MALFORMED_PAUSE - self._clock()
        if wait <= 0:
            self._flush_unreadable()
        else:
            self._flush_owed = True
            self._later(wait, self._flush_unreadable)

    def _flush_unreadable(self) -> None:
        self._flush_owed = False
        self._flushed_at = self._clock()
        self.index.apply(self.index.seq, (ALL,))
        self._flush("unreadable")

    def judge(self, facts: Facts) -> Verdict:
        """How the server's log compares to what this node has applied."""
        index = self.index
        if facts.gen != index.gen:
            return Verdict.OTHER
        if facts.seq < index.seq or (facts.top is not None and facts.top > facts.seq):
            return Verdict.REPLACED
        if facts.seq == index.seq:
            same = self.last is None or facts.last == self.last
            return Verdict.CURRENT if same else Verdict.REPLACED
        if self.last is not None and facts.at is not None and facts.at != self.last:
            return Verdict.REPLACED
        if facts.first is None or facts.first > index.seq + 1:
            return Verdict.LOST
        return Verdict.BEHIND

    def adopt(self, facts: Facts, *, before: int | None = None) -> None:
        """Continue from the oldest record that the log still holds, and drop everything local.

        Args:
            facts: The server's log.
            before: Number of a record beyond a hole in the log: continue from just before it.
        """
        ended = facts.gen != self.index.gen
        cause: FlushCause = "start"
        if self.index.gen:
            self._gaps += 1
            cause = "replaced" if ended else "gap"
        if before is not None:
            position = before - 1
        elif facts.first is not None:
            position = facts.first - 1
        else:
            position = facts.seq
        self.last = facts.last if position == facts.seq else None
        self.index.enter(facts.gen, position)
        self.epoch += 1
        if ended:
            self._begin_again()
        self._requeue()
        self._flush(cause)

    def _begin_again(self) -> None:
        """Repeat in the new generation what this node wrote in the one that ended.

        The new one may be older: while there were two masters, nodes that followed the new one have
        not read what was written to the old one.
        """
        told, self._written = self._written, {}
        if told:
            self.index.begin(told)
            self._collapsed()

    def _requeue(self) -> None:
        left = self._settling.left()
        for selector in self.index.pending():
            self._unsent.setdefault(selector, left.get(selector, 0.0))

    def _flush(self, cause: FlushCause) -> None:
        self._flushes[cause] += 1
        if self.listener is not None:
            self.listener.flushed()

    def rearm(self) -> None:
        """Set the timers again: the earlier ones may belong to a closed event loop."""
        self._settling.rearm()
        if self._flush_owed:
            self._later(0.0, self._flush_unreadable)

    def stats(self) -> InvalidationStats:
        """A frozen reading of the counters."""
        lags = sorted(self._lags)
        return InvalidationStats(
            sent=self._sent,
            received=self._received,
            echoed=self._echoed,
            applied=dict(self._applied),
            gaps=self._gaps,
            flushes=self._flushes.total(),
            processing_errors=self._errors,
            queued=self.queued,
            overflows=self._overflows,
            lag_p50=_share(lags, 0.50),
            lag_p99=_share(lags, 0.99),
            gen=self.index.gen,
            seq=self.index.seq,
            trusted=self.index.settled,
            forgotten=self.index.forgotten,
            send_errors=self._unwritten,
            flush_causes=dict(self._flushes),
            lags={"own": self._own_lags.reading(), "other": self._other_lags.reading()},
            index_selectors=len(self.index),
        )


def checked_selector(selector: Selector) -> Selector:
    """The selector in canonical form.

    Raises:
        InvalidationError: If it can match nothing, or is refused.
    """
    if selector.kind == "glob":
        check_glob(selector.text)
    if not is_short(selector.text):
        raise InvalidationError(
            f"{selector.kind}={selector.text[:80]!r}... is not allowed; expected at most "
            f"{MAX_TEXT} bytes of UTF-8, without lone surrogates"
        )
    return canonical(selector)


def _touched(operation: Operation) -> Iterator[Selector]:
    yield from operation.selectors
    for update in operation.updates:
        yield Selector("key", update.key)


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
