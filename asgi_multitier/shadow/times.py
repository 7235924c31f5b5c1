"""Answers that change with time: what happened between two answers, and how long one stays.

A *step* goes from one answer of a key to the next one of the same kind of request. It *changes* or
not. A mutation is the cause of changes if steps with it change and steps without it do not.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from math import log2
from typing import Final

from ..strategy import CacheStrategy
from .bits import Clock, Coin
from .edits import Mutations, related
from .explaining import apart
from .observation import Edit
from .rows import Column, Key, Row
from .sums import LIFETIMES

ENOUGH: Final = 3.0
"""Bits of evidence from which a mutation is a cause; one more for each doubling of mutations."""

_RELATED: Final = 2.0
"""Bits that it counts for a mutation that its path is about the same."""

_NAMELESS: Final = 1.0
"""Bits that each change says at most for mutations without a name.

All that other processes drop is one suspect, also what their audits have found wrong: so it has to
be there again and again."""

_TENTH: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """From one answer of a key to the next one of the same kind of request.

    Attributes:
        key: The key.
        before, row: The two answers.
        since: The first row of the run of equal answers that `before` ends.
        refilled: The last row of that run that would have been stored in place of something that
            does not count any more; None if there is none.
    """

    key: Key
    before: Row
    row: Row
    since: Row
    refilled: Row | None

    @property
    def changes(self) -> bool:
        """Whether the answers differ."""
        return self.before.digest != self.row.digest


def steps_of(keys: Sequence[Key], columns: Sequence[Column]) -> list[list[Step]]:
    """The steps of a route, one list for each key and kind of request."""
    found = []
    for key, groups in apart(keys, columns):
        for places in groups:
            steps: list[Step] = []
            since, refilled = key.rows[places[0]], None
            for at, place in itertools.pairwise(places):
                before, row = key.rows[at], key.rows[place]
                if before.record.refilled:
                    refilled = before
                steps.append(Step(key, before, row, since, refilled))
                if before.digest != row.digest:
                    since, refilled = row, None
            if steps:
                found.append(steps)
    return found


@unique
class Way(Enum):
    """How a mutation may have changed an answer."""

    ABOUT = "about"
    """It is about what the path shows, and lies between the two answers."""

    ANY = "any"
    """It lies between the two answers."""

    LATE = "late"
    """It was answered, and dropped what was stored, before the first of the two."""


@dataclass(frozen=True, slots=True, eq=False)
class Suspect:
    """A mutation that may be the cause of changes.

    Attributes:
        mutations: The mutations of one route.
        way: How they do it.
        bits: The evidence.
        route: Label of the route whose answers change.
    """

    mutations: Mutations
    way: Way
    bits: float
    route: str

    def at(self, step: Step) -> Sequence[Edit]:
        """The mutations that are before a change, in order of time."""
        return edits_at(self.mutations, self.way, self.route, step)


def drops(edit: Edit, key: Key) -> bool:
    """Whether a mutation has dropped the entry of a key: then it is not why that was wrong."""
    named = set(edit.selectors)
    return f"path:{key.path}" in named or any(f"tag:{tag}" in named for tag in key.tags)


def edits_at(mutations: Mutations, way: Way, route: str, step: Step) -> Sequence[Edit]:
    """The mutations of one route by which, in this way, a step may have changed."""
    before, row = step.before.record, step.row.record
    if way is Way.LATE:
        if step.refilled is None:
            return ()
        dropping = mutations.before(step.since.record.began, step.refilled.record.began)
        found = [one for one in dropping if one.selectors]
        about = next((one for one in found[::-1] if related(one, route, step.key.path)), None)
        return found[-1:] if about is None else (about,)
    within = mutations.within(before.began, row.ended)
    if way is Way.ANY:
        return within
    return [one for one in within if related(one, route, step.key.path)]


def suspects(
    route: str, steps: Sequence[Step], mutations: Sequence[Mutations]
) -> tuple[Suspect, ...]:
    """Mutations that are causes of changes, those with most evidence first.

    What one explains is not held against the next one.
    """
    if not any(step.changes for step in steps):
        return ()
    needed = ENOUGH + log2(max(len(mutations), 1))
    found: list[Suspect] = []
    left = list(steps)
    while len(found) < _SUSPECTS:
        taken = {(one.mutations.route, one.way) for one in found}
        near = {id(one): _near(left, one, Way.ANY, route) for one in mutations}
        tried = [
            Suspect(one, way, _bits(left, one, way, route, near), route)
            for one in mutations
            for way in Way
            if (one.route, way) not in taken
        ]
        best = max(tried, key=lambda one: _order(one, left), default=None)
        if best is None or best.bits < needed:
            break
        found.append(best)
        left = [step for step in left if not best.at(step)]
    return tuple(sorted(found, key=lambda one: -one.bits))


def _order(suspect: Suspect, steps: Sequence[Step]) -> tuple[int, bool, float]:
    """The evidence; where that is the same, what puts before what adds, and the nearest."""
    adds = suspect.mutations.route.startswith("POST ")
    return round(suspect.bits), not adds, -_away(suspect, steps)


def _away(suspect: Suspect, steps: Sequence[Step]) -> float:
    """Seconds from the mutation to the answer that has changed, in all."""
    return sum(
        step.row.record.began - found[-1].ended
        for step in steps
        if step.changes and (found := suspect.at(step))
    )


_SUSPECTS: Final = 6
"""Mutations that change one route, at most."""


def _near(steps: Sequence[Step], mutations: Mutations, way: Way, route: str) -> list[bool]:
    return [bool(edits_at(mutations, way, route, step)) for step in steps]


def _bits(
    steps: Sequence[Step],
    mutations: Mutations,
    way: Way,
    route: str,
    near: Mapping[int, Sequence[bool]],
) -> float:
    """The evidence that a mutation is the cause of changes.

    In all steps, or in those with no other mutation, which may have changed something as well.
    """
    there = _near(steps, mutations, way, route)
    if not any(inside and step.changes for inside, step in zip(there, steps, strict=True)):
        return 0.0
    others = [one for key, one in near.items() if key != id(mutations)]
    alone = [at for at in range(len(steps)) if not any(one[at] for one in others)]
    told = _told(steps, there)
    if others and len(alone) > 1:
        told = max(told, _told([steps[at] for at in alone], [there[at] for at in alone]))
    if not mutations.route:
        changes = sum(inside and step.changes for inside, step in zip(there, steps, strict=True))
        return min(told, _NAMELESS * changes)
    return told + (_RELATED if way is Way.ABOUT else 0.0)


def _told(steps: Sequence[Step], with_it: Iterable[bool]) -> float:
    """Bits by which changes are told shorter if one knows where the mutation was."""
    lengths = [max(step.row.record.began - step.before.record.began, 1e-3) for step in steps]
    usual = sorted(lengths)[len(lengths) // 2]
    alone, without, inside = _Alone(), _Alone(), Coin(2.0, 1.0)
    for step, length, there in zip(steps, lengths, with_it, strict=True):
        if not there:
            without.tell(happened=step.changes, apart=length / usual)
        else:
            inside.tell(happened=step.changes)
        alone.tell(happened=step.changes, apart=length / usual)
    return alone.cost - without.cost - inside.cost


class _Alone:
    """The cost of changes without a mutation: with time, or by chance whatever the time."""

    def __init__(self) -> None:
        self._clock, self._coin = Clock(), Coin(0.3, 3.0)

    def tell(self, *, happened: bool, apart: float) -> None:
        """Add a step."""
        self._clock.tell(happened=happened, apart=apart)
        self._coin.tell(happened=happened)

    @property
    def cost(self) -> float:
        """Bits so far."""
        return min(self._clock.cost, self._coin.cost)


def shortest_stay(groups: Iterable[Sequence[Step]], ended: Callable[[Step], bool]) -> float | None:
    """Seconds for which an answer stayed the same at least, before it changed by itself.

    Of ten or more times the tenth part with the shortest is left out.

    Args:
        groups: Steps of each key and kind of request.
        ended: Whether a change is one by itself.
    """
    whole: list[float] = []
    begun: list[float] = []
    for steps in groups:
        came: Step | None = None
        for step in steps:
            if not step.changes:
                continue
            if ended(step):
                seen = max(step.before.record.began - step.since.record.ended, 0.0)
                if came is None:
                    begun.append(seen)
                else:
                    most = step.row.record.ended - came.before.record.began
                    whole.append(max(seen, most / 2))
            came = step
    # Where no answer was seen from its beginning on, what was seen of it has to do.
    stays = sorted(whole or [seen for seen in begun if seen])
    return stays[len(stays) // _TENTH] if stays else None


def longest_seen(groups: Iterable[Sequence[Step]]) -> float:
    """Seconds for which an answer was seen to stay the same, the longest of all."""
    return max(
        (
            step.row.record.began - step.since.record.ended
            for steps in groups
            for step in steps
            if not step.changes
        ),
        default=0.0,
    )


def lifetime_within(seconds: float) -> float | None:
    """The longest lifetime with a name that is not longer; whole seconds below, or None."""
    named = [lifetime for lifetime in LIFETIMES if lifetime <= seconds]
    if named:
        return named[-1]
    return float(int(seconds / 2)) if seconds >= 2 else None


_NAMES: Final = {
    one.seconds: one.name.lower().replace("_", "-")
    for one in (
        CacheStrategy.REAL_TIME,
        CacheStrategy.SHORT_TERM,
        CacheStrategy.MEDIUM_TERM,
        CacheStrategy.LONG_TERM,
    )
}


def in_words(seconds: float) -> str:
    """A lifetime as it is told: `300 s (short-term)`."""
    name = _NAMES.get(seconds)
    return f"{seconds:,.0f} s" + (f" ({name})" if name else "")
