"""Selectors: how an invalidation names what it drops.

A selector is a kind and a text. The reader of an entry asks whether any selector after the entry's
birth selects it, so a selector also covers keys that nobody has seen yet.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import unquote

from ..errors import InvalidationError
from .patterns import check_glob, escape_pattern, fitted, glob_matches

__all__ = [
    "LONG",
    "MAX_TEXT",
    "Kind",
    "Selector",
    "alias_tag",
    "aliased",
    "beginning",
    "check_glob",
    "check_path",
    "escape_pattern",
    "fitted",
    "glob_matches",
    "is_short",
    "shortened",
    "spellings",
]

Kind: TypeAlias = Literal["key", "tag", "route", "path", "prefix", "glob", "all"]

LONG = 128
"""Characters above which a text stands in a log and in an index as its beginning and a digest."""

_ALIAS_MARK = "\x00"
_BEGINNING = 94
_DIGEST_MARK = "\x02"

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
    | glob   | a pattern (`patterns`)   | whose key (values) or path or name (responses) matches |
    | all    | ""                       | all                                                    |
    """

    kind: Kind
    text: str


def shortened(text: str) -> str:
    """The text as it is compared everywhere: a long one as its beginning and 128 bits of BLAKE2b.

    So nobody fills an index or a log with what can be as long as a URL. Shortening twice is
    harmless.
    """
    if len(text) <= LONG:
        return text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return text[:_BEGINNING] + _DIGEST_MARK + digest


def beginning(text: str) -> str | None:
    """What a shortened text began with; None if it is whole."""
    head, mark, digest = (
        text[:_BEGINNING],
        text[_BEGINNING : _BEGINNING + 1],
        text[_BEGINNING + 1 :],
    )
    return head if mark == _DIGEST_MARK and len(digest) == 32 else None


def is_short(text: str) -> bool:
    """Whether a selector may have this text: of a bounded length, and one that can be written."""
    try:
        return len(text.encode()) <= MAX_TEXT
    except UnicodeEncodeError:
        return False


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
            "write '%3F')"
        )
    return path


def alias_tag(path: str) -> str:
    """The first tag of a response that goes by this path too: `/items/007` by `/items/7`."""
    return _ALIAS_MARK + path


def aliased(tags: Sequence[str]) -> str:
    """The other path of a response with these tags, "" if it has none."""
    return tags[0][1:] if tags and tags[0][:1] == _ALIAS_MARK else ""


def spellings(path: str) -> tuple[str, ...]:
    """A path as it was written, and decoded where that is another one.

    Responses have decoded paths, and URLs are often at hand with their percent-encoding.
    """
    return tuple(dict.fromkeys((path, unquote(path))))
