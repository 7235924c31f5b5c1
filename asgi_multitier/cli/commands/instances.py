"""`asgi-multitier instances`: who runs, and how far each has read the log."""

from argparse import ArgumentParser, Namespace
from typing import Any

from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import get
from ..exits import Exit
from ..figures import percent, size
from ..output import Output

_HEAD = ("INSTANCE", "STATE", "RELEASE", "RECORD", "BEHIND", "LAG", "HITS", "REQ/S", "MEMORY", "")


async def _run(given: Namespace, output: Output) -> Exit:
    async with door_of(given, output) as door:
        fleet: dict[str, Any] = await get(door, "api/fleet")
    output.json(fleet)
    output.table(_HEAD, map(_row, fleet["instances"]))
    if not fleet["complete"]:
        output.line(("the server did not answer: others are not shown", "red"))
    for finding in fleet["findings"]:
        output.line((f"{finding['kind']}: ", "yellow"), finding["text"])
    return Exit.OK if fleet["complete"] else Exit.DEGRADED


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    notes = []
    if not one["trusted"]:
        notes.append("not trusted")
    if one["queued"]:
        notes.append(f"{one['queued']:,} queued")
    notes += [f"{tier} {state}" for tier, state in one["breakers"].items() if state != "closed"]
    memory, limit = size(one["l1"]["bytes"]), one["l1"]["limit"]
    return (
        f"{one['host']}/{one['pid']}",
        one["state"],
        one["release"],
        f"{one['gen'][:8]}:{one['seq']}",
        one["behind"],
        f"{1000 * one['lag']:.1f} ms",
        percent(one["ratio"]),
        None if one["rate"] is None else float(one["rate"]),
        memory if limit is None else f"{memory} of {size(limit)}",
        ", ".join(notes),
    )


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)


COMMAND = Command("instances", "Who runs, and how far each has read the log.", _arguments, _run)
