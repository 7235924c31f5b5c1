"""`asgi-multitier mode`: switch the cache of a machine off and on, or let it only observe."""

from argparse import ArgumentParser, Namespace
from typing import Any, get_args

from ...config.process import Mode
from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import checked, get
from ..exits import Exit
from ..output import Output


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("mode", nargs="?", choices=get_args(Mode), help="without it: show it")
    parser.add_argument(
        "--process", action="store_true", help="the process that answers, not all of its machine"
    )


async def _run(given: Namespace, output: Output) -> Exit:
    async with door_of(given, output) as door:
        if given.mode is None:
            told: dict[str, Any] = await get(door, "api")
            output.json({"mode": told["mode"]})
            output.line(f"the cache is {_said(told['mode'])} in process {told['pid']}")
            return Exit.OK
        scope = "process" if given.process else "host"
        body = {"mode": given.mode, "scope": scope}
        told = checked(door, await door.ask("POST", "api/mode", None, body)).value
    output.json(told)
    if all(worker["worker"] is None for worker in told.get("workers", ())):
        # That one process was asked for, or has no sockets (workers=False).
        output.line(f"the cache is {_said(told['mode'])}, it was {_said(told['was'])}")
        output.note("this is so in the process that has answered alone")
        return Exit.OK
    return _tell_workers(output, told)


def _said(mode: str) -> str:
    """A mode as the state of a cache; one of a later release as it is."""
    return {"shadow": "in shadow mode (it only observes)"}.get(mode, mode)


def _tell_workers(output: Output, told: dict[str, Any]) -> Exit:
    workers: list[dict[str, Any]] = told["workers"]
    missing = [worker for worker in workers if worker["missing"]]
    count = f"{len(workers) - len(missing)}/{len(workers)} workers of the machine that answered"
    output.line(f"the cache is {_said(told['mode'])} in ", (count, "red" if missing else "green"))
    for worker in missing:
        output.line(("  not switched ", "red"), f"worker {worker['worker']}: {worker['missing']}")
    output.note("other machines: the same there, or with the --url of each")
    return Exit.DEGRADED if missing else Exit.OK


COMMAND = Command(
    "mode",
    "Switch the cache of all workers of a machine: on, off, or shadow.",
    _arguments,
    _run,
)
