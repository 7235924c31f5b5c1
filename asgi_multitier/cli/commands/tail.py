"""`asgi-multitier tail`: what happens, as it happens, until Ctrl-C."""

import time
from argparse import ArgumentParser, Namespace
from typing import Any

from ..command import Command
from ..doors.choosing import add_target, door_of
from ..exits import Exit
from ..output import Output

_HIDDEN = ("id", "at", "kind")


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument(
        "--kind", default="", metavar="KINDS", help="such as invalidation,flush; default: all"
    )
    parser.add_argument("--times", type=int, metavar="N", help="end after so many events")


async def _run(given: Namespace, output: Output) -> Exit:
    left = given.times
    async with door_of(given, output) as door:
        events = door.events(given.kind)
        try:
            async for event in events:
                if "kind" not in event:
                    continue  # the greeting, and the end
                output.json(event)
                output.line(*_line(event))
                if left is not None:
                    left -= 1
                    if left <= 0:
                        break
        finally:
            await events.aclose()
    return Exit.OK


def _line(event: dict[str, Any]) -> tuple[Any, ...]:
    at = time.strftime("%H:%M:%S", time.localtime(event["at"])) if "at" in event else "        "
    rest = [f"{name}={_short(value)}" for name, value in event.items() if name not in _HIDDEN]
    return (at, "dim"), "  ", (f"{event['kind']:<13}", "bold"), "  ".join(rest)


def _short(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_short(one) for one in value)
    if isinstance(value, dict):
        return ":".join(str(one) for one in value.values())
    return str(value)


COMMAND = Command("tail", "What happens, as it happens, until Ctrl-C.", _arguments, _run)
