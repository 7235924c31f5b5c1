"""`asgi-multitier mode`: switch the cache of a process off and on."""

from argparse import ArgumentParser, Namespace
from typing import Any

from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import checked, get
from ..exits import Exit
from ..output import Output


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("mode", nargs="?", choices=("on", "off"), help="without it: show it")


async def _run(given: Namespace, output: Output) -> Exit:
    async with door_of(given, output) as door:
        if given.mode is None:
            told: dict[str, Any] = await get(door, "api")
            output.json({"mode": told["mode"]})
            output.line(f"the cache is {told['mode']} in process {told['pid']}")
            return Exit.OK
        answer = checked(door, await door.ask("POST", "api/mode", None, {"mode": given.mode}))
    output.json(answer.value)
    output.line(f"the cache is {answer.value['mode']}, it was {answer.value['was']}")
    output.note("this is so in the process that has answered; ask each of the others by its --url")
    return Exit.OK


COMMAND = Command("mode", "Switch the cache of a process off and on.", _arguments, _run)
