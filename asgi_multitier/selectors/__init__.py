"""Selectors name the entries that an invalidation drops.

A selector consists of a kind and a text. The reader of an entry checks whether a selector that was
recorded after the entry's `born` selects it. So a selector also applies to entries that this
process has never seen.

__init__: `Selector`, and the texts that selectors have
patterns: the language of patterns, and matching
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
"""Characters above which log and index keep a text as its beginning and a digest."""

_ALIAS_MARK = "\x00"
_BEGINNING = 94
_DIGEST_MARK = "\x02"

MAX_TEXT = 8192
"""The most bytes of UTF-8 in one selector; a longer path cannot be cached either."""


class Selector(NamedTuple):
    """One kind of entries to drop.

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
    """The form in which texts are compared: a long one as its beginning and 128 bits of BLAKE2b.

    This bounds the size of index and log, because a text can be as long as a URL. Shortening a
    shortened text returns it unchanged.
    """
    if len(text) <= LONG:
        return text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return text[:_BEGINNING] + _DIGEST_MARK + digest


def beginning(text: str) -> str | None:
    """The beginning of a shortened text; None if the text is not shortened."""
    head, mark, digest = (
        text[:_BEGINNING],
        text[_BEGINNING : _BEGINNING + 1],
        text[_BEGINNING + 1 :],
    )
    return head if mark == _DIGEST_MARK and len(digest) == 32 else None


def is_short(text: str) -> bool:
    """Whether a selector may have this text: valid UTF-8 of at most `MAX_TEXT` bytes."""
    try:
        return len(text.encode()) <= MAX_TEXT
    except UnicodeEncodeError:
        return False


def check_path(path: str) -> str:
    """Return the path if a response may have it, judged by its text alone.

    Deliberate: a path can contain a `?`, sent as `%3F`, but a `?` here is most likely a query
    string. A path has none, so nothing would be dropped. Such a path can be dropped by a pattern.

    Raises:
        InvalidationError: If it does not begin with `/`, or holds a `?`.
    """
    if not path.startswith("/") or "?" in path:
        raise InvalidationError(
            f"path={path[:80]!r} is not allowed; expected a path that begins with '/', without a "
            "query string: the entries of all query strings are dropped (if '?' is part of the "
            "path, write '%3F')"
        )
    return path


def alias_tag(path: str) -> str:
    """The first tag of a response that has this path as well: `/items/7` for `/items/007`."""
    return _ALIAS_MARK + path


def aliased(tags: Sequence[str]) -> str:
    """The second path of a response with these tags; "" if it has none."""
    return tags[0][1:] if tags and tags[0][:1] == _ALIAS_MARK else ""


def spellings(path: str) -> tuple[str, ...]:
    """A path as written, and its percent-decoded form if that differs.

    Responses are stored with decoded paths, while callers often have percent-encoded URLs.
    """
    return tuple(dict.fromkeys((path, unquote(path))))
