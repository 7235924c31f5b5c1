"""`asgi-multitier top`: what happens now, drawn again and again until Ctrl-C."""

import asyncio
import time
from argparse import ArgumentParser, Namespace
from typing import Any

from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import get
from ..exits import CommandError, Exit
from ..figures import duration, heading
from ..output import Output

_CLEAR = "\x1b[H\x1b[2J"
_HEAD = ("ROUTE", "REQ/S", "HIT%", "MISS/S", "PASS/S", "RUN P95")
_BY = ("requests", "misses", "passes")


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="default: 2")
    parser.add_argument("--times", type=int, metavar="N", help="end after so many pictures")
    parser.add_argument("--by", choices=_BY, default="requests", help="what is sorted by")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="routes, default: 20")


async def _run(given: Namespace, output: Output) -> Exit:
    if not 0.2 <= given.every <= 3600:
        raise CommandError(Exit.USAGE, "--every is not allowed; expected 0.2 to 3600 seconds")
    async with door_of(given, output) as door:
        before: dict[str, Any] = await get(door, "api/stats", scope="host")
        read_at, left = time.monotonic(), given.times
        while left is None or left > 0:
            await asyncio.sleep(given.every)
            stats = await get(door, "api/stats", scope="host")
            now = time.monotonic()
            changes = changed(before, stats, now - read_at)
            changes.sort(key=lambda route: (-route[given.by], route["route"]))
            _draw(output, stats, changes[: given.limit])
            before, read_at = stats, now
            left = None if left is None else left - 1
    return Exit.OK


def changed(before: dict[str, Any], after: dict[str, Any], passed: float) -> list[dict[str, Any]]:
    """What each route does in a second.

    Args:
        before, after: Two readings. A count that went down began again at 0.
        passed: Seconds between them.
    """
    old = {route["route"]: _counts(route) for route in before["routes"]}
    found = []
    for route in after["routes"]:
        counts = _counts(route)
        was = old.get(route["route"], {})
        rates = {
            name: (count - was.get(name, 0) if count >= was.get(name, 0) else count) / passed
            for name, count in counts.items()
        }
        served, missed = rates.pop("served"), rates["misses"]
        ratio = served / (served + missed) if served + missed else None
        own = {"route": route["route"], "ratio": ratio, "p95": route["runs"]["p95"]}
        found.append(own | rates)
    return found


def _counts(route: dict[str, Any]) -> dict[str, int]:
    return {
        "requests": route["requests"],
        "served": sum(route["hits"].values()) + route["stale"] + route["coalesced"],
        "misses": route["misses"],
        "passes": sum(route["passes"].values()),
    }


def _draw(output: Output, stats: dict[str, Any], routes: list[dict[str, Any]]) -> None:
    output.json({"namespace": stats["namespace"], "routes": routes})
    output.control(_CLEAR)
    output.line(*heading(stats))
    rows = (
        (
            one["route"],
            one["requests"],
            None if one["ratio"] is None else 100 * one["ratio"],
            one["misses"],
            one["passes"],
            duration(one["p95"]),
        )
        for one in routes
    )
    output.table(_HEAD, rows)


COMMAND = Command("top", "What happens now, by route, until Ctrl-C.", _arguments, _run)
