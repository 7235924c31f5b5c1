"""Selectors: how an invalidation names what it drops.

A selector is a kind and a text. The reader of an entry asks whether any selector after the entry's
birth selects it, so a selector also covers keys that nobody has seen yet.
"""

from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from .errors import InvalidationError

Kind: TypeAlias = Literal["key", "tag", "route", "path", "prefix", "glob", "all"]

MAX_GLOB_LENGTH = 256
MAX_GLOB_STARS = 8
MAX_TEXT = 8192
"""Bytes of UTF-8 in one selector; a longer path cannot be cached either."""


class Selector(NamedTuple):
    """One thing to drop.

    | kind   | text                     | selects entries                                        |
    |--------|--------------------------|--------------------------------------------------------|
    | key    | a manager's key, or name | whose key (values) or name (responses) is the text     |
    | tag    | a tag                    | that carry it                                          |
    | route  | a route's identity       | that this route filled                                 |
    | path   | a path                   | of that path, every query string and variant           |
    | prefix | a path                   | of that path and of everything below it                |
    | glob   | a pattern of `*` and `?` | whose key (values) or path or name (responses) matches |
    | all    | ""                       | all                                                    |
    """

    kind: Kind
    text: str


def is_short(text: str) -> bool:
    """Whether a selector may have this text: of a bounded length, and one that can be written."""
    try:
        return len(text.encode()) <= MAX_TEXT
    except UnicodeEncodeError:
        return False


def check_glob(pattern: str) -> str:
    """Return the pattern if it is one that the linear matcher takes.

    `*` stands for any run of characters, `/` included, `?` for one; everything else for itself.

    Raises:
        InvalidationError: If it is empty, longer than 256 characters or has more than 8 stars.
    """
    if not pattern or len(pattern) > MAX_GLOB_LENGTH or pattern.count("*") > MAX_GLOB_STARS:
        raise InvalidationError(
            f"pattern={pattern[:80]!r} is not allowed; expected 1 to {MAX_GLOB_LENGTH} characters "
            f"with at most {MAX_GLOB_STARS} stars"
        )
    return pattern


def check_path(path: str) -> str:
    """Return the path if a response may have it, as far as its text tells.

    Deliberate: a path may hold a `?`, sent as `%3F`, but whoever writes one here means a query
    string, which no path has: nothing would be dropped. A pattern drops the others.

    Raises:
        InvalidationError: If it does not begin with `/`, or holds a `?`.
    """
    if not path.startswith("/") or "?" in path:
        raise InvalidationError(
            f"path={path[:80]!r} is not allowed; expected one that begins with '/', without a "
            "query string: all of a path's are dropped with it (where a '?' is part of the path, "
            "a pattern drops it)"
        )
    return path


def glob_matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches, in time linear in the text for each star, without `re`."""
    head, *middle = _pieces(pattern)
    if not middle:
        return len(text) == len(head) and _stands_at(head, text, 0)
    tail = middle.pop()
    at, end = len(head), len(text) - len(tail)
    if end < at or not _stands_at(head, text, 0) or not _stands_at(tail, text, end):
        return False
    for piece in middle:
        at = _find(piece, text, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


@lru_cache(maxsize=1024)
def _pieces(pattern: str) -> tuple[str, ...]:
    """The parts between stars. Leftmost finds are enough: a star takes any run of characters."""
    return tuple(pattern.split("*"))


def _stands_at(piece: str, text: str, at: int) -> bool:
    if "?" not in piece:
        return text.startswith(piece, at)
    here = text[at : at + len(piece)]
    return len(here) == len(piece) and all(p in ("?", c) for p, c in zip(piece, here, strict=True))


def _find(piece: str, text: str, start: int, end: int) -> int:
    if "?" not in piece:
        return text.find(piece, start, end)
    for at in range(start, end - len(piece) + 1):
        if _stands_at(piece, text, at):
            return at
    return -1
