"""What the middleware and the manager share: one cache of one process."""

from dataclasses import dataclass
from typing import Any

from .._types import Clock
from ..coherence.index import Index
from ..coherence.log import InvalidationLog
from ..config.process import CacheConfig
from ..events import Events
from .coalescing import Flights
from .fleet import Leases
from .stack import TierStack


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts, put together by the manager.

    Attributes:
        config: The bounds.
        stack: The tiers.
        flights: The runs of the origin going on.
        log: The invalidation log.
        index: What this node knows of it.
        events: Counters and log lines.
        leases: Who gives leases, for one run in all processes; None where there is no server.
        clock: Monotonic seconds.
        wall: Unix seconds.
    """

    config: CacheConfig
    stack: TierStack
    flights: Flights[Any]
    log: InvalidationLog
    index: Index
    events: Events
    leases: Leases | None
    clock: Clock
    wall: Clock
