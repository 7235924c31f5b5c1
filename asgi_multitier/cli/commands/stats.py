"""`asgi-multitier stats`: what the cache does, route by route."""

from argparse import ArgumentParser, Namespace
from typing import Any

from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import get
from ..exits import CommandError, Exit
from ..figures import heading, percent, rows, size
from ..output import Output

_HEAD = (
    "ROUTE",
    "REQUESTS",
    "HIT%",
    "STALE",
    "MISSES",
    "PASSED",
    "RUN P95",
    "SAVED S",
    "WHY PASSED",
)


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("--route", help="only this route, as its template is written")
    parser.add_argument(
        "--process", action="store_true", help="the process that answers, not all of its machine"
    )
    parser.add_argument(
        "--fail-below",
        type=float,
        metavar="RATIO",
        help="exit with 1 if the share of hits, from 0 to 1, is smaller",
    )


async def _run(given: Namespace, output: Output) -> Exit:
    if given.fail_below is not None and not 0 <= given.fail_below <= 1:
        raise CommandError(Exit.USAGE, "--fail-below is not allowed; expected a number from 0 to 1")
    async with door_of(given, output) as door:
        scope = "process" if given.process else "host"
        stats: dict[str, Any] = await get(door, "api/stats", scope=scope, route=given.route)
    output.json(stats)
    output.line(*heading(stats))
    output.table(_HEAD, rows(stats["routes"]))
    for tier in stats["tiers"]:
        output.line(_tier(tier))
    ratio = stats["total"]["ratio"]
    if given.fail_below is not None and (ratio is None or ratio < given.fail_below):
        output.note(f"the share of hits is {percent(ratio)}, below {percent(given.fail_below)}")
        return Exit.FINDING
    return Exit.OK if stats["log"]["trusted"] else Exit.DEGRADED


def _tier(tier: dict[str, Any]) -> str:
    parts = [f"L{tier['level']} {tier['name']}", f"{tier['hits']:,} hits"]
    if tier["entries"] is not None:
        parts.append(f"{tier['entries']:,} entries")
    if tier["bytes"] is not None:
        limit = f" of {size(tier['limit'])}" if tier["limit"] else ""
        parts.append(f"{size(tier['bytes'])}{limit}")
    evicted = ", ".join(f"{cause} {n:,}" for cause, n in tier["evictions"].items() if n)
    failed = ", ".join(f"{kind} {n:,}" for kind, n in tier["failures"].items() if n)
    parts += [f"evicted: {evicted}"] if evicted else []
    parts += [f"failed: {failed}"] if failed else []
    if tier["breaker"] not in (None, "closed"):
        parts.append(f"circuit breaker {tier['breaker']}")
    return "   ".join(parts)


COMMAND = Command("stats", "Requests, hits and passes by route, and the tiers.", _arguments, _run)
