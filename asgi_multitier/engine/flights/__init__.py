"""Collapsed forwarding: one run of the origin for all callers that want the same at the same time.

A *flight* is one run. It has a task of its own, so a caller that leaves does not end it for the
others. The callers that wait for a key are in its *waiting list*, on futures of their own.
Invariants:

- A flight is in the table from `open` until it has its answer, and never after.
- A flight is judged as an entry is: by its `born`. A request that arrives after an invalidation
  that selects the flight does not join it, and opens another; the old one goes on for its members.
- However many wait, and for however long, they never run the origin all at once: a run that takes
  too long is followed by one more, which one of them leads; all others go on waiting for either.
- An answer is given once: a result, or the exception of the last run, to every member as if each
  had called. A cancelled run is not a member's `CancelledError`: it gets `RunCancelled`.
- A run that no caller waits for any more may finish (its result is worth storing), within a limit.

`waiting_list` is the callers that wait, `flight` one run, `table` all runs, `patience` how long a
caller waits, and `nesting` which code is part of which run.
"""

from .flight import Flight
from .patience import Patience
from .table import Flights, waiting_in
from .waiting_list import MayLead, RunCancelled, WaitExpired

__all__ = ["Flight", "Flights", "MayLead", "Patience", "RunCancelled", "WaitExpired", "waiting_in"]
