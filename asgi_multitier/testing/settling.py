"""Waiting, in a test, until what caches do in the background is done."""

import asyncio
import time
from collections.abc import Sequence

from ..manager.manager import CacheManager

_PATIENCE = 10.0
"""Seconds that is waited for at most."""

_PAUSE = 0.005


async def settled(*caches: CacheManager) -> None:
    """Wait until these caches have written everything, and know each other's invalidations.

    For caches that share a Redis or fakeredis, in any event loops; one that does not run is left
    out.

    Raises:
        TimeoutError: If that takes longer than 10 s: a run does not end, the server cannot be
            reached, or they share no invalidation log.
    """
    ends = time.monotonic() + _PATIENCE
    while not _check(caches, ends):  # noqa: ASYNC110  # they may run in other threads
        await asyncio.sleep(_PAUSE)


def settle(*caches: CacheManager) -> None:
    """As `settled`, for a test without an event loop.

    Raises:
        TimeoutError: As `settled`.
    """
    ends = time.monotonic() + _PATIENCE
    while not _check(caches, ends):
        time.sleep(_PAUSE)


def _check(caches: Sequence[CacheManager], ends: float) -> bool:
    late = _late(caches)
    if late and time.monotonic() >= ends:
        raise TimeoutError("; ".join(late))
    return not late


def _late(caches: Sequence[CacheManager]) -> list[str]:
    """What is still to come, each with its cache."""
    late = []
    positions = {}
    for cache in caches:
        if not cache.running:
            continue
        engine = cache.engine
        stats = engine.log.stats()
        positions[stats.gen, stats.seq] = repr(cache)
        if engine.flights.tasks or engine.stack.tasks or engine.encodings.compressor.pending:
            late.append(f"{cache!r} still runs or writes something")
        if not stats.trusted or engine.log.index.pending_count:
            late.append(f"{cache!r} has not sent everything to its log, or not read it there")
    if len(positions) > 1:
        told = ", ".join(f"{cache} at {gen}:{seq}" for (gen, seq), cache in positions.items())
        late.append(f"they have not read the same log equally far: {told}")
    return late
