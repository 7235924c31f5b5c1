"""Health: does every tier answer, how fast, and what went wrong last?"""

import asyncio
import time
from dataclasses import dataclass

from ..breaker import BreakerState
from ..tiers.base import LocalTier
from .engine import Engine
from .placed import Placed

_PROBE = "\x00health"
"""A key that nothing is stored under."""


@dataclass(frozen=True, slots=True)
class TierHealth:
    """One tier.

    Attributes:
        level, name: Which.
        healthy: Whether it answered.
        latency: Seconds that the answer took; None without one.
        breaker: `open` while reads, writes or deletes of one of its servers are skipped,
            `half-open` when they are to be tried again, else `closed`.
        error: What went wrong, now or last; "" if nothing ever did.
    """

    level: int
    name: str
    healthy: bool
    latency: float | None
    breaker: str
    error: str


@dataclass(frozen=True, slots=True)
class WarmUpHealth:
    """The warm-up that a process begins by itself, after its start.

    Attributes:
        state: `"off"`, `"running"` or `"done"`.
        detail: Why it has nothing to do, or did not end; "" otherwise.
        asked, stored, hits, bypassed, failed: What has become of its requests so far; see
            `WarmReport`.
    """

    state: str = "off"
    detail: str = ""
    asked: int = 0
    stored: int = 0
    hits: int = 0
    bypassed: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the cache.

    Attributes:
        healthy: The first tier works: requests are answered, if with more runs of the origin.
        degraded: Something below it does not, or in part, or the log is not trusted.
        tiers: Every tier, first to last.
        trusted: There was contact with the invalidation log recently enough.
        namespace: The name in force: processes with the same one on the same server share.
        mode: Whether the cache is used, `"on"` or `"off"`. Of one that is off and was not started,
            only the first tier is examined, and nothing is opened.
        warm: The warm-up of `warm="top:200"`. It makes nothing unhealthy.
    """

    healthy: bool
    degraded: bool
    tiers: tuple[TierHealth, ...]
    trusted: bool
    namespace: str = ""
    mode: str = "on"
    warm: WarmUpHealth = WarmUpHealth()


def examine_idle(engine: Engine, namespace: str, mode: str) -> Health:
    """Ask the first tier alone: the others are not used, and nothing of them is open."""
    local = _examine_local(engine.stack.local)
    return Health(local.healthy, not local.healthy, (local,), engine.log.trusted, namespace, mode)


async def examine(engine: Engine, namespace: str, mode: str) -> Health:
    """Ask every tier whether it answers, all at once."""
    stack = engine.stack
    local = _examine_local(stack.local)
    shared = await asyncio.gather(*(_examine_shared(engine, placed) for placed in stack.shared))
    trusted = engine.log.trusted
    whole = all(tier.healthy and tier.breaker != BreakerState.OPEN.value for tier in shared)
    degraded = not (trusted and local.healthy and whole)
    return Health(local.healthy, degraded, (local, *shared), trusted, namespace, mode)


def _examine_local(tier: LocalTier) -> TierHealth:
    begun = time.perf_counter()
    try:
        tier.get(_PROBE)
    except Exception as error:  # noqa: BLE001  # a user's tier that breaks its contract
        reason = str(error) or type(error).__name__
        return TierHealth(1, tier.name, False, None, BreakerState.CLOSED.value, reason)
    latency = time.perf_counter() - begun
    return TierHealth(1, tier.name, True, latency, BreakerState.CLOSED.value, "")


async def _examine_shared(engine: Engine, placed: Placed) -> TierHealth:
    begun = time.perf_counter()
    answered = await placed.ping()
    latency = time.perf_counter() - begun
    return TierHealth(
        level=placed.config.level,
        name=placed.tier.name,
        healthy=answered,
        latency=latency if answered else None,
        breaker=placed.state(engine.clock()).value,
        error=placed.last_error,
    )
