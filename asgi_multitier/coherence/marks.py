"""The selectors in force, in bounded tables, and whether one of them refuses an entry.

Forgetting is always on the safe side. Dropping a mark raises `floor`: what was born before it
counts as invalid. A mark that is pending or held is never dropped. Globs cost a match each, so
there are few: the oldest is shortened to its literal head, or united with the one most like it.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from sys import getsizeof
from typing import TypeVar

import msgspec

from ..entry import Born
from ..selectors import LONG, Selector, aliased, glob_matches, shortened
from ..selectors.patterns import literal_head, literals, united

MAX_SELECTORS = 100_000
MAX_BYTES = 64 * 1024 * 1024
MAX_GLOBS = 256
MAX_DEPTH = 32
"""Cuts of one text that are looked up; a deeper prefix is shortened to so many segments."""

ALL = Selector("all", "")

_MARK_BYTES = 450
"""Bytes of a mark without its text: the object, its numbers, its name and place in the table."""

_CANDIDATES = 32
"""Globs among which the best partner for uniting the oldest one is searched."""

Name = TypeVar("Name", str, tuple[str, str])
"""The key of a table: a glob's pattern, or a kind and a text."""


class Mark(msgspec.Struct, eq=False):
    """The moments at which a selector last came into force.

    Attributes:
        foreign: Number of the last record of another node, 0 if none.
        own: Number of the last record of this node that was seen back, 0 if none.
        fence: Fills of this node that noted a lower fence are invalid; 0 if none are.
        begun: Fence of this node's last invalidation, 0 if none.
        echoed: Fence that the last own record seen back covered.
        holds: Settling periods that run (see `Index.hold`).
        literal: Of a glob, the text before its first wildcard.
    """

    literal: str = ""
    foreign: int = 0
    own: int = 0
    fence: int = 0
    begun: int = 0
    echoed: int = 0
    holds: int = 0

    @property
    def pending(self) -> bool:
        """Whether this node's last invalidation has not been seen back in the log."""
        return self.begun > self.echoed

    @property
    def seq(self) -> int:
        """Number of the last record."""
        return max(self.foreign, self.own)

    def join(self, other: "Mark") -> None:
        """Cover everything that another mark covers."""
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


class Marks:
    """The marks of one index.

    Args:
        max_selectors: Selectors remembered; beyond it the oldest are forgotten.
        max_bytes: Bytes remembered, Python's own included; as for `max_selectors`.
        max_globs: Globs remembered; beyond it the oldest are shortened or united.

    Attributes:
        exact: Marks of all kinds but globs, by kind and text, the oldest first.
        globs: Marks of globs by pattern, the oldest first.
        floor: What was born before this number is invalid.
        fence_floor: Fills of this node that noted a lower fence are invalid.
        forgotten: Marks that were forgotten, so that the floors rose.
    """

    def __init__(self, max_selectors: int, max_bytes: int, max_globs: int) -> None:
        self.exact: OrderedDict[tuple[str, str], Mark] = OrderedDict()
        self.globs: OrderedDict[str, Mark] = OrderedDict()
        self.floor: int = 0
        self.fence_floor: int = 0
        self.forgotten: int = 0
        self._literals: tuple[str, ...] | None = None
        self._heads = 0
        self._bytes = 0
        self._max_selectors = max_selectors
        self._max_bytes = max_bytes
        self._max_globs = max_globs

    def __len__(self) -> int:
        return len(self.exact) + len(self.globs)

    # Whether one of them refuses.

    def refuse(
        self, born: Born, key: str, name: str, path: str, route: str, tags: Sequence[str]
    ) -> bool:
        """Whether something of this generation, born there, is invalid."""
        if born.seq < self.floor or -1 < born.fence < self.fence_floor:
            return True
        marks = self.exact
        if marks:
            find = marks.get
            mark = find(ALL)
            if mark is not None and mark.refuses(born):
                return True
            for text in (key, name) if name else (key,):
                mark = find(("key", text if len(text) <= LONG else shortened(text)))
                if mark is not None and mark.refuses(born):
                    return True
            for tag in tags:
                mark = find(("tag", tag if len(tag) <= LONG else shortened(tag)))
                if mark is not None and mark.refuses(born):
                    return True
            if route:
                mark = find(("route", route))
                if mark is not None and mark.refuses(born):
                    return True
            if path and self._path_refuses(path, born):
                return True
            if self._heads and self._heads_refuse(born, key, name, path):
                return True
        if self.globs and self._globs_refuse(born, key, name, path):
            return True
        alias = aliased(tags)
        return bool(alias) and self.refuse(born, key, name, alias, route, tags[1:])

    def _path_refuses(self, path: str, born: Born) -> bool:
        find = self.exact.get
        mark = find(("path", shortened(path)))
        if mark is not None and mark.refuses(born):
            return True
        for prefix in _prefixes(path):
            mark = find(("prefix", shortened(prefix)))
            if mark is not None and mark.refuses(born):
                return True
        return False

    def _heads_refuse(self, born: Born, key: str, name: str, path: str) -> bool:
        find = self.exact.get
        for text in (path, name) if path else (key, name):
            for head in _heads(text):
                mark = find(("head", head))
                if mark is not None and mark.refuses(born):
                    return True
        return False

    def _globs_refuse(self, born: Born, key: str, name: str, path: str) -> bool:
        if self._literals is None:
            self._literals = tuple({mark.literal for mark in self.globs.values()})
        # One call for all literal heads: most texts start with none of them.
        texts = [text for text in ((path, name) if path else (key, name)) if text]
        if not any(text.startswith(self._literals) for text in texts):
            return False
        for pattern, mark in self.globs.items():
            # Numbers first: an entry younger than the glob need not be matched with it.
            if mark.refuses(born):
                literal = mark.literal
                for text in texts:
                    if text.startswith(literal) and glob_matches(pattern, text):
                        return True
        return False

    def refusing(
        self, born: Born, key: str, name: str, path: str, route: str, tags: Sequence[str]
    ) -> Iterator[tuple[Selector, Mark]]:
        """All marks for which `refuse` says yes, not the first alone: to tell, not to decide."""
        alias = aliased(tags)
        for selector in dict.fromkeys(
            (
                *_selecting(key, name, path, route, tags),
                *(_selecting(key, name, alias, route, tags[1:]) if alias else ()),
            )
        ):
            mark = self.exact.get(selector)
            if mark is not None and mark.refuses(born):
                yield selector, mark
        for pattern, mark in self.globs.items():
            texts = (path, name, alias) if path else (key, name, alias)
            matching = any(glob_matches(pattern, text) for text in texts if text)
            if matching and mark.refuses(born):
                yield Selector("glob", pattern), mark

    # The tables.

    def find(self, selector: Selector) -> Mark | None:
        """The mark of a selector in canonical form, if there is one."""
        if selector.kind == "glob":
            return self.globs.get(selector.text)
        return self.exact.get(selector)

    def renewed(self, selector: Selector) -> Mark:
        """The mark of a selector, made where there is none, as the youngest."""
        selector = canonical(selector)
        if selector.kind == "glob":
            return self._glob_mark(selector.text)
        return self._exact_mark(selector)

    @property
    def crowded(self) -> bool:
        """Whether globs that may not go fill their table: a longer one would slow every reader."""
        return len(self.globs) > self._max_globs

    def restart(self, floor: int) -> None:
        """Keep the marks that are pending or held; what was born before the floor is invalid."""
        _keep_live(self.exact)
        _keep_live(self.globs)
        self._bytes = sum(map(_weight, self.exact))
        self._literals = None
        self._heads = 0
        self.floor = floor

    def _exact_mark(self, name: tuple[str, str]) -> Mark:
        marks = self.exact
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

    def _glob_mark(self, pattern: str) -> Mark:
        globs = self.globs
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
        """Forget the oldest marks that are neither pending nor held, until the bytes fit."""
        marks = self.exact
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
        """Replace the oldest free glob by its literal head, or unite it with a similar one."""
        free = [name for name, mark in self.globs.items() if not (mark.pending or mark.holds)]
        if not free:
            return
        oldest, *others = free[: _CANDIDATES + 1]
        mark = self.globs.pop(oldest)
        self._literals = None
        head = _head_of(oldest)
        if head:
            self._exact_mark(("head", head)).join(mark)
            return
        wide = {united(oldest, other): other for other in others}
        best = max(wide, key=literals, default="")
        if not literals(best):
            self._raise_floor(mark)
            return
        other = self.globs.pop(wide[best])
        kept = self.globs.setdefault(best, Mark(literal_head(best)))
        kept.join(mark)
        kept.join(other)

    def unite_pending_globs(self) -> dict[Selector, tuple[Selector, Mark]]:
        """Take out pending globs that have much in common, two neighbours at a time.

        Returns:
            For each the wider glob that selects what either does, and the mark taken out. Globs of
            which nothing would be left in common stay.
        """
        names = sorted(name for name, m in self.globs.items() if m.pending and not m.holds)
        found: dict[Selector, tuple[Selector, Mark]] = {}
        for pair in zip(names[::2], names[1::2], strict=False):
            wide = united(*pair)
            if literals(wide):
                for name in pair:
                    found[Selector("glob", name)] = Selector("glob", wide), self.globs.pop(name)
        return found

    def _raise_floor(self, forgotten: Mark) -> None:
        self.forgotten += 1
        self.floor = max(self.floor, forgotten.seq)
        self.fence_floor = max(self.fence_floor, forgotten.fence)


def canonical(selector: Selector) -> Selector:
    """The form of a selector in which the tables hold it.

    Prefixes have no trailing slash and a bounded depth; long texts are shortened.
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


def _selecting(
    key: str, name: str, path: str, route: str, tags: Sequence[str]
) -> Iterator[Selector]:
    """The selectors of all kinds but globs that select something, in canonical form."""
    yield ALL
    for text in (key, name) if name else (key,):
        yield Selector("key", shortened(text))
    for tag in tags:
        yield Selector("tag", shortened(tag))
    if route:
        yield Selector("route", route)
    if path:
        yield Selector("path", shortened(path))
        yield from (Selector("prefix", shortened(prefix)) for prefix in _prefixes(path))
    for text in (path, name) if path else (key, name):
        yield from (Selector("head", head) for head in _heads(text))  # type: ignore[arg-type]


def _weight(name: tuple[str, str]) -> int:
    """Bytes that a mark of this name is accounted for."""
    return _MARK_BYTES + getsizeof(name[1])


def _keep_live(table: OrderedDict[Name, Mark]) -> None:
    """Drop the marks that came from the log alone; the others lose the numbers of that log."""
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
