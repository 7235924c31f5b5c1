"""How requests whose fields have the same names meet what targets of one kind have stored: pure.

Which lines count is decided here, once for a list of names and a rule; a hit takes those lines by
their places.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

from .._types import Header
from ..policy.key import names_client, without_client
from ..policy.request import Field
from .kept_plan import Common
from .layout import Layout, Layouts

Read: TypeAlias = Callable[[bytes], object]

Part: TypeAlias = tuple[int, Field | None, Read | None]
"""A line that counts: its place; None if it counts as sent, else its meaning; and what of its value
counts, None if only that it is there."""

_CREDENTIALS: Final = frozenset((Field.AUTHORIZATION, Field.CREDENTIALS))


class Way:
    """How requests of one layout are answered.

    Attributes:
        by_target: Whether nothing selects the stored response but the target.
        by_coding: The same, where it has several content codings.
        at_once: Whether what they select can be said by their fields alone.
        take: Takes the lines that count, of several as a tuple; None if there are none.
        parts: What counts of them.
        place, read: The place of the only such line, and what counts of its value; None if there
            are others, or if it counts as sent.
        size: Bytes that it takes, an estimate.
    """

    __slots__ = ("at_once", "by_coding", "by_target", "parts", "place", "read", "size", "take")

    def __init__(self, common: Common, layout: Layout) -> None:
        nothing_selects = common.not_selecting.issuperset(layout.fields)
        self.by_target: bool = common.alone and nothing_selects
        self.by_coding: bool = common.by_coding and nothing_selects
        parts = _parts(common, layout)
        self.at_once: bool = parts is not None
        self.parts: tuple[Part, ...] = parts or ()
        self.place: int
        self.read: Read | None
        self.place, _, self.read = self.parts[0] if len(self.parts) == 1 else (0, None, None)
        self.take: Callable[[Sequence[Header]], Any] | None = (
            itemgetter(*[place for place, _, _ in self.parts]) if parts else None
        )
        self.size: int = 400 + 150 * len(self.parts)


def _parts(common: Common, layout: Layout) -> tuple[Part, ...] | None:
    """The lines that select a response, in order; None if that cannot be said by them alone."""
    parts: list[Part] = []
    meant = {place: field for field, places in layout.places for place in places}
    for place, name in enumerate(layout.names):
        field, named = meant.get(place), name.lower() in common.fields
        if field is not None and field not in common.not_selecting:
            if not _says(common, field):
                return None
            if not named:
                parts.append((place, *_read(common, field, name)))
        if named:
            parts.append((place, None, None))
    return tuple(parts)


def _says(common: Common, field: Field) -> bool:
    """Whether a field's lines say what they select."""
    if field is Field.COOKIE:
        return not common.positions
    if field in _CREDENTIALS:
        # Without a lifetime the stored response says whether it may be used (RFC 9111 §3.5).
        return common.terms.annotated
    return field is Field.ORIGIN or field is Field.FORWARDED


def _read(common: Common, field: Field, name: bytes) -> tuple[Field | None, Read | None]:
    if field is Field.ORIGIN:
        return field, None  # that it is there is in the key, its value is not
    if field is Field.COOKIE and common.read_cookies is not None:
        return field, common.read_cookies
    if field in _CREDENTIALS and common.asks:
        return field, None
    if field is Field.FORWARDED and names_client(name):
        return field, without_client  # the client selects nothing
    return None, None


def way_of(common: Common, layout: Layout, layouts: Layouts) -> Way:
    """How requests of a layout meet what targets of one kind have stored; it is remembered."""
    way = Way(common, layout)
    layouts.account(way.size)
    layout.ways[common] = way
    return way
