"""One cache of one process: its parts, and how they are put together."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from .._types import Clock
from ..coherence.index import Index
from ..coherence.log import InvalidationLog
from ..config.process import CacheConfig
from ..events import Events
from ..tiers.base import LocalTier, SharedTier, TierConfig
from .audits import Audits
from .encodings import Encodings
from .fleet import LeaseServer
from .flights import Flights
from .formats import Format
from .mutations import Mutations
from .noting import NotingStack
from .placed import Placed
from .sampling import Doors, Sampler
from .stack import TierStack

if TYPE_CHECKING:
    from ..tracing.traces import Traces

Tier = LocalTier | SharedTier

_AGAIN_SHARE = 8
"""What is read again and again from a shared tier may take one in so many bytes of memory's."""


class Engine:
    """The parts, put together by the manager.

    Args:
        config: The bounds.
        local: The tier in this process, and its place.
        shared: The tiers below it with their places, in ascending level.
        log: The invalidation log.
        leases: Who gives leases, for one run in all processes; None where there is no server.
        namespace: Bound into every entry.
        clock: Monotonic seconds.
        wall: Unix seconds.
        compress_over: Bytes of body above which entries are compressed; None for never.

    Attributes:
        config, log, leases, clock, wall: As given.
        index: What this process knows of the log.
        events: Counters and log lines.
        stack: The tiers.
        encodings: Contents of responses in other codings.
        flights: The runs of the origin going on.
        doors: Show what answers hits, to those who look at some of them.
        sampler: Looks at a hit now and then.
        audits: Which hits are compared with what the application answers now.
        mutations: The unsafe requests under way.
    """

    def __init__(
        self,
        config: CacheConfig,
        local: tuple[LocalTier, TierConfig],
        shared: Iterable[tuple[SharedTier, TierConfig]],
        log: InvalidationLog,
        leases: LeaseServer | None,
        *,
        namespace: str,
        clock: Clock,
        wall: Clock,
        compress_over: int | None,
    ) -> None:
        self.config = config
        self.log = log
        self.index: Index = log.index
        self.leases = leases
        self.clock = clock
        self.wall = wall
        self.events: Events = Events(clock, wall)
        tier, where = local
        kind = NotingStack if config.debug else TierStack
        self.stack: TierStack = kind(
            tier,
            [Placed(below, place, self.events, config, clock) for below, place in shared],
            log,
            self.events,
            form=Format(
                namespace=namespace,
                version=config.version,
                secret=config.secret,
                max_entry=config.max_entry,
                compress_over=compress_over,
                clock=clock,
                wall=wall,
            ),
            local_scale=where.ttl_scale,
            again_bytes=config.l1_bytes // _AGAIN_SHARE,
        )
        self.doors: Doors = Doors()
        self.sampler: Sampler = Sampler(self.doors, self.stack, clock)
        self.audits: Audits = Audits(
            config.audit, config.audit_runs, self.events, self.doors, clock
        )
        self.mutations: Mutations = Mutations(clock)
        self.stack.on_dropped = partial(self.mutations.dropped, elsewhere=True)
        self.encodings: Encodings = Encodings(tier, self.events)
        self.flights: Flights[Any] = Flights(
            log.index,
            max_flights=config.max_flights,
            max_waiters=config.max_waiters if config.overload == "refuse" else None,
            max_refreshes=config.max_refreshes,
            hit_for_miss=config.hit_for_miss,
            clock=clock,
        )

    def trace(self, traces: "Traces | None") -> None:
        """Make spans from here on, or none."""
        self.events.traces = self.flights.traces = traces
