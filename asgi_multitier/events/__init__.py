"""Every counter and every log line, by name.

The words of `Outcome` are the words of the statistics, of `Cache-Status` and of the docs. Every
request that meets the cache ends in exactly one outcome, so for each route and in total
`hits + stale + coalesced + misses + passes == requests`.

`statistics` holds the counters of a route and their readings, `durations` how long things take,
`counters` all of one cache, `log_lines` the logger, `troubles` what is said once and not each time,
`events` what is said, `live` and `told` what happens, for those who watch.
"""

from .counters import MANAGER, MAX_ROUTES, UNROUTED
from .durations import LAG_BOUNDS, ROUND_TRIP_BOUNDS, Durations, Histogram
from .events import Events
from .log_lines import MAX_LINE
from .statistics import (
    NOT_COUNTED,
    CacheStats,
    CompressionStats,
    Outcome,
    RouteStats,
    Tally,
    TierStats,
    Verdict,
)

__all__ = [
    "MANAGER",
    "MAX_LINE",
    "MAX_ROUTES",
    "NOT_COUNTED",
    "UNROUTED",
    "CacheStats",
    "CompressionStats",
    "Durations",
    "Events",
    "Histogram",
    "LAG_BOUNDS",
    "Outcome",
    "ROUND_TRIP_BOUNDS",
    "RouteStats",
    "Tally",
    "TierStats",
    "Verdict",
]
