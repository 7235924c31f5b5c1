"""Fills: one run of the application on behalf of the cache, and what becomes of it.

`fill` is the origin of a run of the engine. `attempt` is one time that the application is asked: it
judges the answer, has it kept before its last byte goes out, and releases everybody who waits.

What the application is asked stands in `question`, what the flight's members are told in `answers`,
what is stored and how variants are found in `keeping`. An answer to HEAD that speaks of what is
stored is heard by `head`.
"""

from .answers import Answer, Heard, Overtaken, Passed, Personal, StaleStored, Stored
from .fill import Fill
from .head import Head
from .question import StoredCandidates

__all__ = [
    "Answer",
    "Fill",
    "Head",
    "Heard",
    "Overtaken",
    "Passed",
    "Personal",
    "StaleStored",
    "StoredCandidates",
    "Stored",
]
