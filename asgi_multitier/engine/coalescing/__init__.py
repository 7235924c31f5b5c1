"""Collapsed forwarding: one run of the origin for all who ask for the same thing at the same time.

A *flight* is one run. It has a task of its own, so nobody's leaving harms the others. Those who
wait for a key are its *herd*, and wait on futures of their own. Invariants:

- A flight is in the table from `open` until it has its answer, and never after.
- A flight is judged as an entry is: by its `born`. A request that arrives after an invalidation
  that selects the flight does not join it, and opens another; the old one goes on for its members.
- However many wait, and for however long, they never run the origin all at once: a run that takes
  too long is followed by one more, which one of them leads; all others go on waiting for either.
- An answer is given once: a result, or the exception of the last run, to every member as if each
  had called. That a run was cancelled is nobody's exception: its members are told so otherwise.
- A run that nobody waits for any more may finish (its result is worth storing), within a limit.

`herd` is who waits, `flight` one run, `table` all of them, `patience` how long one waits, and
`within` what runs inside of what.
"""

from .flight import Flight
from .herd import MayLead, RunCancelled, WaitExpired
from .patience import Patience
from .table import Flights

__all__ = [
    "Flight",
    "Flights",
    "MayLead",
    "Patience",
    "RunCancelled",
    "WaitExpired",
]
