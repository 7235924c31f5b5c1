"""Fills: one run of the application on behalf of the cache, and what becomes of it.

A fill makes an attempt and its capture, the capture calls the attempt, the attempt calls `keeping`;
nothing calls back.

    fill        the origin of a run of the engine: asks the application once, or twice
    question    what the application is asked
    attempt     judges one response of the application, and makes what its client gets
    keeping     stores the response and answers the flight; finds variants
    answers     what the members of a flight get
    head        a HEAD that the application answers itself
"""

from .answers import Answer, HeadAnswer, Overtaken, Passed, Personal, StaleStored, Stored
from .fill import Fill
from .head import Head
from .keeping import as_stored
from .question import StoredCandidates

__all__ = [
    "Answer",
    "Fill",
    "Head",
    "HeadAnswer",
    "Overtaken",
    "Passed",
    "Personal",
    "StaleStored",
    "StoredCandidates",
    "Stored",
    "as_stored",
]
