"""Which of many routes may take a path: by the literal text with which all their paths begin."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from .layers import attribute

_BY_PATH = frozenset(
    ("Route.matches", "Mount.matches", "APIRoute.matches", "_EffectiveRouteContext.matches")
)
"""Methods of Starlette and FastAPI that ask the route's `path_regex` first."""

_MODULES = ("starlette.routing", "fastapi.routing")

_HEAD = re.compile(r"\^((?:\\\W|[^\\.^$*+?{}\[\]|()])*)(?:\$|\(\?P<)")
"""The literal text before the first place, or before the end."""


def head_of(matches: Any) -> str:
    """The text with which each path begins that a route takes; "" where that is not known.

    Args:
        matches: The framework's function that says whether the route takes a scope.
    """
    function = getattr(matches, "__func__", None)
    by_path = (
        getattr(function, "__module__", "") in _MODULES
        and getattr(function, "__qualname__", "") in _BY_PATH
    )
    regex = attribute(getattr(matches, "__self__", None), "path_regex")
    if not by_path or not isinstance(regex, re.Pattern) or regex.flags != re.UNICODE:
        return ""
    found = None if "|" in regex.pattern else _HEAD.match(regex.pattern)
    return "" if found is None else re.sub(r"\\(\W)", r"\1", found[1])


class Heads:
    """The places of texts in a list, found by what begins with them.

    Args:
        heads: The texts.
    """

    __slots__ = ("_lengths", "_places")

    def __init__(self, heads: Sequence[str]) -> None:
        self._places: dict[str, list[int]] = {}
        for place, head in enumerate(heads):
            self._places.setdefault(head, []).append(place)
        self._lengths = sorted({len(head) for head in heads})

    def beginning(self, texts: Iterable[str]) -> list[int]:
        """The places of all with which one of the texts begins, in order."""
        found: set[int] = set()
        for text in texts:
            for length in self._lengths:
                if length > len(text):
                    break
                found.update(self._places.get(text[:length], ()))
        return sorted(found)
