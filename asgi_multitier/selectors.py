"""Selectors: how an invalidation names what it drops.

A selector is a kind and a text. The reader of an entry asks whether any selector after the entry's
birth selects it, so a selector also covers keys that nobody has seen yet.
"""

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


def glob_matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches, in time linear in the text for each star, without `re`."""
    p = t = 0
    star = resume = -1
    while t < len(text):
        if p < len(pattern) and pattern[p] == "*":
            star, resume, p = p, t, p + 1
        elif p < len(pattern) and (pattern[p] == "?" or pattern[p] == text[t]):
            p, t = p + 1, t + 1
        elif star >= 0:
            resume += 1
            p, t = star + 1, resume
        else:
            return False
    return all(c == "*" for c in pattern[p:])
