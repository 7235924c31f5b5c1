"""Names of members of JSON texts: which of them may be told.

A name that is in nearly all answers of a route belongs to their form. Another one may be data: an
object by users has their names in it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from .rows import Key, general

_MOST: Final = 0.9
"""The share of the answers in which a name has to be."""

_SHAPES: Final = 64
"""Lists of names that are looked at: the most frequent ones."""

_STEP: Final = re.compile(r"\$|\.[^.[]+|\[\*\]")


def told_place(place: str, keys: Iterable[Key]) -> str:
    """A place, without names that may be data: `$.balances.*.sum`.

    Args:
        place: The place, without positions in arrays.
        keys: The answers of the route.
    """
    steps = _STEP.findall(place)
    heads = ["".join(steps[: count + 1]) for count in range(len(steps))]
    shapes = Counter(row.content.places for key in keys for row in key.rows)
    found = dict.fromkeys(heads, 0)
    total = 0
    for places, count in shapes.most_common(_SHAPES):
        if places is None:
            continue
        total += count
        for head in _within(places, heads):
            found[head] += count
    known = [found[head] >= _MOST * total for head in heads]
    return "".join(
        step if same or not step.startswith(".") else ".*"
        for step, same in zip(steps, known, strict=True)
    )


def _within(places: Sequence[str], heads: Sequence[str]) -> list[str]:
    """The places that are in a text, also above what stands there."""
    texts = [f"{general(place)}." for place in places]
    return [
        head for head in heads if any(text.startswith((f"{head}.", f"{head}[")) for text in texts)
    ]
