"""The plans that are remembered, in a young and an old generation: full, it forgets the old one.

Most targets are asked in one way, of one host. So a plan is looked up by the raw path and the query
alone, and what else names its target is compared. Another target with the same path and query has
another place, by all that names it.
"""

from typing import TypeAlias

from .._types import Scope
from .kept_plan import HOW, KeptPlan, target_of
from .plan import PlanKey, size_of_target

Half: TypeAlias = tuple[dict[bytes, KeptPlan], dict[PlanKey, KeptPlan]]
"""Plans by path and query, and others by all that names their targets."""


class KeptPlans:
    """A bounded memory of plans.

    Args:
        max_entries: Plans remembered at most.
        max_bytes: Bytes remembered at most, one plan's more.

    Attributes:
        young: By path and query: where a hit looks before it asks `find`.
    """

    __slots__ = (
        "_bytes",
        "_max_bytes",
        "_max_entries",
        "_old",
        "_others",
        "_overlooked",
        "_young",
        "young",
    )

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._young: dict[bytes, KeptPlan] = {}
        self._others: dict[PlanKey, KeptPlan] = {}
        self._old: Half = {}, {}
        self.young = self._young
        self._bytes = 0
        self._max_entries = max_entries // 2
        self._max_bytes = max_bytes // 2
        self._overlooked = 0

    def __len__(self) -> int:
        old, others = self._old
        return len(self._young) + len(self._others) + len(old) + len(others)

    @property
    def overlooks(self) -> bool:
        """Whether a sample of requests is taken."""
        return self._overlooked > 0

    def find(self, scope: Scope, host: bytes | None) -> KeptPlan | None:
        """The plan of a target; None if none is remembered, or the request is one of a sample."""
        if self._overlooked:
            self._overlooked -= 1
            if not self._overlooked:
                self.young = self._young
            return None
        # First where a hit has not looked yet; most targets are not there.
        target = target_of(scope, host)
        if (kept := self._others.get(target)) is not None:
            return kept
        place = _place_of(scope)
        kept = self._young.get(place) if place is not None else None
        if kept is not None and _is_of(kept, scope, host):
            return kept
        old, others = self._old
        kept = old.get(place) if place is not None else None
        if kept is not None and place is not None and _is_of(kept, scope, host):
            del old[place]
        else:
            kept = others.pop(target, None)
        if kept is not None:
            self.remember(scope, host, kept)
        return kept

    def remember(self, scope: Scope, host: bytes | None, kept: KeptPlan) -> None:
        """Remember the plan of a target."""
        place, target = _place_of(scope), target_of(scope, host)
        if place is None or (
            (present := self._young.get(place)) is not None and not _is_of(present, scope, host)
        ):
            if target not in self._others:
                self._make_room(size_of_target(target))
            self._others[target] = kept
            return
        if place not in self._young:
            self._make_room(size_of_target(target))
        self._young[place] = kept

    def _make_room(self, size: int) -> None:
        """Account for a plan; if there is no room, what is young is old from here on."""
        held = len(self._young) + len(self._others)
        if held >= self._max_entries or self._bytes + size > self._max_bytes:
            self._old = self._young, self._others
            self._young, self._others, self._bytes = {}, {}, 0
            self.overlook(0)
        self._bytes += size

    def overlook(self, count: int) -> None:
        """Let the next look-ups find nothing: a sample, whose plans are made once more.

        A look-up that finds something does no work for it.
        """
        self._overlooked = count
        self.young = {} if count else self._young

    def clear(self) -> None:
        """Forget everything."""
        self._young.clear()
        self._others.clear()
        for half in self._old:
            half.clear()
        self._bytes = 0


def _place_of(scope: Scope) -> bytes | None:
    """The raw path and the query as one; None if a server does not give both."""
    raw, query = scope.get("raw_path"), scope.get("query_string")
    if not isinstance(raw, bytes) or not isinstance(query, bytes):
        return None
    return raw + b"?" + query if query else raw


def _is_of(kept: KeptPlan, scope: Scope, host: bytes | None) -> bool:
    """Whether a plan that has the place of a request is that of its target."""
    cut = len(scope["raw_path"]) + 1 if scope["query_string"] else 0
    return (
        kept.path == scope["path"]
        and kept.cut == cut
        and kept.asked == (host, tuple(map(scope.get, HOW)))
    )
