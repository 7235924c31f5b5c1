"""Each wrong answer of a route with its cause."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from .bits import stays
from .edits import Mutations
from .explaining import Chosen, explain, may_explain
from .found import Cause, nameless_last
from .member_names import told_place
from .observation import Edit
from .places import (
    differing,
    is_random,
    leave_out,
    may_be_own,
    never_same,
    random_places,
    seen_enough,
)
from .record import Attribute
from .rows import Key, Row, columns_of, number_epochs
from .tags import Misspelt, misspelt
from .times import (
    ENOUGH,
    Step,
    Suspect,
    Way,
    drops,
    edits_at,
    longest_seen,
    shortest_stay,
    steps_of,
    suspects,
)

_LATER: Final = 2.0
"""Seconds after which what another process drops has been heard of."""

_CONTESTED: Final = 6.0
"""Bits from which a mutation without a name is a cause though an attribute may explain as well."""

Wrong: TypeAlias = tuple[Row, Row | None]
"""A row that would have got a wrong answer, and the one that it comes from, if that is kept."""


@dataclass(slots=True)
class Judged:
    """Wrong answers of one cause.

    Attributes:
        cause: It.
        name: The attribute or the mutation; "" for none.
        wrong: How many.
        bits: The evidence.
        names: The attribute, with those that explain equally.
        place: Where in a JSON text the answers differ; "" where that is not known.
        alone: Whether that place is from two requests that differ in nothing else that explains.
        lag: Seconds from the mutation to the change, the most.
        tag: The misspelt tag.
    """

    cause: Cause
    name: str = ""
    wrong: int = 0
    bits: float = 0.0
    names: tuple[Attribute, ...] = ()
    place: str = ""
    alone: bool = False
    lag: float = 0.0
    tag: Misspelt | None = None


@dataclass(slots=True)
class Judgement:
    """What was found of a route.

    Attributes:
        judged: Its causes, the one with most wrong answers first.
        aged: Answers that differ as the data change by themselves, within a lifetime that fits.
        stay: Seconds for which an answer stays the same at least; None where none has changed.
        seen: Seconds for which an answer was seen to stay the same.
        wrong: Wrong answers that were kept.
    """

    judged: list[Judged] = field(default_factory=list)
    aged: int = 0
    stay: float | None = None
    seen: float = 0.0
    wrong: int = 0


class Judge:
    """Compares what is kept of one route."""

    def __init__(
        self,
        route: str,
        keys: Sequence[Key],
        mutations: Sequence[Mutations],
        known_tags: frozenset[str],
    ) -> None:
        """Find what explains.

        Args:
            route: The label of the route.
            keys: Its rows.
            mutations: All mutations.
            known_tags: Beginnings of the tags that entries of any route carry.
        """
        self._route, self._keys, self._known = route, keys, known_tags
        self._mutations = mutations
        number_epochs(keys, route, mutations)
        self._random = random_places(keys, columns_of)
        leave_out(keys, self._random)
        columns = columns_of(keys)
        self._chosen: list[Chosen] = explain(keys, columns)
        self._groups = steps_of(keys, [one.column for one in self._chosen])
        self._steps = {id(step.row): step for steps in self._groups for step in steps}
        self._edits: dict[int, tuple[Suspect | None, Edit | None]] = {}
        self._suspects = suspects(route, [*self._steps.values()], mutations)
        self._stay = shortest_stay(self._groups, self._ends_alone)
        quiet = self._quiet()
        taken = [one.column for one in self._chosen]
        self._may_explain = may_explain(keys, taken, columns)
        self._by_chance = (
            is_random(quiet)
            and seen_enough(keys)
            and not (never_same(quiet) and may_be_own(keys))
            and not self._may_explain
        )
        self._stays = stays(quiet)
        self._found: dict[tuple[Cause, str], Judged] = {}
        self._at = {
            id(row): (at, place)
            for at, key in enumerate(keys)
            for place, row in enumerate(key.rows)
        }

    def judge(self, wrong: Sequence[Wrong]) -> Judgement:
        """Sort wrong answers by their causes.

        Args:
            wrong: The row that would have got a wrong answer, and the row that the answer comes
                from, if it is kept.
        """
        aged = 0
        for row, source in wrong:
            aged += self._one(row, source)
        for one in self._found.values():
            one.place = told_place(one.place, self._keys)
        judged = sorted(self._found.values(), key=lambda one: (-one.wrong, -one.bits))
        judged = nameless_last(judged)
        return Judgement(judged, aged, self._stay, longest_seen(self._groups), len(wrong))

    def _one(self, row: Row, source: Row | None) -> bool:
        """Find the cause of one wrong answer; whether it has merely aged."""
        if row.served == row.digest:
            place = min(self._random, key=lambda one: (one.count("."), len(one)), default="")
            self._count(Cause.RANDOM, place=place, bits=8.0)
            return False
        differ = self._differing(row, source)
        if differ:
            for one in differ:
                kind, name = one.name
                found = self._count(kind, name, bits=one.bits)
                found.names = one.column.names
                if len(differ) == 1 and not found.alone:
                    found.alone, found.place = True, ""
                self._place(found, row, source)
            return False
        step = self._step(row)
        return self._in_time(step, row, source)

    def _differing(self, row: Row, source: Row | None) -> list[Chosen]:
        """The attributes that explain and in which the two requests differ."""
        if source is None or not self._chosen:
            return []
        at, mine = self._at[id(row)]
        _, its = self._at[id(source)]
        return [
            one for one in self._chosen if one.column.values[at][mine] != one.column.values[at][its]
        ]

    def _step(self, row: Row) -> Step | None:
        """The change from the answer that would have been sent."""
        step = self._steps.get(id(row))
        while step is not None:
            if step.changes and row.served in (step.before.digest, None):
                return step
            before = self._steps.get(id(step.before))
            if before is None:
                return None
            step = before
        return None

    def _in_time(self, step: Step | None, row: Row, source: Row | None) -> bool:
        if step is None:
            self._count(Cause.UNKNOWN)
            return False
        if self._by_chance:
            self._place(self._count(Cause.RANDOM, bits=6.0), row, source)
            return False
        suspect, edit = self._edit(step)
        if suspect is not None and edit is not None:
            if not self._may_be_accused(suspect, edit, step):
                self._count(Cause.UNKNOWN)
                return False
            self._by_edit(suspect, edit, step, row, source)
            return False
        if not self._by_itself(step):
            self._count(Cause.UNKNOWN)
            return False
        if self._stay is not None and row.record.lifetime <= self._stay and row.record.lifetime:
            return True
        self._place(self._count(Cause.LIFETIME, bits=self._stays), row, source)
        return False

    def _edit(self, step: Step) -> tuple[Suspect | None, Edit | None]:
        """The likeliest mutation that may be the cause of a change."""
        found = self._edits.get(id(step))
        if found is None:
            found = self._edits[id(step)] = self._find_edit(step)
        return found

    def _find_edit(self, step: Step) -> tuple[Suspect | None, Edit | None]:
        """One that has not dropped the entry, if there is one."""
        found = [(suspect, edit) for suspect in self._suspects for edit in suspect.at(step)[::-1]]
        for suspect, edit in found:
            if suspect.way is Way.LATE or not drops(edit, step.key):
                return suspect, edit
        return found[0] if found else (None, None)

    def _by_edit(
        self, suspect: Suspect, edit: Edit, step: Step, row: Row, source: Row | None
    ) -> None:
        route = suspect.mutations.route
        if suspect.way is Way.LATE:
            found = self._count(Cause.LATE_COMMIT, route, bits=suspect.bits)
            found.lag = max(found.lag, step.row.record.ended - edit.ended)
            self._place(found, row, source)
            return
        tag = misspelt(edit, step.key.tags, self._known)
        cause = Cause.EDIT if tag is None else Cause.TAG
        found = self._count(cause, route, bits=suspect.bits)
        found.tag = tag
        self._place(found, row, source)

    def _may_be_accused(self, suspect: Suspect, edit: Edit, step: Step) -> bool:
        """Whether a mutation is told as the cause.

        Without a name it may be what an audit elsewhere has dropped, as it was wrong: so it is not
        where it drops the key, nor, on little evidence, where an attribute may explain the same.
        """
        if suspect.mutations.route:
            return True
        if suspect.way is not Way.LATE and drops(edit, step.key):
            return False
        return suspect.bits >= _CONTESTED or not self._may_explain

    def _alone(self, step: Step) -> bool:
        """Whether no mutation is the cause of a change."""
        return self._edit(step)[1] is None

    def _ends_alone(self, step: Step) -> bool:
        """Whether neither a known mutation nor one of another process may have made a change.

        What others have dropped is heard of later than it happens.
        """
        start, end = step.before.record.began, step.row.record.ended + _LATER
        return self._alone(step) and not any(
            one.within(start, end) for one in self._mutations if not one.route
        )

    def _by_itself(self, step: Step) -> bool:
        """Whether answers change with time: equal ones stand together.

        Of a single change that has any mutation near, it is not known.
        """
        if self._stays < ENOUGH:
            return False
        changes = sum(one.changes and self._ends_alone(one) for one in self._steps.values())
        if changes > 1:
            return True
        return self._ends_alone(step) and not any(
            edits_at(one, Way.ANY, self._route, step) for one in self._mutations
        )

    def _quiet(self) -> list[list[int]]:
        """Answers to requests of one kind, cut where a mutation may have changed them."""
        found = []
        for steps in self._groups:
            values = [steps[0].before.digest]
            for step in steps:
                if step.before.epoch != step.row.epoch or not self._alone(step):
                    found.append(values)
                    values = []
                values.append(step.row.digest)
            found.append(values)
        return found

    def _count(self, cause: Cause, name: str = "", *, bits: float = 0.0, place: str = "") -> Judged:
        found = self._found.setdefault((cause, name), Judged(cause, name, place=place))
        found.wrong += 1
        found.bits = max(found.bits, bits)
        return found

    def _place(self, found: Judged, row: Row, source: Row | None) -> None:
        """Say where the two answers differ, unless it was said."""
        served = row.sent or (None if source is None else source.content)
        if not found.place and served is not None:
            found.place = differing(row.content, served, self._random)


def wrong_rows(keys: Sequence[Key]) -> list[Wrong]:
    """The rows that would have got a wrong answer, with the row that it comes from."""
    found: list[Wrong] = []
    for key in keys:
        by_number = {row.record.number: row for row in key.rows}
        for at, row in enumerate(key.rows):
            if not row.record.wrong:
                continue
            source = by_number.get(row.record.hit)
            if source is None:
                served = row.record.served
                digest = None if served is None else served.digest
                source = next(
                    (one for one in reversed(key.rows[:at]) if one.record.content.digest == digest),
                    None,
                )
            found.append((row, source))
    return found


def changed_rows(keys: Sequence[Key]) -> list[Wrong]:
    """Without a cache: the rows whose answer differs from the one before."""
    found: list[Wrong] = []
    for key in keys:
        for before, row in zip(key.rows, key.rows[1:], strict=False):
            if row.record.content.digest != before.record.content.digest:
                row.served = before.digest
                found.append((row, before))
    return found
