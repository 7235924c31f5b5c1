"""Statistics as people read them. Pure: JSON in, texts out."""

from collections.abc import Iterable, Iterator
from typing import Any

from ..events import MANAGER
from .output import Style

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: float | None) -> str:
    """Bytes with a unit; "-" for none."""
    if count is None:
        return "-"
    for unit in _UNITS[:-1]:
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_UNITS[-1]}"


def percent(share: float | None) -> str:
    """A share in percent; "-" for none."""
    return "-" if share is None else f"{100 * share:.1f} %"


def duration(seconds: float | None) -> str:
    """Seconds with a unit that fits; "-" for none."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s"


def heading(stats: dict[str, Any]) -> Iterator[str | tuple[str, Style]]:
    """The line above the routes: the whole of it."""
    total, log = stats["total"], stats["log"]
    workers = [worker for worker in stats["workers"] if not worker["missing"]]
    missing = len(stats["workers"]) - len(workers)
    yield (stats["namespace"], "bold")
    yield f"   {len(workers)} worker{'s' if len(workers) != 1 else ''}"
    if missing:
        yield (f" ({missing} did not answer)", "yellow")
    yield f"   {percent(total['ratio'])} hits   {total['requests']:,} requests   "
    yield ("trusted", "green") if log["trusted"] else ("not trusted", "red")
    if log.get("behind"):
        yield f"   {log['behind']:,} behind"
    if wrong := total.get("audits", {}).get("wrong"):
        yield (f"   {wrong:,} wrong hit{'' if wrong == 1 else 's'} found by audits", "red")
    if log["queued"]:
        yield (f"   {log['queued']:,} queued", "red")
    if stats.get("mode") == "off":
        yield ("   switched off", "yellow")
    elif stats.get("mode") == "shadow":
        yield ("   only observes (shadow)", "yellow")


def _is_used(route: dict[str, Any]) -> bool:
    """Whether anything was asked for by it."""
    return any((route["requests"], route["stale"], route["misses"], *route["passes"].values()))


def rows(routes: Iterable[dict[str, Any]]) -> Iterator[tuple[object, ...]]:
    """A row a route; none for the manager's own calls where there were none."""
    for route in routes:
        if route["route"] == MANAGER and not _is_used(route):
            continue
        passes = sorted(route["passes"].items(), key=lambda item: (-item[1], item[0]))
        ratio = route["ratio"]
        yield (
            route["route"],
            route["requests"],
            None if ratio is None else round(100 * ratio, 1),
            route["stale"],
            route["misses"],
            sum(route["passes"].values()),
            duration(route["runs"]["p95"]),
            None if route["saved"] is None else float(route["saved"]),
            ", ".join(f"{reason} {count:,}" for reason, count in passes[:3]),
        )
