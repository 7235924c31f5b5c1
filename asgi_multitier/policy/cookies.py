"""The cookies of a request: which of them the application sees, and what they are in the key."""

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import TypeAlias

from .._types import Header, Headers
from .headers import without
from .request import Field, FieldLines


def narrowed(
    found: FieldLines, *, named: Collection[str], ignored: bool | Sequence[str]
) -> FieldLines:
    """What was found, with only some of its cookies, on one line.

    Args:
        found: What the scan found.
        named: The cookies to keep; empty for all that are not ignored.
        ignored: The cookies to leave out.
    """
    lines = found.get(Field.COOKIE)
    if lines is None:
        return found
    cookies = kept_cookies(lines, named=named, ignored=ignored)
    others: FieldLines = {f: given for f, given in found.items() if f != Field.COOKIE}
    return {**others, Field.COOKIE: [(b"cookie", cookies)]} if cookies else others


def with_cookies_of(found: FieldLines, headers: Headers) -> Headers:
    """A request's field lines, lower-case, with the cookies that are left of what was found."""
    return (*without(headers, {b"cookie"}), *found.get(Field.COOKIE, ()))


def kept_cookies(
    lines: Sequence[Header], *, named: Collection[str] = (), ignored: bool | Sequence[str] = False
) -> bytes:
    """The Cookie field with the named cookies, or else those not ignored, in the order sent.

    A part without an equals sign has no name: it is not among the named ones, although an
    application may read it as one, and is ignored only where all are.
    """
    wanted = {name.encode("latin-1") for name in named}
    kept = []
    for part in (part.strip() for _, line in lines for part in line.split(b";")):
        name, equals, _ = part.partition(b"=")
        if wanted:
            keep = bool(equals) and name.strip() in wanted
        else:
            keep = ignored is not True and not (equals and is_ignored(name.strip(), ignored))
        if keep and part:
            kept.append(part)
    return b"; ".join(kept)


def is_ignored(name: bytes, ignored: bool | Sequence[str]) -> bool:
    """Whether a cookie is among these: all if True; a final star stands for any ending."""
    if isinstance(ignored, bool):
        return ignored
    return any(
        name.startswith(one[:-1].encode()) if one.endswith("*") else name == one.encode()
        for one in ignored
    )


def cookie_values(lines: Sequence[Header], name: str) -> list[bytes]:
    """Every value that a cookie of this name has, in order, over all Cookie lines."""
    wanted = name.encode("latin-1")
    values = []
    for _, line in lines:
        for part in line.split(b";"):
            key, equals, value = part.strip().partition(b"=")
            if equals and key.strip() == wanted:
                values.append(value.strip())
    return values


_LONGEST = 2048
_MOST_LINES = 256
_MOST_READERS = 64
"""Bytes of the longest line that is remembered; lines of each reader, and readers."""


Counted: TypeAlias = bytes | tuple[tuple[bytes, ...], ...]
"""What counts of a `Cookie` line."""


class _Lines(dict[bytes, Counted]):
    """What counts of each line, read once: a client sends the same with all of its requests.

    Args:
        read: Reads a line.
    """

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[bytes], Counted]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, line: bytes) -> Counted:
        counted = self._read(line)
        if len(line) <= _LONGEST:
            if len(self) >= _MOST_LINES:
                self.clear()
            self[line] = counted
        return counted


@lru_cache(_MOST_READERS)
def reader(named: tuple[str, ...], ignored: bool | tuple[str, ...]) -> Callable[[bytes], Counted]:
    """What of a `Cookie` line counts.

    Args:
        named: The cookies that count; empty for all that are not ignored.
        ignored: The cookies that do not.

    Returns:
        A function; lines for which it returns the same count as the same.
    """

    def read(line: bytes) -> Counted:
        lines = [(b"cookie", line)]
        if named:
            return tuple(tuple(cookie_values(lines, name)) for name in named)
        return kept_cookies(lines, ignored=ignored)

    return _Lines(read).__getitem__
