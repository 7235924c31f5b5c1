"""Which content codings a request accepts (RFC 9110 §12.5.3), and which of them it prefers.

What refuses a coding counts however badly it is written, and what permits one counts only where it
is well-formed: no client gets a coding that it may not be able to read. Without a coding every
client gets what the application alone would have sent.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from .._types import Headers
from . import headers as fields
from .coding import ACCEPT_ENCODING

IDENTITY = b"identity"
"""No coding: the content as the application made it."""

_ANY = b"*"
_WEIGHTED = re.compile(rb"[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*")
_ALIASES = {b"x-gzip": b"gzip", b"x-compress": b"compress"}
"""Names that mean the same (RFC 9110 §8.4.1)."""

_LONGEST_REMEMBERED = 256
_MOST_REMEMBERED = 1024
"""Bytes of the longest field, and the most fields, for which the result is remembered."""


def accepted(accept_encoding: bytes | None, offered: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The codings that a response to this request may have, the preferred one first.

    Of codings with the same weight, the first that is offered is preferred, and any before
    `IDENTITY`. A request that does not name `IDENTITY` accepts it if nothing better is there.

    Args:
        accept_encoding: The value of `Accept-Encoding`, its lines combined; None where there is no
            such field.
        offered: Lower-case names of the codings that may be made, in the order of preference.

    Returns:
        Members of `offered`, and `IDENTITY` unless it is refused. `IDENTITY` alone where nothing is
        accepted: the client then gets what the application sends to it.
    """
    return accepting(offered)[accept_encoding]


class Accepting(dict[bytes | None, tuple[bytes, ...]]):
    """What `accepted` returns for one offer, by field: browsers send a few values all the time.

    Args:
        offered: As for `accepted`.
    """

    __slots__ = ("_offered",)

    def __init__(self, offered: tuple[bytes, ...]) -> None:
        super().__init__()
        self._offered = offered

    def __missing__(self, accept_encoding: bytes | None) -> tuple[bytes, ...]:
        if accept_encoding is None:
            return (IDENTITY,)
        found = _accepted(accept_encoding, self._offered)
        if len(accept_encoding) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[accept_encoding] = found
        return found


@lru_cache(maxsize=64)
def accepting(offered: tuple[bytes, ...]) -> Accepting:
    """The one `Accepting` of an offer."""
    return Accepting(offered)


def _accepted(accept_encoding: bytes, offered: tuple[bytes, ...]) -> tuple[bytes, ...]:
    weights: dict[bytes, float] = {}
    for coding, weight in _weighted(accept_encoding):
        # Of several weights the lowest counts: one of them may be a refusal.
        weights[coding] = min(weight, weights.get(coding, 1.0))
    others = weights.get(_ANY, 0.0)
    ranked = [(-weights.get(coding, others), at, coding) for at, coding in enumerate(offered)]
    own = weights.get(IDENTITY, weights.get(_ANY))
    found = [one for one in ranked if one[0] < 0]
    if own != 0:
        found.append((-(own or 0.0), len(offered), IDENTITY))
    return tuple(coding for _, _, coding in sorted(found)) or (IDENTITY,)


def _weighted(accept_encoding: bytes) -> Iterator[tuple[bytes, float]]:
    """The codings that are named, each with its weight; 0 where that cannot be read."""
    for member in accept_encoding.lower().split(b","):
        name, semicolon, _ = member.partition(b";")
        coding = name.strip(b" \t")
        coding = _ALIASES.get(coding, coding)
        if not semicolon:
            yield coding, 1.0
            continue
        match = _WEIGHTED.fullmatch(member, len(name))
        if match is not None:
            yield coding, float(match[1])
        elif coding not in (IDENTITY, _ANY):
            yield coding, 0.0


def accept_encoding_of(headers: Headers) -> bytes | None:
    """The value of `Accept-Encoding` in a request's field lines, lower-case names."""
    return fields.combined(headers, ACCEPT_ENCODING)
