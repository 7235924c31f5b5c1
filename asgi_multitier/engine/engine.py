"""One cache of one process: its parts, and how they are put together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .._types import Clock
from ..coherence.index import Index
from ..coherence.log import InvalidationLog
from ..config.process import CacheConfig
from ..errors import ConfigError
from ..events import Events
from ..tiers.base import LocalTier, SharedTier, TierConfig
from .fleet import LeaseServer
from .flights import Flights
from .formats import Format
from .placed import Placed
from .stack import TierStack

Tier = LocalTier | SharedTier


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts, put together by the manager.

    Attributes:
        config: The bounds.
        stack: The tiers.
        flights: The runs of the origin going on.
        log: The invalidation log.
        index: What this process knows of it.
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
    leases: LeaseServer | None
    clock: Clock
    wall: Clock


def place(
    tiers: Iterable[tuple[Tier, TierConfig]], config: CacheConfig, events: Events, clock: Clock
) -> list[Placed]:
    """The shared tiers in their places, by level.

    Raises:
        ConfigError: If one is no shared tier.
    """
    placed = []
    for tier, where in sorted(tiers, key=lambda pair: pair[1].level):
        if not isinstance(tier, SharedTier):
            allowed = "a SharedTier; a LocalTier can only be the first"
            raise ConfigError.of("tier", tier, allowed, where=f"level {where.level}")
        placed.append(
            Placed(
                tier,
                where,
                events,
                failures=config.breaker_failures,
                reset=config.breaker_reset,
                timeout=config.redis_timeout,
                clock=clock,
            )
        )
    return placed


def assemble(
    config: CacheConfig,
    local: tuple[LocalTier, TierConfig],
    shared: Iterable[tuple[Tier, TierConfig]],
    log: InvalidationLog,
    leases: LeaseServer | None,
    *,
    namespace: str,
    clock: Clock,
    wall: Clock,
    compress_over: int | None,
) -> Engine:
    """The engine of one cache."""
    events = Events()
    tier, where = local
    stack = TierStack(
        tier,
        place(shared, config, events, clock),
        log,
        events,
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
        clock=clock,
    )
    flights: Flights[Any] = Flights(
        log.index,
        max_flights=config.max_flights,
        max_waiters=config.max_waiters if config.overload == "refuse" else None,
        max_refreshes=config.max_refreshes,
        hit_for_miss=config.hit_for_miss,
        clock=clock,
    )
    return Engine(
        config=config,
        stack=stack,
        flights=flights,
        log=log,
        index=log.index,
        events=events,
        leases=leases,
        clock=clock,
        wall=wall,
    )
