"""What one node knows of the invalidation log, and the one question asked of it: is this valid?

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
selector is a *tombstone*: nobody can tell yet which side of it such an entry was born on.

Invariants
----------
- `view` rises whenever an answer of `permits` may have changed to "no". A reader that noted the
  view at which an entry was permitted need not ask again while it stands.
- Forgetting is always on the safe side: dropping a mark raises `floor`, and what was born before
  the floor counts as invalid. A mark not yet seen back, or held, is never dropped.
- Nothing here awaits, reads a socket or writes a log line; the clock is asked only while untrusted.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from sys import getsizeof
from typing import TypeVar

from .._types import Clock
from ..entry import Born, Entry
from ..selectors import LONG, Selector, aliased, glob_matches, shortened
from ..selectors.patterns import literal_head, literals, united

MAX_SELECTORS = 100_000
MAX_BYTES = 64 * 1024 * 1024
MAX_GLOBS = 256
MAX_DEPTH = 32
"""Cuts of one text that are looked up; a deeper prefix is shortened to so many segments."""

UNTRUSTED_AGE = 5.0
"""Seconds that an entry may be used after it was filled, while the log is not heard of."""

ALL = Selector("all", "")

_MARK_BYTES = 450
"""Bytes that a mark takes beside its text: itself, its numbers, its name and place in the table."""

_CANDIDATES = 32
"""Patterns among which the one is sought that a superfluous one is united with."""

Name = TypeVar("Name", str, tuple[str, str])
"""What a table goes by: a glob's pattern, or a kind and a text."""


class Mark:
    """When a selector last came into force.

    Attributes:
        foreign: Number of the last record of another node, 0 if none.
        own: Number of the last record of this node that was seen back, 0 if none.
        fence: Fills of this node that noted a lower fence are invalid; 0 if none are.
        begun: Fence of this node's last invalidation, 0 if none.
        echoed: Fence that the last own record seen back covered.
        holds: Settling periods that run (see `Index.hold`).
        literal: Of a glob, the text before its first wildcard.
    """

    __slots__ = ("begun", "echoed", "fence", "foreign", "holds", "literal", "own")

    def __init__(self, literal: str = "") -> None:
        self.foreign = 0
        self.own = 0
        self.fence = 0
        self.begun = 0
        self.echoed = 0
        self.holds = 0
        self.literal = literal

    @property
    def pending(self) -> bool:
        """Whether this node's last invalidation has not been seen back in the log."""
        return self.begun > self.echoed

    @property
    def seq(self) -> int:
        """Number of the last record."""
        return max(self.foreign, self.own)

    def join(self, other: "Mark") -> None:
        """Select as late as another mark did."""
        self.foreign = max(self.foreign, other.foreign)
        self.own = max(self.own, other.own)
        self.fence = max(self.fence, other.fence)

    def refuses(self, born: Born) -> bool:
        """Whether an entry that is selected, and was born there, is invalid."""
        if self.holds:
            return True
        if born.fence >= 0:
            return born.seq < self.foreign or born.fence < self.fence
        return born.seq < self.foreign or born.seq < self.own or self.begun > self.echoed


class Index:
    """This node's knowledge of the log: synchronous, bounded, without I/O.

    Args:
        max_selectors: Selectors remembered; beyond it the oldest are forgotten, on the safe side.
        max_bytes: Bytes remembered, Python's own included; as for `max_selectors`.
        max_globs: Globs remembered; beyond it the oldest are cut to a beginning, or united.
        untrusted_age: Seconds that an entry may be used after it was filled, while untrusted.
        clock: Monotonic seconds; the clock of `Entry.filled_at`.

    Attributes:
        view: Rises whenever an entry may have become invalid.
        settled: Whether "permitted" stays true until the view rises. While it is False (untrusted)
            the answer also depends on the time, and must not be noted.
        gen: The generation of the log, "" before it is known.
        seq: Number of the last record applied.
        floor: What was born before this number is invalid.
        fence: How many invalidations this node has begun.
        forgotten: Marks that were forgotten, so that the floor rose.
    """

    __slots__ = (
        "_bytes",
        "_clock",
        "_fence_floor",
        "_globs",
        "_heads",
        "_literals",
        "_marks",
        "_max_bytes",
        "_max_globs",
        "_max_selectors",
        "_pending",
        "_untrusted_age",
        "fence",
        "floor",
        "forgotten",
        "gen",
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
        self.view = 0
        self.settled = True
        self.gen = ""
        self.seq = 0
        self.floor = 0
        self.fence = 0
        self._fence_floor = 0
        self._marks: OrderedDict[tuple[str, str], Mark] = OrderedDict()
        self._globs: OrderedDict[str, Mark] = OrderedDict()
        self._literals: tuple[str, ...] | None = None
        self._pending: dict[Selector, None] = {}
        self._heads = 0
        self._max_selectors = max_selectors
        self._max_bytes = max_bytes
        self._bytes = 0
        self.forgotten = 0
        self._max_globs = max_globs
        self._untrusted_age = untrusted_age
        self._clock = clock

    def __len__(self) -> int:
        return len(self._marks) + len(self._globs)

    def __repr__(self) -> str:
        trust = "" if self.settled else ", untrusted"
        return (
            f"<Index {self.gen[:8] or '-'}:{self.seq} floor {self.floor}, {len(self)} selectors, "
            f"{len(self._pending)} pending{trust}>"
        )

    # The reader's questions.

    def born(self) -> Born:
        """The position and local fence now: what a fill notes before it asks the origin."""
        return Born(self.gen, self.seq, self.fence)

    def permits(self, entry: Entry) -> bool:
        """Whether the entry may be used. Note `view` beside it only if `settled` is True."""
        if not self.settled and self._clock() - entry.filled_at > self._untrusted_age:
            return False
        return self.permits_fill(
            entry.born, entry.key, entry.name, entry.path, entry.route, entry.tags
        )

    def permits_shared(self, entry: Entry) -> bool:
        """Whether an entry just read from a shared tier may be promoted.

        Never while untrusted: there each reading would begin the entry's last seconds anew. Nor
        what was born beyond what this node has applied: no record could ever refuse it before the
        log gets there (`is_ahead`).
        """
        return self.settled and not self.is_ahead(entry.born) and self.permits(entry)

    def is_ahead(self, born: Born) -> bool:
        """Whether something was born where this node has not got to, or where no log ever was."""
        return born.gen == self.gen and born.seq > self.seq

    def permits_fill(
        self, born: Born, key: str, name: str, path: str, route: str, tags: Sequence[str]
    ) -> bool:
        """Whether something born there, of which this is known, is still valid."""
        if born.gen != self.gen or born.seq < self.floor or -1 < born.fence < self._fence_floor:
            return False
        marks = self._marks
        if marks:
            find = marks.get
            mark = find(ALL)
            if mark is not None and mark.refuses(born):
                return False
            for text in (key, name) if name else (key,):
                mark = find(("key", text if len(text) <= LONG else shortened(text)))
                if mark is not None and mark.refuses(born):
                    return False
            for tag in tags:
                mark = find(("tag", tag if len(tag) <= LONG else shortened(tag)))
                if mark is not None and mark.refuses(born):
                    return False
            if route:
                mark = find(("route", route))
                if mark is not None and mark.refuses(born):
                    return False
            if path and self._path_refuses(path, born):
                return False
            if self._heads and self._heads_refuse(born, key, name, path):
                return False
        if self._globs and self._globs_refuse(born, key, name, path):
            return False
        alias = aliased(tags)
        return not alias or self.permits_fill(born, key, name, alias, route, tags[1:])

    def _path_refuses(self, path: str, born: Born) -> bool:
        find = self._marks.get
        mark = find(("path", shortened(path)))
        if mark is not None and mark.refuses(born):
            return True
        for prefix in _prefixes(path):
            mark = find(("prefix", shortened(prefix)))
            if mark is not None and mark.refuses(born):
                return True
        return False

    def _heads_refuse(self, born: Born, key: str, name: str, path: str) -> bool:
        find = self._marks.get
        for text in (path, name) if path else (key, name):
            for head in _heads(text):
                mark = find(("head", head))
                if mark is not None and mark.refuses(born):
                    return True
        return False

    def _globs_refuse(self, born: Born, key: str, name: str, path: str) -> bool:
        if self._literals is None:
            self._literals = tuple({mark.literal for mark in self._globs.values()})
        # One call for all beginnings: most texts begin like none of the globs.
        texts = [text for text in ((path, name) if path else (key, name)) if text]
        if not any(text.startswith(self._literals) for text in texts):
            return False
        for pattern, mark in self._globs.items():
            # The numbers first: an entry younger than the glob need not be matched with it.
            if mark.refuses(born):
                literal = mark.literal
                for text in texts:
                    if text.startswith(literal) and glob_matches(pattern, text):
                        return True
        return False

    # This node's own invalidations.

    def begin(self, selectors: Iterable[Selector]) -> int:
        """Put own selectors into force, before the log has them. Returns the local fence raised."""
        self.fence += 1
        for selector in selectors:
            mark = self._mark(selector)
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
        mark = self._find(selector)
        return mark.begun if mark is not None else 0

    @property
    def pending_count(self) -> int:
        """How many selectors are pending."""
        return len(self._pending)

    @property
    def crowded(self) -> bool:
        """Whether pending globs fill their table: looking through more would slow every reader."""
        return len(self._globs) > self._max_globs

    def acknowledge(self, selectors: Iterable[Selector], fence: int) -> None:
        """What this node had begun on these, up to the fence, is now covered by the log."""
        for selector in selectors:
            selector = canonical(selector)
            mark = self._find(selector)
            if mark is not None:
                mark.echoed = max(mark.echoed, min(fence, mark.begun))
                if not mark.pending:
                    self._pending.pop(selector, None)

    def collapse(self) -> None:
        """Replace all pending selectors by "everything": there are too many to remember."""
        replaced = [selector for selector in self._pending if selector != ALL]
        self.begin((ALL,))
        self.acknowledge(replaced, self.fence)

    def hold(self, selectors: Iterable[Selector]) -> None:
        """Refuse what these select, whenever born, until `release`: their origin is settling."""
        for selector in selectors:
            self._mark(selector).holds += 1
        self.view += 1

    def release(self, selectors: Iterable[Selector]) -> None:
        """End a hold. What this node began to fill during it stays refused."""
        self.fence += 1
        for selector in selectors:
            mark = self._find(canonical(selector))
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
            mark = self._mark(selector)
            if own_fence is None:
                mark.foreign = max(mark.foreign, seq)
            else:
                mark.own = max(mark.own, seq)
        if own_fence is not None:
            self.acknowledge(selectors, own_fence)
        self.seq = seq
        self.view += 1

    def enter(self, gen: str, seq: int) -> None:
        """Go on from another position: what lies before it is unknown, or another history.

        Only marks that are pending or held are kept.
        """
        _keep_live(self._marks)
        _keep_live(self._globs)
        self._bytes = sum(map(_weight, self._marks))
        self._literals = None
        self._heads = 0
        self.gen = gen
        self.seq = seq
        self.floor = seq
        self.view += 1

    def trust(self) -> None:
        """The log has been heard of, up to its end. Makes nothing invalid, so the view stands."""
        self.settled = True

    def distrust(self) -> None:
        """The log has not been heard of for too long."""
        if self.settled:
            self.settled = False
            self.view += 1

    # The tables.

    def _find(self, selector: Selector) -> Mark | None:
        if selector.kind == "glob":
            return self._globs.get(selector.text)
        return self._marks.get(selector)

    def _mark(self, selector: Selector) -> Mark:
        """The selector's mark, moved to the young end."""
        selector = canonical(selector)
        if selector.kind == "glob":
            return self._mark_glob(selector.text)
        return self._mark_exact(selector)

    def _mark_exact(self, name: tuple[str, str]) -> Mark:
        marks = self._marks
        mark = marks.get(name)
        if mark is not None:
            marks.move_to_end(name)
            return mark
        self._bytes += _weight(name)
        if len(marks) >= self._max_selectors or self._bytes > self._max_bytes:
            self._forget_oldest()
        mark = marks[name] = Mark()
        self._heads += name[0] == "head"
        return mark

    def _mark_glob(self, pattern: str) -> Mark:
        globs = self._globs
        mark = globs.get(pattern)
        if mark is not None:
            globs.move_to_end(pattern)
            return mark
        if len(globs) >= self._max_globs:
            self._shorten_oldest_glob()
        mark = globs[pattern] = Mark(literal_head(pattern))
        self._literals = None
        return mark

    def _forget_oldest(self) -> None:
        """Forget the oldest mark that may be forgotten, if any may."""
        marks = self._marks
        for _ in range(len(marks)):
            name, mark = marks.popitem(last=False)
            if mark.pending or mark.holds:
                marks[name] = mark
                continue
            self._raise_floor(mark)
            self._bytes -= _weight(name)
            self._heads -= name[0] == "head"
            if self._bytes <= self._max_bytes:
                return

    def _shorten_oldest_glob(self) -> None:
        """Turn the oldest glob that may go into its head; where it has none, into a wider one."""
        free = [name for name, mark in self._globs.items() if not (mark.pending or mark.holds)]
        if not free:
            return
        oldest, *others = free[: _CANDIDATES + 1]
        mark = self._globs.pop(oldest)
        self._literals = None
        head = _head_of(oldest)
        if head:
            self._mark_exact(("head", head)).join(mark)
            return
        wide = {united(oldest, other): other for other in others}
        best = max(wide, key=literals, default="")
        if not literals(best):
            self._raise_floor(mark)
            return
        other = self._globs.pop(wide[best])
        kept = self._globs.setdefault(best, Mark(literal_head(best)))
        kept.join(mark)
        kept.join(other)

    def unite_globs(self) -> dict[Selector, Selector]:
        """Replace pending globs, two neighbours by one that selects what either does.

        Returns:
            Which was replaced by which; those of which nothing was left in common stay.
        """
        names = sorted(name for name, m in self._globs.items() if m.pending and not m.holds)
        replaced: dict[Selector, Selector] = {}
        for one, other in zip(names[::2], names[1::2], strict=False):
            wide = united(one, other)
            if literals(wide):
                replaced |= {
                    Selector("glob", name): Selector("glob", wide) for name in (one, other)
                }
        marks = {old: self._globs.pop(old.text) for old in replaced}
        for old in replaced:
            del self._pending[old]
        self.begin(dict.fromkeys(replaced.values()))
        for old, wide_selector in replaced.items():
            self._mark(wide_selector).join(marks[old])
        return replaced

    def _raise_floor(self, forgotten: Mark) -> None:
        self.forgotten += 1
        self.floor = max(self.floor, forgotten.seq)
        self._fence_floor = max(self._fence_floor, forgotten.fence)


def canonical(selector: Selector) -> Selector:
    """The selector as the tables know it.

    Prefixes are without a last slash and not too deep, and what is long is shortened.
    """
    kind, text = selector
    if kind == "all":
        return ALL
    if kind in ("route", "glob"):  # as long as the application's own
        return selector
    if kind == "prefix":
        text = text.rstrip("/")
        if text.count("/") > MAX_DEPTH:
            text = "/".join(text.split("/", MAX_DEPTH + 1)[: MAX_DEPTH + 1])
    return (
        selector if text == selector.text and len(text) <= LONG else Selector(kind, shortened(text))
    )


def _weight(name: tuple[str, str]) -> int:
    """Bytes that a mark of this name is accounted for."""
    return _MARK_BYTES + getsizeof(name[1])


def _keep_live(table: OrderedDict[Name, Mark]) -> None:
    """Drop the marks that only the log gave; the numbers of the others are the log's, and go."""
    kept = [(name, mark) for name, mark in table.items() if mark.pending or mark.holds]
    table.clear()
    for name, mark in kept:
        mark.foreign = mark.own = 0
        table[name] = mark


def _prefixes(path: str) -> Iterator[str]:
    """Every prefix selector's text that selects the path: the root `""`, each parent, itself."""
    at = -1
    for _ in range(MAX_DEPTH + 1):
        at = path.find("/", at + 1)
        if at < 0:
            yield path
            return
        yield path[:at]


def _heads(text: str) -> Iterator[str]:
    """The beginnings of the text that end in `/` or `:`, at most `MAX_DEPTH`."""
    found = 0
    for at, character in enumerate(text, 1):
        if character in "/:":
            yield text[:at]
            found += 1
            if found == MAX_DEPTH:
                return


def _head_of(pattern: str) -> str:
    """The literal part of a glob up to its last `/` or `:` that is looked up; "" if none."""
    cuts = list(_heads(literal_head(pattern)))
    return cuts[-1] if cuts else ""
