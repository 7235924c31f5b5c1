"""Where in a small JSON text something stands: a digest for each place."""

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from .fingerprints import Fingerprints

MOST: Final = 256
"""Places of a text; of one with more none is told."""

SMALL: Final = 16 * 1024
"""Bytes of the longest text."""

LONGEST: Final = 128
"""Characters of the longest name of a place; of a text with a longer one none is told."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""Names that are told. Another may be data: an address, a number of a customer."""


def places_of(content: bytes, fingerprints: Fingerprints) -> dict[str, int] | None:
    """What stands in each place (`$.items[3].price`), as a digest; None if there is too much.

    Args:
        content: The text.
        fingerprints: Makes the digests.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    found: dict[str, int] = {}
    for place, leaf in _leaves(value):
        if place is None or len(found) >= MOST:
            return None
        # Names that are not told share a place.
        found[place] = found.get(place, 0) ^ fingerprints.of(orjson.dumps(leaf))
    return found


def _leaves(value: Any) -> Iterator[tuple[str | None, Any]]:
    """What stands where; the place is None where its name is too long."""
    left: list[tuple[str, Any]] = [("$", value)]
    while left:
        place, value = left.pop()
        if len(place) > LONGEST:
            # The names of all that lies deeper begin with it: together they could be very long.
            yield None, None
            return
        if isinstance(value, dict) and value:
            below = [(f"{place}{_step(name)}", each) for name, each in value.items()]
        elif isinstance(value, list) and value:
            below = [(f"{place}[{number}]", each) for number, each in enumerate(value[:MOST])]
        else:
            yield place, value
            continue
        left += reversed(below)


def _step(name: str) -> str:
    return f".{name}" if _NAME.fullmatch(name) else ".*"
