"""`asgi-multitier warm`: let a running application fill its cache before clients ask."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import Door, checked
from ..exits import CommandError, Exit
from ..output import Output

_AT_ONCE = 100
"""Targets of one request."""

_COUNTS = ("asked", "stored", "hits", "failed")


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="a path, or a URL")
    parser.add_argument("--top", type=int, metavar="N", help="what clients ask for most")
    parser.add_argument(
        "--base-url", metavar="URL", help="scheme and host of paths, such as https://shop.example"
    )
    parser.add_argument("--concurrency", type=int, metavar="N", help="requests at once (2)")
    parser.add_argument("--rate", type=int, metavar="N", help="requests a second (20)")


async def _run(given: Namespace, output: Output) -> Exit:
    pieces = list(_pieces(given))
    told = _Told()
    async with door_of(given, output) as door:
        for piece in pieces:
            await _warm(door, piece, told)
    output.json(told.as_json())
    told.write(output)
    return Exit.DEGRADED if told.is_partial else Exit.OK


def _pieces(given: Namespace) -> Iterator[dict[str, Any]]:
    """What is asked for, in as many requests as it takes.

    Raises:
        CommandError: If nothing is named, or targets and `--top` are.
    """
    if bool(given.targets) is (given.top is not None):
        raise CommandError(Exit.USAGE, "expected either targets or --top N")
    names = ("base_url", "concurrency", "rate")
    common = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    common["scope"] = "host"
    if given.top is not None:
        yield {"top": given.top, **common}
    for start in range(0, len(given.targets), _AT_ONCE):
        yield {"targets": given.targets[start : start + _AT_ONCE], **common}


async def _warm(door: Door, piece: dict[str, Any], told: "_Told") -> None:
    """Ask for a piece until its end: one answer covers what there was time for."""
    skip = 0
    while True:
        body = {**piece, "skip": skip} if skip else piece
        answer: dict[str, Any] = checked(door, await door.ask("POST", "api/warm", None, body)).value
        told.add(answer)
        if answer["next"] is None or answer["next"] <= skip:
            return
        skip = answer["next"]


class _Told:
    """What all answers say together."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._bypassed: dict[str, int] = {}
        self._failures: list[dict[str, Any]] = []
        self._missing: dict[Any, str] = {}
        self._workers = 0
        self._detail = ""

    @property
    def is_partial(self) -> bool:
        """Whether something failed, or a worker did not answer."""
        return bool(self._missing or self._counts["failed"] or self._detail)

    def add(self, answer: dict[str, Any]) -> None:
        """One answer."""
        for name in _COUNTS:
            self._counts[name] += answer[name]
        for reason, count in answer["bypassed"].items():
            self._bypassed[reason] = self._bypassed.get(reason, 0) + count
        self._failures += answer["failures"]
        self._detail = answer["detail"]
        self._workers = max(self._workers, len(answer["workers"]))
        missing = {one["worker"]: one["missing"] for one in answer["workers"] if one["missing"]}
        self._missing |= missing

    def as_json(self) -> dict[str, Any]:
        """As one object."""
        missing = [{"worker": one, "missing": why} for one, why in self._missing.items()]
        return {
            **self._counts,
            "bypassed": self._bypassed,
            "failures": self._failures,
            "detail": self._detail,
            "workers": self._workers,
            "missing": missing,
        }

    def write(self, output: Output) -> None:
        """For a person."""
        counts = self._counts
        where = f" by {self._workers} workers" if self._workers > 1 else ""
        output.line(
            (f"asked for {counts['asked']:,}", "bold"),
            f"{where}   {counts['stored']:,} stored   {counts['hits']:,} were there   ",
            (f"{counts['failed']:,} failed", "red" if counts["failed"] else "dim"),
        )
        for reason, count in sorted(self._bypassed.items()):
            output.line(("not stored", "yellow"), f"  {count:,}  {reason}")
        for one in self._failures:
            output.line(("failed", "red"), f"  {one['url'] or 'one of them'}: {one['why']}")
        for worker, why in self._missing.items():
            output.line(("no answer", "red"), f"  of worker {worker} ({why})")
        if self._detail:
            output.line(self._detail)


COMMAND = Command("warm", "Let the application fill its cache.", _arguments, _run)
