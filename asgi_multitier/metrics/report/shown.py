"""What follows from counts: shares, means, quantiles; and lists instead of names."""

from collections.abc import Mapping, Sequence
from typing import Any

from .counted import Counted, no_route
from .summed import add, summed


class Routes:
    """Routes, added one after the other: there may be many.

    Attributes:
        total: The sum of what was added.
        shown: Each as it is answered.
    """

    def __init__(self) -> None:
        self.total: Counted = no_route()
        self.shown: list[dict[str, Any]] = []

    def add(self, name: str, counts: Sequence[Counted]) -> None:
        """Add a route.

        Args:
            name: Its name.
            counts: What each process has counted of it.
        """
        route = summed([no_route(), *counts])  # of another release, one may lack something
        add(self.total, route)
        self.shown.append({"route": name, **_route(route)})


def shown(heading: Mapping[str, Any], routes: Routes, counts: Counted) -> dict[str, Any]:
    """The statistics as they are answered.

    Args:
        heading: What stands before them.
        routes: All routes.
        counts: Of `counted` or `summed`.
    """
    tiers = sorted(counts["tiers"].items(), key=lambda pair: int(pair[0]))
    return {
        **heading,
        "total": _route(routes.total),
        "routes": sorted(routes.shown, key=lambda route: (-route["requests"], route["route"])),
        "tiers": [{"level": int(level), **_tier(tier)} for level, tier in tiers],
        **{name: value for name, value in counts.items() if name != "tiers"},
        "log": _log(counts["log"]),
    }


def _route(route: Counted) -> Counted:
    runs = _durations(route["runs"])
    served = sum(route["hits"].values()) + route["stale"] + route["coalesced"]
    asked = served + route["misses"]
    follows = {
        "ratio": served / asked if asked else None,
        "runs": runs,
        "waits": _durations(route["waits"]),
        "saved": None if runs["mean"] is None else served * runs["mean"],
    }
    return {"requests": asked + sum(route["passes"].values()), **route, **follows}


def _tier(tier: Counted) -> Counted:
    operations = tier.get("operations", {})
    return {**tier, "operations": {kind: _durations(took) for kind, took in operations.items()}}


def _log(log: Counted) -> Counted:
    lags = {source: _durations(took) for source, took in log["lags"].items()}
    return {**log, "commits": _durations(log["commits"]), "lags": lags}


def _durations(took: Counted) -> Counted:
    count = sum(took["counts"])
    return {
        "count": count,
        "seconds": took["seconds"],
        "mean": took["seconds"] / count if count else None,
        "p50": _quantile(took, 0.5),
        "p95": _quantile(took, 0.95),
        "bounds": took["bounds"],
        "counts": took["counts"],
    }


def _quantile(took: Counted, share: float) -> float | None:
    """Seconds that this share took at most, as if each class were evenly filled; None if none.

    What is beyond the last class counts as its upper end, as `histogram_quantile` of Prometheus has
    it.
    """
    wanted, lower = share * sum(took["counts"]), 0.0
    if not wanted:
        return None
    for bound, count in zip(took["bounds"], took["counts"], strict=False):
        if count >= wanted:
            return float(lower + (bound - lower) * wanted / count)
        wanted -= count
        lower = bound
    return float(lower)
