"""Fills: one run of the origin on behalf of the cache, and what becomes of it.

A fill knows one flight. `run` is its life: it asks another process first, then the application.
`attempt` is one time that the application is asked: it judges the answer, has it kept before its
last byte goes out, and releases everybody who waits.

What the application is asked stands in `question`, what the flight's members are told in `answers`,
what is stored and how variants are found in `keeping`, what the leader's client hears in `leader`,
and how other processes hear of it in `sharing`. A HEAD that the application answers as one is in
`head`: what it says of what is stored, and who else may have it.
"""

from .answers import Answer, Heard, Overtaken, Passed, Personal, StaleStored, Stored
from .head import Head
from .question import Stock
from .run import Fill

__all__ = [
    "Answer",
    "Fill",
    "Head",
    "Heard",
    "Overtaken",
    "Passed",
    "Personal",
    "StaleStored",
    "Stock",
    "Stored",
]
