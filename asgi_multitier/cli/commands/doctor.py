"""`asgi-multitier doctor`: is all well, and if not, what to do?"""

from argparse import ArgumentParser, Namespace
from typing import Any

from ..checkup import of_fleet, of_log, of_machine, of_server
from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import get
from ..doors.shared import SharedDoor
from ..exits import CommandError, Exit
from ..output import Output, Style

_STYLES: dict[str, Style] = {"ok": "green", "warn": "yellow", "fail": "red"}


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)


async def _run(given: Namespace, output: Output) -> Exit:
    checks = list(of_machine())
    async with door_of(given, output) as door:
        fleet: dict[str, Any] = await get(door, "api/fleet")
        checks += of_fleet(fleet)
        if isinstance(door, SharedDoor):
            checks += of_server(await door.examine_server())
        else:
            checks += of_log((await get(door, "api/stats", scope="host"))["log"])
    output.json({"target": door.name, "checks": [check.as_json() for check in checks]})
    for check in checks:
        output.line((f"{check.level:<5}", _STYLES[check.level]), check.text)
    worst = {check.level for check in checks}
    if "fail" in worst and not fleet["complete"]:
        raise CommandError(Exit.UNREACHABLE, f"{door.name}: the server does not answer")
    return Exit.FINDING if worst & {"warn", "fail"} else Exit.OK


COMMAND = Command("doctor", "Check everything, and say what to do.", _arguments, _run)
