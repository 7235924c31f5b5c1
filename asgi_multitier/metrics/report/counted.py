"""What one process has counted, as JSON that adds up over processes.

Names are those of the statistics; routes and tiers stand under their names and levels.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

from ...coherence.log import InvalidationStats
from ...engine.engine import Engine
from ...events import Durations, Histogram, Tally, TierStats
from ...tiers.memory import MemoryTier

Counted: TypeAlias = dict[str, Any]


def routes_of(engine: Engine, route: str | None = None) -> Iterator[tuple[str, Counted]]:
    """Each route with what was counted of it, one after the other: there may be many.

    Args:
        engine: The cache.
        route: The only one that is wanted; None for all.
    """
    dropped = engine.events.invalidations()
    names = dict.fromkeys([*engine.events.tallies, *dropped])
    for name in names if route is None else names.keys() & {route}:
        tally = engine.events.tallies.get(name) or Tally()
        yield name, {**_route(tally), "invalidations": dropped.get(name, {})}


def no_route() -> Counted:
    """A route of which nothing was counted."""
    return {**_route(Tally()), "invalidations": {}}


def counted(engine: Engine) -> Counted:
    """What a process has counted apart from routes."""
    events, now = engine.events, engine.clock()
    states = {placed.config.level: placed.state(now).value for placed in engine.stack.shared}
    local = engine.stack.local
    memory = local.statistics() if isinstance(local, MemoryTier) else None
    tiers = {
        str(tier.level): {
            **_tier(tier),
            "limit": memory.max_bytes if memory is not None and tier.level == 1 else None,
            "refused": memory.refused if memory is not None and tier.level == 1 else None,
            "breaker": states.get(tier.level),
        }
        for tier in engine.stack.statistics(events.hits())
    }
    return {
        "tiers": tiers,
        "log": _log(engine.log.stats()),
        "fills": events.fills,
        "refreshes": events.refreshes,
        "validations": events.validations,
        "refused": dict(events.refused),
        "unused": dict(events.unused),
        "failures": dict(events.failures),
        "in_flight": engine.flights.running,
        "compression": {
            "made": dict(events.encoded),
            "skipped": dict(events.not_encoded),
            "saved": events.encoded_saved,
        },
    }


def _route(tally: Tally) -> Counted:
    hits = {str(level): count for level, count in list(tally.hits.items())}
    if tally.local:
        hits["1"] = tally.local
    return {
        "hits": dict(sorted(hits.items())),
        "stale": tally.stale,
        "coalesced": tally.coalesced,
        "misses": tally.misses,
        "passes": {str(reason): count for reason, count in list(tally.passes.items())},
        "runs": _durations(tally.runs),
        "waits": _durations(tally.waits),
        "audits": {str(verdict): count for verdict, count in list(tally.audits.items())},
    }


def _durations(value: Histogram | Durations) -> Counted:
    return {"seconds": value.seconds, "bounds": [*value.bounds], "counts": [*value.counts]}


def _tier(tier: TierStats) -> Counted:
    return {
        "name": tier.name,
        "hits": tier.hits,
        "promotions": tier.promotions,
        "writes": tier.writes,
        "failures": dict(tier.failures),
        "unreadable": dict(tier.unreadable),
        "entries": tier.entries,
        "bytes": tier.size,
        "evictions": dict(tier.evictions),
        "operations": {kind: _durations(took) for kind, took in tier.operations.items()},
    }


def _log(log: InvalidationStats) -> Counted:
    return {
        "gen": log.gen,
        "seq": log.seq,
        "trusted": log.trusted,
        "queued": log.queued,
        "sent": log.sent,
        "received": log.received,
        "echoed": log.echoed,
        "applied": dict(log.applied),
        "gaps": log.gaps,
        "flushes": log.flushes,
        "overflows": log.overflows,
        "forgotten": log.forgotten,
        "processing_errors": log.processing_errors,
        "send_errors": log.send_errors,
        "audit_errors": log.audit_errors,
        "lag_p50": log.lag_p50,
        "lag_p99": log.lag_p99,
        "behind": log.behind,
        "unheard": log.unheard,
        "flush_causes": dict(log.flush_causes),
        "commits": _durations(log.commits),
        "lags": {source: _durations(took) for source, took in log.lags.items()},
        "index_selectors": log.index_selectors,
    }
