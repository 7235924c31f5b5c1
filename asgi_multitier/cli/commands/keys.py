"""`asgi-multitier keys`: what is in the memory of the process that answers."""

from argparse import ArgumentParser, Namespace
from typing import Any

from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import get
from ..exits import CommandError, Exit
from ..figures import size
from ..output import Output

_HEAD = ("KEY", "KIND", "ROUTE", "STATUS", "SIZE", "AGE S", "LEFT S", "USES", "STATE", "TAGS")
_SORTS = ("none", "size", "age", "ttl", "uses")


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("--route", help="of this route")
    parser.add_argument("--tag", help="that carry this tag")
    parser.add_argument("--path", help="of this path")
    parser.add_argument("--glob", help="whose path or name matches, with * and ?")
    parser.add_argument("--state", choices=("fresh", "stale", "dropped", "expired"))
    parser.add_argument("--sort", choices=_SORTS, default="none", help="the largest first")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="default: 50")
    parser.add_argument("--reveal", action="store_true", help="show paths and whole tags")


async def _run(given: Namespace, output: Output) -> Exit:
    if not 1 <= given.limit <= 100_000:
        raise CommandError(Exit.USAGE, "--limit is not allowed; expected 1 to 100000")
    async with door_of(given, output) as door:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await get(
                door,
                "api/entries",
                route=given.route,
                tag=given.tag,
                path=given.path,
                glob=given.glob,
                state=given.state,
                sort=given.sort if given.sort != "none" else None,
                limit=min(200, given.limit - len(found)),
                reveal=1 if given.reveal else None,
                cursor=cursor,
            )
            found += page["entries"]
            cursor = page["cursor"]
            if cursor is None or len(found) >= given.limit:
                break
    output.json({"entries": found, "total": page["total"], "complete": cursor is None})
    output.table(_HEAD, map(_row, found))
    more = "" if cursor is None else ", and there may be more (--limit)"
    output.line((f"{len(found):,} shown of {page['total']:,} in memory{more}", "dim"))
    return Exit.OK


def _row(entry: dict[str, Any]) -> tuple[object, ...]:
    place = entry["path"] or entry["name"]
    return (
        entry["key"][:14] if place is None else place,
        entry["kind"],
        entry["route"],
        entry["status"],
        size(entry["size"]),
        entry["age"],
        entry["ttl"],
        entry["uses"],
        entry["state"],
        ", ".join(entry["tags"] or ()),
    )


COMMAND = Command("keys", "Entries in the memory of the process that answers.", _arguments, _run)
