"""The counters of one cache, by route and in total."""

from collections import Counter
from collections.abc import Mapping

from .durations import Histogram
from .statistics import RouteStats, Tally

MANAGER = "manager"
UNROUTED = "-"
MAX_ROUTES = 2_000
"""Routes counted apart; further ones are counted together under `"-"`."""


class Counters:
    """What one cache counts.

    Attributes:
        fills, refreshes, validations, refused, unused, failures: See `CacheStats`.
        encoded, not_encoded, encoded_saved: See `CompressionStats`.
    """

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self.fills = 0
        self.refreshes = 0
        self.validations = 0
        self.refused: Counter[str] = Counter()
        self.unused: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.encoded: Counter[str] = Counter()
        self.not_encoded: Counter[str] = Counter()
        self.encoded_saved = 0
        self._invalidations: dict[str, Counter[str]] = {}

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """The live counters by route."""
        return self._tallies

    def tally(self, route: str) -> Tally:
        """The counters of a route; the callers that need them often keep it."""
        tally = self._tallies.get(route)
        if tally is None:
            if len(self._tallies) >= MAX_ROUTES:
                route = UNROUTED
            tally = self._tallies.setdefault(route, Tally())
        return tally

    def invalidated(self, route: str, by: str) -> None:
        """A change has dropped something; see `CacheStats.invalidations`."""
        if route not in self._invalidations and len(self._invalidations) >= MAX_ROUTES:
            route = UNROUTED
        self._invalidations.setdefault(route, Counter())[by] += 1

    def invalidations(self) -> dict[str, dict[str, int]]:
        """A frozen reading by route."""
        return {route: dict(counts) for route, counts in self._invalidations.items()}

    def routes(self) -> dict[str, RouteStats]:
        """A frozen reading by route."""
        return {route: tally.reading() for route, tally in self._tallies.items()}

    def hits(self) -> dict[int, int]:
        """Answered by a fresh entry on any route, by the level of its tier."""
        hits = {1: 0}
        for tally in list(self._tallies.values()):
            hits[1] += tally.local
            for level, count in list(tally.hits.items()):
                hits[level] = hits.get(level, 0) + count
        return hits

    def total(self) -> RouteStats:
        """The sum over all routes."""
        hits: Counter[int] = Counter()
        passes: Counter[str] = Counter()
        audits: Counter[str] = Counter()
        runs, waits = Histogram(), Histogram()
        stale = coalesced = misses = local = 0
        for tally in self._tallies.values():
            local += tally.local
            hits.update(tally.hits)
            passes.update(tally.passes)
            audits.update(tally.audits)
            runs.join(tally.runs)
            waits.join(tally.waits)
            stale += tally.stale
            coalesced += tally.coalesced
            misses += tally.misses
        if local:
            hits[1] = local
        return RouteStats(
            dict(hits),
            stale,
            coalesced,
            misses,
            dict(passes),
            runs.reading(),
            waits.reading(),
            dict(audits),
        )
