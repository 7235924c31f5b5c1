"""Values: how one is looked up, stored and computed.

The same tiers, flights and log as for responses, with a function in the place of the application.
Every call ends in exactly one outcome of `events.Tally`. Values travel as bytes: whoever computes
one keeps his own object, everybody else gets a copy of his own.

What a caller may say is checked in `options` and `names`, and stored bytes are read in `reading`.
`store` is where values lie in the tiers. `computing` answers from there or by a run of the caller's
function: `run` is one run, `caller` one who waits for it.
"""

from ...config.values import ComputeOptions, StoreOptions, compute_policy, store_policy
from .computing import Computing
from .names import MAX_KEY, checked_key, checked_tags, keys_of
from .reading import MISSING, Reader, reader, writer
from .run import Ask
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
