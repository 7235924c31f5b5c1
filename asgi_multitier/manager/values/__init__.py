"""Values: how one is looked up, stored and computed.

The same tiers, runs and log as for responses, with a function in the place of the application.
Every call ends in exactly one outcome of `events.Tally`. Values travel as bytes: the caller whose
function ran gets the very object, all others get a copy of their own.

What a caller may say is checked in `names` and `config.values`, stored bytes are read in `reading`.
`store` is where values lie in the tiers. `computing` answers from there or by a run, of which
`computation` is the origin.
"""

from ...config.values import ComputeOptions, StoreOptions, compute_policy, store_policy
from .computation import Ask
from .computing import Computing
from .names import MAX_KEY, checked_key, checked_tags, keys_of
from .reading import MISSING, Reader, reader, writer
from .store import Values

__all__ = [
    "MAX_KEY",
    "MISSING",
    "Reader",
    "Ask",
    "ComputeOptions",
    "Computing",
    "StoreOptions",
    "Values",
    "checked_key",
    "checked_tags",
    "compute_policy",
    "keys_of",
    "reader",
    "store_policy",
    "writer",
]
