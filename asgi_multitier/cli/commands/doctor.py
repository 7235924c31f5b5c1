"""`asgi-multitier doctor`: is all well, and if not, what to do?"""

from argparse import ArgumentParser, Namespace
from typing import Any

from ..checkup import address_of, of_fleet, of_log, of_machine, of_server, of_tiers
from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import Door, get
from ..doors.shared import SharedDoor
from ..exits import Exit
from ..output import Output, Style

_STYLES: dict[str, Style] = {"ok": "green", "warn": "yellow", "fail": "red"}


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)


async def _run(given: Namespace, output: Output) -> Exit:
    checks = list(of_machine())
    async with door_of(given, output) as door:
        answers = True
        if isinstance(door, SharedDoor):
            server = await door.examine_server()
            checks += of_server(server)
            answers = not server.error
        if answers:
            fleet: dict[str, Any] = await get(door, "api/fleet")
            answers = fleet["complete"]
            checks += of_fleet(fleet, "" if answers else await _address(door))
        if not isinstance(door, SharedDoor):
            stats: dict[str, Any] = await get(door, "api/stats", scope="host")
            checks += [*of_tiers(stats["tiers"]), *of_log(stats["log"])]
    output.json({"target": door.name, "checks": [check.as_json() for check in checks]})
    for check in checks:
        output.line((f"{check.level:<5}", _STYLES[check.level]), check.text)
    if not answers:
        return Exit.UNREACHABLE
    return Exit.OK if all(check.level == "ok" for check in checks) else Exit.FINDING


async def _address(door: Door) -> str:
    """Where the server of the log is, without credentials; "" if that is not told."""
    if isinstance(door, SharedDoor):
        return door.name
    return address_of((await door.ask("GET", "api/config")).value)


COMMAND = Command("doctor", "Check everything, and say what to do.", _arguments, _run)
