"""Answers that are never the same: which places of a JSON text differ whatever the request."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from .bits import stays
from .explaining import apart, explain, may_explain
from .record import USER, Content
from .rows import Column, Key, Row, general, projected, signature, unique_names

FRESH: Final = 3
"""Pairs of equal requests of which none has equal answers: then they are never the same."""

Columns: TypeAlias = Callable[[Sequence[Key]], list[Column]]

_ROWS: Final = 600
"""Rows that are looked at for each place."""

_TRIED: Final = 24
"""Places for which attributes are looked for."""

CHANCE: Final = 2.0
"""Bits of evidence that answers come by chance."""


def random_places(keys: Sequence[Key], columns_of: Columns) -> frozenset[str]:
    """The places, in arrays without their position, that differ although nothing else does.

    Args:
        keys: The rows.
        columns_of: Finds the attributes that may explain.
    """
    known = _with_places(keys)
    if not known:
        return frozenset()
    read = {id(row): _by_place(row.content) for key in known for row in key.rows}
    alike = [[read[id(row)] for row in rows] for rows in _alike(known)]
    whole = [[read[id(row)] for row in rows] for rows in _stretches(known)]
    places = sorted(_varying(whole), key=lambda one: (one.count("."), one))[:_TRIED]
    doubtful = [one for one in places if is_random(_at(alike, one)) or is_random(_at(whole, one))]
    if not doubtful:
        return frozenset()
    few = _few(known)
    columns, free = columns_of(few), _free(few)
    own = [[read[id(row)] for row in rows] for rows in _of_users(few)]
    return frozenset(
        place
        for place in doubtful
        if _comes_by_chance(
            _only(few, read, place), columns, free=free or never_same(_at(own, place))
        )
    )


def _few(keys: Sequence[Key]) -> list[Key]:
    """So many of the keys as are looked at for each place."""
    found: list[Key] = []
    total = 0
    for key in keys:
        if total >= _ROWS:
            break
        found.append(key)
        total += len(key.rows)
    return found


def _of_users(keys: Sequence[Key]) -> Iterable[list[Row]]:
    """Rows of one user and one key, with no edit between."""
    for key in keys:
        found: dict[tuple[int, int], list[Row]] = {}
        for row in key.rows:
            user = row.record.attributes().get(USER, 0)
            found.setdefault((row.epoch, user), []).append(row)
        yield from (rows for rows in found.values() if len(rows) > 1)


def _comes_by_chance(keys: Sequence[Key], columns: Sequence[Column], *, free: bool) -> bool:
    """Whether a place differs whatever the request, at whatever time.

    Args:
        keys: The rows, compared by that place.
        columns: The attributes that may explain.
        free: Whether it is no answer of each user's own.
    """
    chosen = [one.column for one in explain(keys, columns)]
    told = [
        [row.digest for row in rows]
        for key, groups in apart(keys, chosen)
        for places in groups
        for rows in _stretches([Key(key.path, key.tags, [key.rows[at] for at in places])])
    ]
    if not is_random(told) or (never_same(told) and not free) or not seen_enough(keys):
        return False
    return not may_explain(keys, chosen, columns)


def _with_places(keys: Sequence[Key]) -> list[Key]:
    """The rows of which it is known what stands where, if these are most of those that differ."""
    differing = [key for key in keys if key.differs]
    known = [
        Key(key.path, key.tags, [row for row in key.rows if row.content.places is not None])
        for key in differing
    ]
    if 2 * sum(len(key.rows) for key in known) <= sum(len(key.rows) for key in differing):
        return []
    return [key for key in known if len(key.rows) > 1]


def _varying(groups: Iterable[Sequence[Mapping[str, int]]]) -> set[str]:
    return {
        place
        for rows in groups
        for before, row in itertools.pairwise(rows)
        for place in {*before, *row}
        if before.get(place) != row.get(place)
    }


def _at(groups: Iterable[Sequence[Mapping[str, int]]], place: str) -> list[list[int]]:
    return [[row.get(place, 0) for row in rows] for rows in groups]


def _only(keys: Sequence[Key], read: Mapping[int, Mapping[str, int]], place: str) -> list[Key]:
    """The rows, compared by one place alone."""
    return [
        Key(
            key.path,
            key.tags,
            [replace(row, digest=read[id(row)].get(place, 0)) for row in key.rows],
        )
        for key in keys
    ]


def _alike(keys: Sequence[Key]) -> Iterable[list[Row]]:
    """Rows of equal requests of one key, with no edit between."""
    left_out = unique_names(keys)
    for key in keys:
        groups: dict[tuple[int, tuple[int, ...]], list[Row]] = {}
        for row in key.rows:
            alike = signature(row.record.attributes(), left_out)
            groups.setdefault((row.epoch, alike), []).append(row)
        yield from (rows for rows in groups.values() if len(rows) > 1)


def _stretches(keys: Sequence[Key]) -> Iterable[list[Row]]:
    """Rows of one key, with no edit between."""
    for key in keys:
        found: dict[int, list[Row]] = {}
        for row in key.rows:
            found.setdefault(row.epoch, []).append(row)
        yield from (rows for rows in found.values() if len(rows) > 1)


def is_random(sequences: Sequence[Sequence[int]]) -> bool:
    """Whether answers to equal requests are never the same, or change to and fro.

    Args:
        sequences: Answers in order of time, each sequence without an edit in it.
    """
    return never_same(sequences) or stays(sequences) <= -CHANCE


def seen_enough(keys: Sequence[Key]) -> bool:
    """Whether requests show that their attributes explain nothing: equal ones, or very many."""
    if sum(len(key.rows) for key in keys) >= _MANY:
        return True
    pairs = (pair for rows in _alike(keys) for pair in itertools.pairwise(rows))
    return sum(one.digest != other.digest for one, other in pairs) >= _EQUAL


_MANY: Final = 20
_EQUAL: Final = 2


def may_be_own(keys: Sequence[Key]) -> bool:
    """Whether answers may be each user's own: no user has got several different ones."""
    if _free(keys):
        return False
    return not never_same([[row.digest for row in rows] for rows in _of_users(keys)])


def never_same(sequences: Sequence[Sequence[int]]) -> bool:
    """Whether no two answers of a sequence are the same."""
    told = [values for values in sequences if len(values) > 1]
    fresh = sum(len(values) - 1 for values in told)
    return fresh >= FRESH and all(len(set(values)) == len(values) for values in told)


def _free(keys: Sequence[Key]) -> bool:
    """Whether no request identifies a user, whose own answer each might be."""
    return not any(row.record.attributes().get(USER, 0) for key in keys for row in key.rows)


def _by_place(content: Content) -> dict[str, int]:
    """What stands at each place; those of an array together."""
    if content.places is None or content.values is None:
        return {}
    found: dict[str, int] = {}
    for name, value in zip(content.places, content.values, strict=True):
        place = general(name)
        found[place] = hash((found[place], value)) if place in found else value
    return found


def leave_out(keys: Iterable[Key], places: frozenset[str]) -> None:
    """Compare answers by what is left of them without these places.

    Those of which it is not known what stands where cannot be compared so, and are left out.
    """
    if not places:
        return
    for key in keys:
        key.rows = [row for row in key.rows if row.content.places is not None]
        for row in key.rows:
            row.digest = projected(row.content, places)
            if row.sent is not None:
                row.served = projected(row.sent, places)


def differing(one: Content, other: Content, left_out: frozenset[str]) -> str:
    """The first place in which two answers differ; "" where that is not known."""
    if one.places is None or other.places is None:
        return ""
    mine = dict(zip(one.places, one.values or (), strict=True))
    its = dict(zip(other.places, other.values or (), strict=True))
    places = [
        place
        for place in dict.fromkeys((*mine, *its))
        if mine.get(place) != its.get(place) and general(place) not in left_out
    ]
    return min(map(general, places), key=lambda place: (place.count("."), len(place)), default="")
