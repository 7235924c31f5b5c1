"""Texts that are nearly the same, as a misspelt one and the right one are."""

import difflib
from collections.abc import Iterable


def closest(text: str, known: Iterable[str]) -> str | None:
    """The known text that is most like this one; None if none is like it."""
    found = difflib.get_close_matches(text, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
