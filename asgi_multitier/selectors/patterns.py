"""The language of patterns, and matching in bounded time without `re`.

`*` matches any number of characters, `/` included; `?` matches exactly one. A backslash before `*`,
`?` or another backslash makes that character literal. All other characters are literal.

A pattern is a sequence of *pieces* separated by stars. It is enough to find the leftmost position
of each piece after the previous one, because a star matches anything in between. A piece is a
sequence of *fragments*, its literal texts between question marks. A piece with several fragments is
first tried at the positions of its longest fragment. If there are too many of these, all positions
of the text are tested together: for each character there is one integer (a *row*) whose bit n is
set if the character is at position n, and the rows, shifted by each character's offset in the
piece, are combined by AND. Each character excludes positions, so few remain after a few characters.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from ..errors import InvalidationError

MAX_PATTERN = 256
"""The most characters in a pattern."""

MAX_STARS = 8

_WILD = "*?"
_ESCAPED = frozenset("*?\\")
_LOOKS = 32
"""Positions that are tried one by one before all positions are tested together."""

_MANY = 256
"""Remaining positions down to which rows are cheaper than trying one by one."""

_WIDTH = 4
"""Bytes per character (UTF-32) where a piece is compared as a whole."""


def escape_pattern(text: str) -> str:
    """Return a pattern that matches exactly this text.

    Use it for the literal parts of a pattern: `f"/users/{escape_pattern(name)}/*"`.
    """
    return "".join("\\" + character if character in _ESCAPED else character for character in text)


def check_glob(pattern: str) -> str:
    """Return the pattern if it is valid.

    Raises:
        InvalidationError: If it is empty, longer than 256 characters or has more than 8 stars.
    """
    if not pattern or not _fits(pattern):
        raise InvalidationError(
            f"pattern={pattern[:80]!r} is not allowed; expected 1 to {MAX_PATTERN} characters "
            f"with at most {MAX_STARS} stars"
        )
    return pattern


def fitted(pattern: str) -> str:
    """The pattern; if it is too long, its beginning and a star, which matches at least as much."""
    if _fits(pattern):
        return pattern
    kept: list[str] = []
    size = stars = 0
    for symbol in symbols(pattern):
        size += len(symbol)
        stars += symbol == "*"
        if size >= MAX_PATTERN or stars == MAX_STARS:
            break
        kept.append(symbol)
    return "".join(kept if kept[-1:] == ["*"] else [*kept, "*"])


@lru_cache(maxsize=1024)
def symbols(pattern: str) -> tuple[str, ...]:
    """The pattern's wildcards, characters, and escaped characters with their backslash.

    A backslash that escapes nothing is returned escaped, so that symbols can be joined again.
    """
    found: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        escapes = character == "\\" and pattern[at + 1 : at + 2] in _ESCAPED
        symbol = pattern[at : at + 2] if escapes else character
        found.append("\\\\" if symbol == "\\" else symbol)
        at += len(symbol)
    return tuple(found)


def literal_head(pattern: str) -> str:
    """The text before the first wildcard, without escapes."""
    head = ""
    for symbol in symbols(pattern):
        if symbol in _WILD:
            break
        head += symbol[-1]
    return head


def literals(pattern: str) -> int:
    """The number of literal characters; a pattern without any matches nearly everything."""
    return sum(symbol not in _WILD for symbol in symbols(pattern))


def united(one: str, other: str) -> str:
    """A pattern that matches whatever either matches: common beginning, a star, common end."""
    left, right = symbols(one), symbols(other)
    head = _common(left, right)
    rest = min(len(left), len(right)) - head
    tail = min(_common(reversed(left), reversed(right)), rest)
    middle = [*left[:head], "*", *left[len(left) - tail :]]
    kept = [
        symbol
        for symbol, before in zip(middle, ["", *middle], strict=False)
        if symbol + before != "**"
    ]
    return fitted("".join(kept))


def glob_matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches; 8 KiB take at most about a millisecond."""
    head, *middle = _pieces(pattern)
    if not middle:
        return len(text) == head.length and head.stands_at(text, 0)
    tail = middle.pop()
    at, end = head.length, len(text) - tail.length
    if end < at or not head.stands_at(text, 0) or not tail.stands_at(text, end):
        return False
    if not middle:
        return True
    rows = _Rows(text)
    for piece in middle:
        at = piece.find(text, at, end, rows)
        if at < 0:
            return False
        at += piece.length
    return True


class _Piece(NamedTuple):
    """The part of a pattern between two stars.

    Attributes:
        length: Number of characters that it matches.
        fragments: Its literal texts between question marks, each with its offset.
        content: The piece as one integer, four bytes per character, 0 for a question mark.
        mask: The bytes of that integer that must be equal.
    """

    length: int
    fragments: tuple[tuple[int, str], ...]
    content: int
    mask: int

    def stands_at(self, text: str, at: int) -> bool:
        """Whether the piece matches at this position; the caller has checked the length."""
        for place, fragment in self.fragments:  # noqa: SIM110  # twice as fast as `all`
            if not text.startswith(fragment, at + place):
                return False
        return True

    def find(self, text: str, start: int, end: int, rows: "_Rows") -> int:
        """The first matching position from `start` that ends by `end`, or -1."""
        last = end - self.length
        if last < start or not self.fragments:
            return start if last >= start else -1
        place, longest = max(self.fragments, key=lambda item: len(item[1]))
        if len(self.fragments) == 1:
            return max(text.find(longest, start + place, last + place + len(longest)) - place, -1)
        at = start
        for _ in range(_LOOKS):
            at = text.find(longest, at + place, last + place + len(longest)) - place
            if at < start or self._fills(rows.data, at):
                return max(at, -1)
            at += 1
        return self._find_in_rows(at, last, rows)

    def _find_in_rows(self, start: int, last: int, rows: "_Rows") -> int:
        """The first matching position from `start` to `last`, by combining rows, or -1."""
        places: dict[str, list[int]] = {}
        for place, fragment in self.fragments:
            for number, character in enumerate(fragment, place):
                places.setdefault(character, []).append(number)
        found = (1 << last + 1) - (1 << start)
        for character, numbers in places.items():
            row = rows.of(character)
            for number in numbers:
                found &= row >> number
            if found.bit_count() <= _MANY:
                break
        return next((at for at in _bits(found) if self._fills(rows.data, at)), -1)

    def _fills(self, data: bytes, at: int) -> bool:
        """Whether the piece matches at this position, by one comparison of all fragments."""
        part = data[_WIDTH * at : _WIDTH * (at + self.length)]
        return _number(part) & self.mask == self.content


class _Rows:
    """The positions of each character of a text, as bit sets that are created on demand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._rows: dict[str, int] = {}
        self._data: bytes | None = None

    @property
    def data(self) -> bytes:
        """The text in UTF-32."""
        if self._data is None:
            self._data = _wide(self._text)
        return self._data

    def of(self, character: str) -> int:
        """The integer whose bit n is set if the character is at position n."""
        if character not in self._rows:
            self._rows[character] = self._row(character)
        return self._rows[character]

    def _row(self, character: str) -> int:
        if character not in self._text:
            return 0
        marked = self._text.replace("\1", "\0").replace(character, "\1")
        return int(marked.encode("latin-1", "replace")[::-1].translate(_ONE), 2)


_ONE = b"01" + b"0" * 254


def _bits(number: int) -> Iterator[int]:
    """The positions of the set bits, from the lowest."""
    digits = f"{number:b}"[::-1]
    at = digits.find("1")
    while at >= 0:
        yield at
        at = digits.find("1", at + 1)


@lru_cache(maxsize=1024)
def _pieces(pattern: str) -> tuple[_Piece, ...]:
    """The pieces of a pattern."""
    pieces: list[list[str]] = [[]]
    for symbol in symbols(pattern):
        if symbol == "*":
            pieces.append([])
        else:
            pieces[-1].append(symbol)
    return tuple(_piece(piece) for piece in pieces)


def _piece(parts: list[str]) -> _Piece:
    fragments: list[tuple[int, str]] = []
    begun = False
    for place, symbol in enumerate(parts):
        if symbol == "?":
            begun = False
        elif begun:
            start, fragment = fragments[-1]
            fragments[-1] = (start, fragment + symbol[-1])
        else:
            fragments.append((place, symbol[-1]))
            begun = True
    texts = "".join("\0" if symbol == "?" else symbol[-1] for symbol in parts)
    mask = b"".join((b"\0" if symbol == "?" else b"\xff") * _WIDTH for symbol in parts)
    return _Piece(len(parts), tuple(fragments), _number(_wide(texts)), _number(mask))


def _wide(text: str) -> bytes:
    return text.encode("utf-32-le", "surrogatepass")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _fits(pattern: str) -> bool:
    if len(pattern) > MAX_PATTERN:
        return False
    return pattern.count("*") <= MAX_STARS or sum(t == "*" for t in symbols(pattern)) <= MAX_STARS


def _common(left: Iterable[str], right: Iterable[str]) -> int:
    """The length of the common beginning."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
