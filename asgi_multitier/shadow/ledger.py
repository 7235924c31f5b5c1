"""Takes observations and edits, keeps a bounded part of them, and makes the report.

Of each route whole keys are kept: those of which a hash is small enough, and the bound is lowered
when there are too many. So what is kept of a key is all of it, and no key is chosen for what it
shows. Sums are exact.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from ..config.policy import Policy
from .edits import Edits
from .keeping import FEW, MANY, Kept
from .observation import Edit, Observation
from .record import Shapes, record_of
from .report import Report
from .reporting import RouteEvidence, Snapshot
from .sums import LIFETIMES, Sums

BYTES: Final = 32 << 20
"""Bytes that a ledger may take, unless it is told otherwise."""

OTHERS: Final = "(other routes)"
"""Where observations of further routes are counted when there are too many."""

_NO_RULE: Final = "no-rule"
_CHANGED: Final = frozenset((201, 202, 204, 205, 302, 303))
"""A safe request that is answered so, without a rule, may have changed something nevertheless."""

_ROUTES: Final = 2048
_WHOLE: Final = 1 << 32
_LABEL: Final = 512


@dataclass(slots=True)
class _Route:
    """What is kept of one route.

    Attributes:
        sums: Its figures.
        keys: Its kept keys.
        below: Keys whose hash is below this are kept.
        bytes: What the keys take, about.
        policy: Its rule; None for none.
        ruled: Whether the rule is known.
    """

    sums: Sums = field(default_factory=Sums)
    keys: dict[str, Kept] = field(default_factory=dict)
    below: int = _WHOLE
    bytes: int = 0
    policy: Policy | None = None
    ruled: bool = False


class Ledger:
    """What was observed, in a bounded number of bytes.

    It has no clock: times come with what it is told. It is not safe in several threads; a
    `snapshot` may be read in another one.
    """

    def __init__(self, limit: int = BYTES) -> None:
        """An empty ledger.

        Args:
            limit: Bytes that it may take.
        """
        self._limit = limit
        self._routes: dict[str, _Route] = {}
        self._edits = Edits(limit)
        self._shapes = Shapes()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """What is kept takes so many bytes, about."""
        return self._bytes + self._edits.bytes + _PER_ROUTE * len(self._routes)

    @property
    def _most(self) -> int:
        """Records that may be kept of one key."""
        return MANY if self._bytes < self._limit // 2 else FEW

    def ruled(self, route: str, policy: Policy | None) -> None:
        """Say which rule holds for a route; None for none. Proposals keep its options."""
        known = self._route(route)
        known.policy, known.ruled = policy, True

    def observed(self, one: Observation) -> None:
        """A request was answered."""
        route = self._route(one.route)
        route.sums.add(one)
        if one.answer is None:
            return
        if one.would == _NO_RULE and one.answer.status in _CHANGED:
            self._edits.add(Edit(one.route, one.path[:_LABEL], one.began, one.ended, one.ended))
        kept = route.keys.get(one.key)
        if kept is None:
            if route.below < _WHOLE and _hash(one.key) >= route.below:
                return
            kept = Kept(one.key, one.path[:_LABEL], len(LIFETIMES))
            route.keys[one.key] = kept
            self._grow(route, kept.bytes)
        route.sums.within(kept.filled, one)
        record = record_of(
            one, one.answer, self._shapes, kept.records[-1] if kept.records else None
        )
        kept.size = one.answer.size
        self._grow(route, kept.tagged(one.tags) + kept.add(record, self._most))
        if self.bytes > self._limit:
            self._shrink()

    def edited(self, edit: Edit) -> None:
        """A mutation was answered."""
        self._edits.add(edit)
        if self.bytes > self._limit:
            self._shrink()

    def snapshot(self) -> Snapshot:
        """What is kept now, which stays as it is: its `report` may be made in another thread."""
        return Snapshot(
            tuple(
                RouteEvidence(
                    route=label,
                    sums=route.sums.copy(),
                    keys=tuple(
                        (kept.path, kept.tags, kept.size, tuple(kept.records))
                        for kept in route.keys.values()
                    ),
                    share=route.below / _WHOLE,
                    policy=route.policy,
                    ruled=route.ruled,
                )
                for label, route in self._routes.items()
                if route.sums.requests
            ),
            self._edits.by_route(),
        )

    def report(self) -> Report:
        """What was found so far."""
        return self.snapshot().report()

    def clear(self) -> None:
        """Forget what was observed; rules stay known."""
        for route in self._routes.values():
            route.sums, route.keys, route.below, route.bytes = Sums(), {}, _WHOLE, 0
        self._edits.clear()
        self._shapes.clear()
        self._bytes = 0

    def _route(self, label: str) -> _Route:
        route = self._routes.get(label)
        if route is None:
            if len(self._routes) >= _ROUTES or len(label) > _LABEL:
                return self._routes.setdefault(OTHERS, _Route())
            route = self._routes[label] = _Route()
        return route

    def _grow(self, route: _Route, size: int) -> None:
        route.bytes += size
        self._bytes += size

    def _shrink(self) -> None:
        """Keep half as many keys of the route that takes most, until there is room."""
        self._shapes.clear()
        while self.bytes > self._limit * 7 // 8:
            route = max(self._routes.values(), key=lambda one: one.bytes)
            if not route.keys:
                return
            route.below //= 2
            for key in [key for key in route.keys if _hash(key) >= route.below]:
                self._grow(route, -route.keys.pop(key).bytes)


_PER_ROUTE: Final = 1200


def _hash(key: str) -> int:
    """The same for a key in each process, from 0 to below 2**32."""
    return int.from_bytes(blake2b(key.encode(), digest_size=4).digest())
