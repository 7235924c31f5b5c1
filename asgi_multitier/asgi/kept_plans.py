"""The plans that are remembered, in a young and an old generation: full, it forgets the old one.

Most targets are asked in one way, of one host. So the plans of each way of asking lie together, by
the raw path and the query alone; those of the last way are at hand. What else names the target is
compared. Another target with the same path and query, which few servers give, has another place, by
all that names it.
"""

from typing import Final, TypeAlias

from .._types import Scope
from .kept_plan import HOW, KeptPlan, target_of
from .plan import PlanKey, size_of_target

Asked: TypeAlias = tuple[bytes | None, tuple[object, ...]]
"""The Host and what `HOW` names, as sent; None where it is absent."""

Places: TypeAlias = dict[bytes, KeptPlan]
"""Plans of one way of asking, by path and query."""

Half: TypeAlias = tuple[dict[Asked, Places], dict[PlanKey, KeptPlan]]
"""Plans by how they are asked, and others by all that names their targets."""

_NONE: Final[tuple[None, Places]] = None, {}
"""No way of asking: nothing is at hand."""

_WAY_BYTES: Final = 400
"""Bytes that the first plan of a way of asking takes besides: clients choose the Host."""


class KeptPlans:
    """A bounded memory of plans.

    Args:
        max_entries: Plans remembered at most.
        max_bytes: Bytes remembered at most, one plan's more.

    Attributes:
        at_hand: How the last target was asked, and the young plans of that way: where a hit looks
            before it asks `of`. One tuple, as threads may read it.
    """

    __slots__ = (
        "_bytes",
        "_max_bytes",
        "_max_entries",
        "_old",
        "_others",
        "_overlooked",
        "_young",
        "_young_count",
        "at_hand",
    )

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._young: dict[Asked, Places] = {}
        self._others: dict[PlanKey, KeptPlan] = {}
        self._old: Half = {}, {}
        self.at_hand: tuple[Asked | None, Places] = _NONE
        self._young_count = 0
        self._bytes = 0
        self._max_entries = max_entries // 2
        self._max_bytes = max_bytes // 2
        self._overlooked = 0

    def __len__(self) -> int:
        old, others = self._old
        return self._young_count + len(others) + sum(map(len, old.values()))

    @property
    def overlooks(self) -> bool:
        """Whether a sample of requests is taken."""
        return self._overlooked > 0

    def of(self, asked: Asked) -> Places:
        """The young plans of a way of asking, which are at hand from here on."""
        places = self._young.get(asked)
        if places is None or self._overlooked:
            return _NONE[1]
        self.at_hand = asked, places
        return places

    def find(self, scope: Scope, host: bytes | None) -> KeptPlan | None:
        """The plan of a target; None if none is remembered, or the request is one of a sample."""
        if self._overlooked:
            self._overlooked -= 1
            return None
        place, asked = _place_of(scope), (host, tuple(map(scope.get, HOW)))
        if place is not None:
            kept = self.of(asked).get(place)
            if kept is not None and _is_of(kept, scope):
                return kept
        target = target_of(scope, host)
        if (kept := self._others.get(target)) is not None:
            return kept
        old, others = self._old
        places = old.get(asked, _NONE[1])
        kept = None if place is None else places.get(place)
        if kept is not None and place is not None and _is_of(kept, scope):
            del places[place]
        else:
            kept = others.pop(target, None)
        if kept is not None:
            self.remember(scope, host, kept)
        return kept

    def remember(self, scope: Scope, host: bytes | None, kept: KeptPlan) -> None:
        """Remember the plan of a target."""
        place, target = _place_of(scope), target_of(scope, host)
        asked = host, tuple(map(scope.get, HOW))
        places = self._young.get(asked, _NONE[1])
        if place is None or ((present := places.get(place)) and not _is_of(present, scope)):
            if target not in self._others:
                self._make_room(size_of_target(target))
            self._others[target] = kept
            return
        if place not in places:
            self._make_room(size_of_target(target) + (0 if places else _WAY_BYTES))
            places = self._young.setdefault(asked, {})  # there may be a new generation
        places[place] = kept

    def _make_room(self, size: int) -> None:
        """Account for a plan; if there is no room, what is young is old from here on."""
        if self._young_count >= self._max_entries or self._bytes + size > self._max_bytes:
            self._old = self._young, self._others
            self._young, self._others, self._young_count, self._bytes = {}, {}, 0, 0
            self.overlook(0)
        self._young_count += 1
        self._bytes += size

    def overlook(self, count: int) -> None:
        """Let the next look-ups find nothing: a sample, whose plans are made once more.

        A look-up that finds something does no work for it.
        """
        self._overlooked = count
        self.at_hand = _NONE

    def clear(self) -> None:
        """Forget everything."""
        self.at_hand = _NONE
        for young_or_old in (self._young, self._old[0]):
            for places in young_or_old.values():
                places.clear()  # another thread may have them at hand
            young_or_old.clear()
        self._others.clear()
        self._old[1].clear()
        self._young_count = self._bytes = 0


def _place_of(scope: Scope) -> bytes | None:
    """The raw path and the query as one; None if a server does not give both."""
    raw, query = scope.get("raw_path"), scope.get("query_string")
    if not isinstance(raw, bytes) or not isinstance(query, bytes):
        return None
    return raw + b"?" + query if query else raw


def _is_of(kept: KeptPlan, scope: Scope) -> bool:
    """Whether a plan that is asked as a request is, and has its place, is that of its target."""
    cut = len(scope["raw_path"]) + 1 if scope["query_string"] else 0
    return kept.path == scope["path"] and kept.cut == cut
