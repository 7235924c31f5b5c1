"""The names of a request's field lines, in order, and what follows from them alone.

Clients send the same few lists of names with changing values. So what the names say is found out
once for each list: which lines matter, and (`way`) how requests with such lines meet what a rule
has stored. A hit then reads a few lines by their places.
"""

from collections.abc import Sequence
from typing import Any, Final

from .._types import Header, Scope
from ..policy.request import (
    CHOICES,
    FieldLines,
    Watch,
    range_asked_for,
    scan,
    tag_asked_for,
)
from .names import READERS, names_of

_MAX_BYTES: Final = 1 << 19
"""Bytes of the lists of names that are remembered; then all are forgotten. So for the ways."""

_LONGEST: Final = 4096
"""Bytes of the longest list that is remembered: clients choose the names."""

_READS: Final = 16
"""Of so many requests with lines unlike those before, one is remembered."""

_NOTHING: Final[tuple[None, None, None]] = None, None, None


class Layout:
    """What a list of names says.

    Attributes:
        names: The names, as sent.
        host: The place of the only Host line; None unless there is exactly one.
        places: The places of the other lines that matter, by meaning.
        fields: These meanings.
        whole: Whether the whole response is asked for: there is no condition and no range.
        tag: The place of `If-None-Match`, where that is all that is asked of the answer.
        range: The place of `Range`, likewise.
        ways: How requests with these names meet what targets have stored, by what these have in
            common. Bounded by `Layouts`.
        size: Bytes that it takes, an estimate.
    """

    __slots__ = ("fields", "host", "names", "places", "range", "size", "tag", "ways", "whole")

    def __init__(self, names: tuple[bytes, ...], watch: Watch) -> None:
        # A scan of lines that have their own places as values.
        host, found = scan([(name, b"%d" % place) for place, name in enumerate(names)], watch)
        found = found or {}
        self.names: tuple[bytes, ...] = names
        self.host: int | None = _place(host)
        self.places: Final = tuple(
            (field, tuple(int(place) for _, place in lines)) for field, lines in found.items()
        )
        self.fields: Final = frozenset(found)
        self.whole: bool = CHOICES.isdisjoint(found)
        self.tag: int | None = _place(tag_asked_for(found))
        self.range: int | None = _place(range_asked_for(found))
        self.ways: dict[object, Any] = {}
        self.size: int = _LAYOUT_BYTES + sum(_NAME_BYTES + len(name) for name in names)

    def found(self, headers: Sequence[Header]) -> FieldLines | None:
        """What a scan of a request's lines finds, which have these names."""
        return {
            field: [headers[place] for place in places] for field, places in self.places
        } or None


_LAYOUT_BYTES = 1_000
_NAME_BYTES = 150
"""What a layout takes, and each of its names, besides the text."""


def _place(text: bytes | None) -> int | None:
    return None if text is None else int(text)


class Layouts:
    """Remembers layouts, within bounds.

    Args:
        watch: What fields mean.

    Attributes:
        last: The lines of a request that came shortly before, with its Host and its layout: to
            compare with them takes a tenth of the time that reading the names does. One tuple, as
            threads may read it. Its lines are a copy, which nothing changes: applications edit
            theirs.
        none: The layout of a request without fields.
    """

    __slots__ = ("_bytes", "_known", "_until_kept", "_watch", "_way_bytes", "last", "none")

    def __init__(self, watch: Watch) -> None:
        self.last: tuple[list[Header] | None, bytes | None, Layout | None] = _NOTHING
        self.none: Layout = Layout((), watch)
        self._watch = watch
        self._known: dict[tuple[bytes, ...], Layout] = {}
        self._bytes = 0
        self._way_bytes = 0
        # Where clients differ, a comparison is time lost: so each that differs drops the last one,
        # and each sixteenth takes its place.
        self._until_kept = 1  # the first does

    def __len__(self) -> int:
        return len(self._known)

    def read(self, scope: Scope) -> tuple[bytes | None, Layout]:
        """The Host of a request, None unless there is exactly one line of it; and its layout.

        Lines that can be read once are made a list in the scope: others read them after this.
        """
        headers = scope["headers"]
        if type(headers) is not list:
            headers = scope["headers"] = list(headers)
        count = len(headers)
        names = READERS[count](headers) if count in READERS else names_of(headers)
        try:
            layout = self._known[names]
        except KeyError:
            layout = self._learn(names)
        place = layout.host
        host = None if place is None else headers[place][1]
        self._until_kept -= 1
        if self._until_kept > 0:
            self.last = _NOTHING
        else:
            self._until_kept = _READS
            # Of lines that are lists, which could be edited, the copies equal no other's.
            self.last = list(map(tuple, headers)), host, layout
        return host, layout

    def of(self, headers: Sequence[Header]) -> Layout:
        """The layout of these lines."""
        names = names_of(headers)
        return self._known.get(names) or self._learn(names)

    def _learn(self, names: tuple[bytes, ...]) -> Layout:
        layout = Layout(names, self._watch)
        if sum(map(len, names)) + len(names) <= _LONGEST:
            self._bytes += layout.size
            if self._bytes > _MAX_BYTES:
                self._known.clear()
                self._bytes = layout.size
            self._known[names] = layout
        return layout

    def account(self, size: int) -> None:
        """One more of the ways takes so many bytes; if there is no room, forget the others."""
        if self._way_bytes + size > _MAX_BYTES:
            self.forget_ways()
        self._way_bytes += size

    def forget_ways(self) -> None:
        """Forget all that depends on rules."""
        self._way_bytes = 0
        self.last = _NOTHING
        self.none.ways.clear()
        for layout in list(self._known.values()):
            layout.ways.clear()
