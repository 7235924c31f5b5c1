"""Mutations that were told: which of them lie in a stretch of time."""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from .observation import Edit

_EDIT: Final = 400
_SHARE: Final = 16
"""The part of a ledger's bytes that edits may take: one in so many."""

_SELECTORS: Final = 32
_ROUTES: Final = 256


class Edits:
    """The newest mutations of each route, in a bounded number of bytes."""

    def __init__(self, limit: int) -> None:
        """None.

        Args:
            limit: Bytes of the ledger that they belong to.
        """
        self._limit = limit // _SHARE
        self._routes: dict[str, deque[tuple[Edit, int]]] = {}
        self.bytes: int = 0

    def add(self, edit: Edit) -> None:
        """Keep a mutation; the oldest of the route that has most are given up for it."""
        if edit.route not in self._routes and len(self._routes) >= _ROUTES:
            return
        size = _EDIT + len(edit.path) + sum(map(len, edit.selectors[:_SELECTORS]))
        if len(edit.selectors) > _SELECTORS:
            edit = Edit(
                edit.route,
                edit.path,
                edit.began,
                edit.answered,
                edit.ended,
                edit.selectors[:_SELECTORS],
                edit.dropped,
            )
        self._routes.setdefault(edit.route, deque()).append((edit, size))
        self.bytes += size
        while self.bytes > self._limit:
            most = max(self._routes.values(), key=len)
            self.bytes -= most.popleft()[1]

    def clear(self) -> None:
        """Forget them."""
        self._routes.clear()
        self.bytes = 0

    def by_route(self) -> "tuple[Mutations, ...]":
        """What is kept, by route."""
        return tuple(
            Mutations(route, tuple(edit for edit, _ in kept))
            for route, kept in self._routes.items()
            if kept
        )


@dataclass(frozen=True, slots=True, eq=False)
class Mutations:
    """The mutations of one route, in order of time.

    Attributes:
        route: Its label.
        edits: They.
    """

    route: str
    edits: tuple[Edit, ...]
    _ends: Sequence[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.edits, key=lambda edit: edit.ended))
        object.__setattr__(self, "edits", ordered)
        object.__setattr__(self, "_ends", [edit.ended for edit in ordered])

    def within(self, start: float, end: float) -> Sequence[Edit]:
        """Those that were under way at some time after the start and before the end."""
        first = bisect_right(self._ends, start)
        return [edit for edit in self.edits[first : first + _LOOKED] if edit.began < end]

    def before(self, start: float, end: float) -> Sequence[Edit]:
        """Those that ended between the two times, the last ones of many."""
        first, last = bisect_left(self._ends, start), bisect_right(self._ends, end)
        return self.edits[max(first, last - _LOOKED) : last]


_LOOKED: Final = 16
"""Edits of one route that are looked at for one stretch of time."""


def segments(path: str) -> list[str]:
    """The parts of a path that are not empty."""
    return [part for part in path.split("/") if part]


def template_of(route: str) -> str:
    """The path template of a route's label."""
    return route.rpartition(" ")[2]


def parameters(template: str, path: str) -> dict[str, str]:
    """What stands in a path where its template has places; empty where they do not fit."""
    wanted, given = segments(template), segments(path)
    if len(wanted) > len(given):
        return {}
    return {
        part[1:-1].partition(":")[0]: value
        for part, value in zip(wanted, given, strict=False)
        if part.startswith("{") and part.endswith("}")
    }


def related(edit: Edit, route: str, path: str) -> bool:
    """Whether a mutation is about what a path shows, as far as the two paths say.

    With parameters on both sides they have a value in common. Without, their first parts that are
    no parameters are the same.
    """
    own, mine = _about(route, path)
    its, theirs = _about(edit.route, edit.path)
    if own and its:
        return not own.isdisjoint(its)
    return bool(mine) and mine == theirs


@lru_cache(maxsize=1 << 14)
def _about(route: str, path: str) -> tuple[frozenset[str], str]:
    """The parameters in a path, and the first part that is none."""
    template = template_of(route)
    first = next(iter(words(template)), "")
    return frozenset(parameters(template, path).values()), first.rstrip("s")


_PREFIXES: Final = frozenset(["api", "rest", "v1", "v2", "v3", "public", "internal"])


def words(template: str) -> list[str]:
    """The parts of a template that are no places and say something."""
    return [
        part for part in segments(template) if "{" not in part and part.lower() not in _PREFIXES
    ]
