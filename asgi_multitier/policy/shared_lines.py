"""Field lines that most responses have in common, kept once for all entries.

A framework makes new objects for each response, and 100,000 entries would hold 100,000 copies of
`content-type: application/json`. What is remembered for that is bounded: so many lines and names,
none of them long. Of fields whose value is a response's own, only the name is shared.
"""

from functools import lru_cache

from .._types import Header, Headers

_LONGEST = 256
"""Bytes of the longest line that is remembered."""

_REMEMBERED = 4096
"""Lines that are remembered, names, and lengths: together 3 MiB at most."""

_OWN = frozenset(
    (
        b"age",
        b"content-digest",
        b"content-location",
        b"date",
        b"etag",
        b"expires",
        b"last-modified",
        b"link",
        b"location",
        b"set-cookie",
    )
)
"""Fields whose values are seldom equal in two responses."""


def shared(headers: Headers) -> Headers:
    """Equal field lines, in the same order, of as many objects of earlier calls as possible.

    Args:
        headers: Normalised field lines.
    """
    return tuple([_shared(line) for line in headers])


def _shared(line: Header) -> Header:
    name, value = line
    if len(name) + len(value) > _LONGEST:
        return line
    if name == b"content-length":
        return _length(line)
    return (_name(name), value) if name in _OWN or name.startswith(b"x-") else _line(line)


@lru_cache(_REMEMBERED)
def _length(line: Header) -> Header:
    """Apart from the others: lengths are many, and each is of few responses."""
    return line


@lru_cache(_REMEMBERED)
def _line(line: Header) -> Header:
    return line


@lru_cache(_REMEMBERED)
def _name(name: bytes) -> bytes:
    return name
