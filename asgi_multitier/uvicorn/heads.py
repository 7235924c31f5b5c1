"""The heads of responses as uvicorn's protocols write them: one block of bytes for each.

A head is built again each second: `Age`, `Cache-Status` and the lines of the server itself change.
All other lines of a response are checked and joined once.
"""

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

from .._types import Header
from ..asgi.replay import Prepared
from ..policy.framing import is_sendable, is_simply_framed

_CHANGING = 2
"""Lines at the end of a response that change with its age."""

_BESIDES = 400
"""Bytes of one text's place and of the lines it was made of, which are held longer because of it,
beyond twice their text."""


class Heads:
    """Builds heads, and remembers the text of the lines that stay.

    Args:
        max_bytes: Bytes that are remembered at most; then all is forgotten.

    Attributes:
        size: Bytes accounted for, an estimate.
    """

    __slots__ = ("_defaults", "_max_bytes", "_own", "_texts", "size")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._texts: dict[int, tuple[Sequence[Header], int, int, bytes]] = {}
        self._defaults: Sequence[Header] | None = None
        self._own: bytes | None = None
        self.size: int = 0

    def head_of(self, prepared: Prepared, defaults: Sequence[Header]) -> bytes | None:
        """The status line and the field lines, with the empty line after them.

        None where uvicorn would add or refuse something: then its own protocol writes the response.

        Args:
            prepared: The response.
            defaults: What the server puts before its field lines.
        """
        if defaults is not self._defaults:
            self._defaults = defaults
            self._own = _joined(defaults) if is_sendable(defaults) else None
        lines, status, size = prepared.lines, prepared.status, len(prepared.body)
        staying, changing = lines[:-_CHANGING], lines[-_CHANGING:]
        known = self._texts.get(id(prepared))
        # Another one may have the number by now, so what the text was made of is compared.
        if known is None or known[0] != staying or known[1] != status or known[2] != size:
            if not is_simply_framed(status, lines, size):
                return None
            known = (staying, status, size, _joined(staying))
            self._remember(id(prepared), known)
        ends = _ends_of(*changing)
        if self._own is None or ends is None:
            return None
        return b"%b%b%b%b\r\n" % (_status_line(status), self._own, known[3], ends)

    def _remember(self, number: int, known: tuple[Sequence[Header], int, int, bytes]) -> None:
        if (replaced := self._texts.pop(number, None)) is not None:
            self.size -= _BESIDES + 3 * len(replaced[3])
        size = _BESIDES + 3 * len(known[3])
        if self.size + size > self._max_bytes:
            self._texts.clear()
            self.size = 0
        self.size += size
        self._texts[number] = known


def _joined(lines: Sequence[Header]) -> bytes:
    return b"".join([b"%b: %b\r\n" % (name.lower(), value) for name, value in lines])


@lru_cache(4096)
def _ends_of(*lines: Header) -> bytes | None:
    """The text of lines that many responses share; None if they cannot be sent."""
    return _joined(lines) if is_sendable(lines) else None


@lru_cache(512)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()
