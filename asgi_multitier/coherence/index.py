"""What one node knows of the invalidation log: decides whether an entry is valid.

Theory
------
An entry is born at a position (`gen`, `seq`): the last record its filler had applied before it
asked the origin. A record with number s that selects the entry makes it invalid if seq < s: the
fill may have read what the record's writer changed. So validity is a comparison of numbers of one
log, and no clock, lock, delete or order of delivery takes part in it.

A node's own invalidations hold before the log has them. Each raises the local `fence`, and a fill
notes the fence as well. For a fill of this node the fence decides about this node's records (so
that a fill begun after an invalidation stays valid when that record comes back numbered). For an
entry read from a shared tier the number decides, and while the record has not come back the
selector is a *tombstone*: it is unknown yet on which side of it such an entry was born.

Invariants
----------
- `view` rises whenever an answer of `permits` may have changed to "no". A reader that noted the
  view at which an entry was permitted need not check again while it stays the same.
- Forgetting is always on the safe side (`marks`).
- Nothing here awaits, reads a socket or writes a log line; the clock is read only while untrusted.
"""

import time
from collections.abc import Iterable, Iterator, Sequence

from .._types import Clock
from ..entry import Born, Entry
from ..selectors import Selector
from .marks import ALL, MAX_BYTES, MAX_GLOBS, MAX_SELECTORS, Marks, canonical

UNTRUSTED_AGE = 5.0
"""Seconds that an entry may be used after it was filled, while the log is not trusted."""


class Index:
    """This node's knowledge of the log: synchronous, bounded, without I/O.

    Args:
        max_selectors: Selectors remembered; beyond it the oldest are forgotten, on the safe side.
        max_bytes: Bytes remembered, Python's own included; as for `max_selectors`.
        max_globs: Globs remembered; beyond it the oldest are shortened or united.
        untrusted_age: Seconds that an entry may be used after it was filled, while untrusted.
        clock: Monotonic seconds; the clock of `Entry.filled_at`.

    Attributes:
        view: Rises whenever an entry may have become invalid.
        settled: Whether "permitted" stays true until the view rises. While it is False (untrusted)
            the answer also depends on the time, and must not be noted.
        gen: The generation of the log, "" before it is known.
        seq: Number of the last record applied.
        fence: How many invalidations this node has begun.
        marks: The selectors in force.
    """

    __slots__ = (
        "__weakref__",
        "_born",
        "_clock",
        "_pending",
        "_untrusted_age",
        "fence",
        "gen",
        "marks",
        "seq",
        "settled",
        "view",
    )

    def __init__(
        self,
        *,
        max_selectors: int = MAX_SELECTORS,
        max_bytes: int = MAX_BYTES,
        max_globs: int = MAX_GLOBS,
        untrusted_age: float = UNTRUSTED_AGE,
        clock: Clock = time.monotonic,
    ) -> None:
        self.view: int = 0
        self.settled: bool = True
        self.gen: str = ""
        self.seq: int = 0
        self.fence: int = 0
        self._born = Born(self.gen, self.seq, self.fence)
        self.marks: Marks = Marks(max_selectors, max_bytes, max_globs)
        self._pending: dict[Selector, None] = {}
        self._untrusted_age = untrusted_age
        self._clock = clock

    def __len__(self) -> int:
        return len(self.marks)

    def __repr__(self) -> str:
        trust = "" if self.settled else ", untrusted"
        return (
            f"<Index {self.gen[:8] or '-'}:{self.seq} floor {self.floor}, {len(self)} selectors, "
            f"{len(self._pending)} pending{trust}>"
        )

    @property
    def floor(self) -> int:
        """What was born before this number is invalid."""
        return self.marks.floor

    @property
    def forgotten(self) -> int:
        """How many marks were forgotten, so that the floor rose."""
        return self.marks.forgotten

    # The reader's questions.

    def born(self) -> Born:
        """The position and local fence now: what a fill notes before it asks the origin."""
        born = self._born
        if born.seq != self.seq or born.fence != self.fence or born.gen != self.gen:
            born = self._born = Born(self.gen, self.seq, self.fence)
        return born

    def permits(self, entry: Entry) -> bool:
        """Whether the entry may be used. Note `view` with it only if `settled` is True."""
        if not self.settled and self._clock() - entry.filled_at > self._untrusted_age:
            return False
        return self.permits_fill(
            entry.born, entry.key, entry.name, entry.path, entry.route, entry.tags
        )

    def permits_shared(self, entry: Entry) -> bool:
        """Whether an entry just read from a shared tier may be promoted.

        Never while untrusted: each read would restart the entry's last seconds. Nor what was born
        beyond what this node has applied: no record can refuse it before the log gets there
        (`is_ahead`).
        """
        born = entry.born
        return (
            self.settled
            and born.gen == self.gen
            and born.seq <= self.seq
            and not self.marks.refuse(
                born, entry.key, entry.name, entry.path, entry.route, entry.tags
            )
        )

    def is_ahead(self, born: Born) -> bool:
        """Whether something was born at a position that this node has not reached."""
        return born.gen == self.gen and born.seq > self.seq

    def permits_fill(
        self, born: Born, key: str, name: str, path: str, route: str, tags: Sequence[str]
    ) -> bool:
        """Whether something with these names, born there, is still valid."""
        return born.gen == self.gen and not self.marks.refuse(born, key, name, path, route, tags)

    # This node's own invalidations.

    def begin(self, selectors: Iterable[Selector]) -> int:
        """Put own selectors into force, before the log has them. Returns the local fence raised."""
        self.fence += 1
        for selector in selectors:
            mark = self.marks.renewed(selector)
            mark.fence = mark.begun = self.fence
            self._pending[canonical(selector)] = None
        self.view += 1
        return self.fence

    def pending(self) -> Iterator[Selector]:
        """Own selectors in force here that have not been seen back in the log, oldest first."""
        return iter(self._pending)

    def is_pending(self, selector: Selector) -> bool:
        """Whether this selector, in its canonical form, is pending."""
        return selector in self._pending

    def begun(self, selector: Selector) -> int:
        """Fence of this node's last invalidation of a selector in canonical form, 0 if none."""
        mark = self.marks.find(selector)
        return mark.begun if mark is not None else 0

    @property
    def pending_count(self) -> int:
        """How many selectors are pending."""
        return len(self._pending)

    @property
    def crowded(self) -> bool:
        """Whether pending globs fill their table: a longer one would slow every reader."""
        return self.marks.crowded

    def acknowledge(self, selectors: Iterable[Selector], fence: int) -> None:
        """The log now covers what this node had begun on these selectors, up to the fence."""
        for selector in selectors:
            selector = canonical(selector)
            mark = self.marks.find(selector)
            if mark is not None:
                mark.echoed = max(mark.echoed, fence)
                if not mark.pending:
                    self._pending.pop(selector, None)

    def collapse(self) -> None:
        """Replace all pending selectors by "everything", when there are too many to remember."""
        replaced = [selector for selector in self._pending if selector != ALL]
        self.begin((ALL,))
        self.acknowledge(replaced, self.fence)

    def unite_globs(self) -> dict[Selector, Selector]:
        """Replace pending globs, two neighbours at a time, by one that selects what either does.

        Returns:
            Which was replaced by which; those of which nothing would be left in common stay.
        """
        taken = self.marks.unite_pending_globs()
        for narrow in taken:
            del self._pending[narrow]
        self.begin(dict.fromkeys(wide for wide, _ in taken.values()))
        for wide, mark in taken.values():
            self.marks.renewed(wide).join(mark)
        return {narrow: wide for narrow, (wide, _) in taken.items()}

    def hold(self, selectors: Iterable[Selector]) -> None:
        """Refuse what these select, wherever born, until `release`: their origin is settling."""
        for selector in selectors:
            self.marks.renewed(selector).holds += 1
        self.view += 1

    def release(self, selectors: Iterable[Selector]) -> None:
        """End a hold. What this node began to fill during it stays refused."""
        self.fence += 1
        for selector in selectors:
            mark = self.marks.find(canonical(selector))
            if mark is not None and mark.holds:
                mark.holds -= 1
                mark.fence = self.fence
        self.view += 1

    # What comes from the log.

    def apply(self, seq: int, selectors: Sequence[Selector], own_fence: int | None = None) -> None:
        """Apply record `seq`, the one after the last.

        Args:
            seq: Its number.
            selectors: What it selects.
            own_fence: For a record of this node, the local fence that it covers; else None.
        """
        for selector in selectors:
            mark = self.marks.renewed(selector)
            if own_fence is None:
                mark.foreign = max(mark.foreign, seq)
            else:
                mark.own = max(mark.own, seq)
        if own_fence is not None:
            self.acknowledge(selectors, own_fence)
        self.seq = seq
        self.view += 1

    def enter(self, gen: str, seq: int) -> None:
        """Continue from another position: what lies before it is unknown, or another history.

        Only marks that are pending or held are kept.
        """
        self.marks.restart(seq)
        self.gen = gen
        self.seq = seq
        self.view += 1

    def trust(self) -> None:
        """The node is up to date with the log. Makes nothing invalid, so the view stays."""
        self.settled = True

    def look_again(self) -> None:
        """A tier was emptied: no slot that a reader still holds counts as found valid."""
        self.view += 1

    def distrust(self) -> None:
        """There has been no contact with the log for too long."""
        if self.settled:
            self.settled = False
            self.view += 1
