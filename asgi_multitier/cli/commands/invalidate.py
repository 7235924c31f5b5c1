"""`asgi-multitier invalidate`: drop entries on all instances.

What names one thing exactly is dropped at once. What may drop more than its writer thinks of is
counted first, and dropped with `--yes`.
"""

from argparse import ArgumentParser, Namespace
from typing import Any

from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import Answer, checked
from ..doors.shared import SharedDoor
from ..exits import CommandError, Exit
from ..figures import size
from ..output import Output
from ..reading import seconds

_LISTS = (
    ("--key", "keys", "KEY", "a key, or the name of a response; each of these may be repeated"),
    ("--tag", "tags", "TAG", "what carries the tag"),
    ("--path", "paths", "PATH", "the responses of a path"),
    ("--below", "below", "PATH", "the responses of a path and of all below it"),
    ("--pattern", "patterns", "GLOB", "keys and paths that match, with * and ?"),
    ("--route", "routes", "NAME", "the responses of a route, by its name or template"),
)


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    for option, name, metavar, text in _LISTS:
        parser.add_argument(
            option, dest=name, action="append", default=[], metavar=metavar, help=text
        )
    parser.add_argument(
        "--all",
        dest="everything",
        metavar="NAMESPACE",
        help="everything of this namespace, whose name stands here",
    )
    parser.add_argument(
        "--yes", action="store_true", help="do it, also with --below, --pattern, --route and --all"
    )
    parser.add_argument("--dry-run", action="store_true", help="count only")
    parser.add_argument(
        "--wait",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="wait until all instances have seen it, at most so long",
    )
    parser.add_argument(
        "--settle",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="do not store what is dropped again for so long",
    )


async def _run(given: Namespace, output: Output) -> Exit:
    body = body_of(given)
    async with door_of(given, output) as door:
        answer = await door.ask("POST", "api/invalidate", None, body)
        if not _is_queued(answer):
            checked(door, answer)
        # Of the server of the log nothing is known but the log.
        has_memory = not isinstance(door, SharedDoor)
    told: dict[str, Any] = answer.value
    output.json(told)
    if told["dry_run"]:
        _tell_count(output, told)
        if not given.dry_run:
            output.note("nothing was dropped: add --yes to do it")
        if not given.dry_run:
            return Exit.USAGE
        return Exit.DEGRADED if _missing(told) else Exit.OK
    for one in (told.get("unmatched") or ()) if has_memory else ():
        output.note(
            f"nothing in the memory of the process that answered has {one['kind']} {one['text']}: "
            "is it written as it should be?"
        )
    if not told["committed"]:
        output.line(("queued", "red"), ": in force where it was asked for, and sent to the others")
        output.line("when the log can be written again")
        return Exit.QUEUED
    position = told["position"]
    output.line(("dropped", "green"), f"   record {position['seq']} of {position['gen'][:8]}")
    return _tell_seen(output, told.get("seen"))


def body_of(given: Namespace) -> dict[str, Any]:
    """What the arguments ask for.

    Raises:
        CommandError: If they name nothing, or contradict.
    """
    body: dict[str, Any] = {name: getattr(given, name) for _, name, _, _ in _LISTS}
    body = {name: texts for name, texts in body.items() if texts}
    if given.everything is not None:
        body |= {"all": True, "confirm": given.everything}
    if not body:
        options = ", ".join(option for option, *_ in _LISTS)
        raise CommandError(Exit.USAGE, f"nothing is named; expected some of {options}, --all")
    if given.yes and given.dry_run:
        raise CommandError(Exit.USAGE, "--yes and --dry-run cannot both be given")
    if given.dry_run:
        body["dry_run"] = True
    elif given.yes:
        body["dry_run"] = False
    if body.get("dry_run") is not False:
        body["scope"] = "host"  # for the count, if it is one
    for name in ("wait", "settle"):
        if getattr(given, name):
            body[name] = getattr(given, name)
    return body


def _missing(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The workers that have not counted."""
    return [one for one in (told.get("host") or {}).get("workers", ()) if one["missing"]]


def _is_queued(answer: Answer) -> bool:
    return isinstance(answer.value, dict) and answer.value.get("queued") is True


def _tell_count(output: Output, told: dict[str, Any]) -> None:
    count = told.get("host") or told["here"]
    workers = len(count.get("workers", ())) - len(_missing(told))
    where = f"{workers} workers of one machine" if workers > 1 else "the process that answered"
    noun = "entry" if count["entries"] == 1 else "entries"
    output.line(
        ("would drop", "bold"),
        f" {count['entries']:,} {noun}, {size(count['bytes'])} in the memory of {where}, "
        "and what matches elsewhere",
    )
    for one in _missing(told):
        output.line(("not counted ", "red"), f"worker {one['worker']}: {one['missing']}")
    for one in told.get("unmatched") or ():
        output.line(("nothing there has ", "yellow"), f"{one['kind']} {one['text']}")


def _tell_seen(output: Output, seen: dict[str, Any] | None) -> Exit:
    if seen is None:
        return Exit.OK
    everywhere = seen["by"] == seen["of"]
    output.line(
        (f"seen by {seen['by']}/{seen['of']} instances", "green" if everywhere else "red"),
        f" in {1000 * seen['seconds']:.0f} ms",
    )
    for one in seen["instances"]:
        if not one["seen"]:
            output.line(("  not yet ", "red"), f"{one['host']}/{one['pid']}   at {one['seq']:,}")
    return Exit.OK if everywhere else Exit.DEGRADED


COMMAND = Command("invalidate", "Drop entries on all instances.", _arguments, _run)
