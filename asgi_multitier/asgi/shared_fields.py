"""Equal fields of requests as one object: a proxy sends the same to all targets."""

from collections.abc import Collection, Iterable, Sequence

from .._types import Header
from ..policy.request import Field, FieldLines

_MOST = 512
"""Requests whose fields are shared."""

_LONGEST = 512
"""Bytes of the fields of one request that are kept: cookies that do not count are among them."""

_LIKE_NO_OTHER: FieldLines = {}
"""Kept instead of longer ones; a scan never returns it."""


class SharedFields:
    """The fields that plans have at hand."""

    __slots__ = ("_found", "_lines")

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], FieldLines] = {}
        self._lines: dict[tuple[Header, ...], Sequence[Header]] = {}

    def found(self, found: FieldLines, ignored: Collection[Field]) -> FieldLines | None:
        """What the scan found in a request, without some fields; None if nothing else was."""
        kept = {field: lines for field, lines in found.items() if field not in ignored}
        if not kept:
            return None
        if sum(map(_size_of, kept.values())) > _LONGEST:
            return _LIKE_NO_OTHER
        if len(self._found) >= _MOST:
            self._found.clear()
        return self._found.setdefault(tuple((field, *lines) for field, lines in kept.items()), kept)

    def lines(self, lines: Sequence[Header]) -> Sequence[Header]:
        """Some of its lines; they are short."""
        if len(self._lines) >= _MOST:
            self._lines.clear()
        return self._lines.setdefault(tuple(lines), lines)


def _size_of(lines: Iterable[Header]) -> int:
    return sum(len(name) + len(value) for name, value in lines)
