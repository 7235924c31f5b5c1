"""Answers that are never the same: which places of a JSON text differ whatever the request."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

from .bits import stays
from .record import USER, Content
from .rows import Key, Row, general, projected, signature, unique_names

FRESH: Final = 3
"""Pairs of equal requests of which none has equal answers: then they are never the same."""

CHANCE: Final = 2.0
"""Bits of evidence that answers come by chance."""


def random_places(keys: Sequence[Key]) -> frozenset[str]:
    """The places, in arrays without their position, that differ although nothing else does."""
    groups = [[_by_place(row.record.content) for row in rows] for rows in _alike(keys)]
    named = {
        place
        for rows in groups
        for before, row in itertools.pairwise(rows)
        for place in {*before, *row}
        if before.get(place) != row.get(place)
    }
    found = {
        place
        for place in named
        if is_random([[row.get(place, 0) for row in rows] for rows in groups])
    }
    return frozenset(found | _always_fresh(keys)) if _free(keys) else frozenset(found)


def _alike(keys: Sequence[Key]) -> Iterable[list[Row]]:
    """Rows of equal requests of one key, with no edit between."""
    left_out = unique_names(keys)
    for key in keys:
        groups: dict[tuple[int, tuple[int, ...]], list[Row]] = {}
        for row in key.rows:
            alike = signature(row.record.attributes(), left_out)
            groups.setdefault((row.epoch, alike), []).append(row)
        yield from (rows for rows in groups.values() if len(rows) > 1)


def is_random(sequences: Iterable[Sequence[int]]) -> bool:
    """Whether answers to equal requests are never the same, or change to and fro.

    Args:
        sequences: Answers in order of time, each sequence without an edit in it.
    """
    told = [values for values in sequences if len(values) > 1]
    fresh = sum(len(values) - 1 for values in told)
    if fresh >= FRESH and all(len(set(values)) == len(values) for values in told):
        return True
    return stays(told) <= -CHANCE


def _free(keys: Sequence[Key]) -> bool:
    """Whether no request identifies a user, whose own answer each might be."""
    return not any(row.record.attributes().get(USER, 0) for key in keys for row in key.rows)


def _always_fresh(keys: Sequence[Key]) -> set[str]:
    """The places that were different in each answer of each key, whatever was asked."""
    pairs, found = 0, None
    for key in keys:
        rows = [_by_place(row.record.content) for row in key.rows]
        names = {name for row in rows for name in row}
        different = {name for name in names if len({row.get(name, 0) for row in rows}) == len(rows)}
        found = different if found is None else found & different
        pairs += len(rows) - 1
    return found if found and pairs > 2 * FRESH else set()


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
    """Compare answers by what is left of them without these places."""
    for key in keys:
        for row in key.rows:
            row.digest = projected(row.record.content, places)
            if row.record.served is not None:
                row.served = projected(row.record.served, places)


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
