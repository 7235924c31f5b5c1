"""`asgi-multitier routes`: an application's routes, and what is odd about them; no server."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from typing import Any

from ...explain.explanation import Effect
from ...explain.findings import Finding, Level
from ...explain.routes import RouteShown, RoutesReport
from ...manager.identity.loading import load
from ...manager.routes import routes_of
from ..command import Command
from ..exits import CommandError, Exit
from ..output import Output, Style

_HEAD = ("ROUTE", "METHODS", "CACHED", "KEY ADDS", "TAGS", "DROPPED BY", "DROPS")
_STYLES: dict[Level, Style] = {
    Level.ERROR: "red",
    Level.WARNING: "yellow",
    Level.INFORMATION: "dim",
}


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("app", metavar="MODULE:ATTRIBUTE", help="the application, such as shop:app")
    parser.add_argument(
        "--factory",
        action="store_true",
        help="MODULE:ATTRIBUTE is a function without arguments that returns the application",
    )
    parser.add_argument(
        "--check", action="store_true", help="end with 1 if there is a warning or an error: for CI"
    )


async def _run(given: Namespace, output: Output) -> Exit:
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)  # as a server does, whose application lies where it is started
    app = load(given.app, where="routes")
    report = routes_of(_made(app) if given.factory else app)
    output.json(report.as_json())
    _show(report, output)
    return Exit.FINDING if given.check and report.failed else Exit.OK


def _made(factory: Any) -> Any:
    """The application that a factory of the user's returns."""
    try:
        return factory()
    except Exception as error:
        what = f"the factory raised {type(error).__name__}: {error}"
        raise CommandError(Exit.USAGE, what) from error


def _show(report: RoutesReport, output: Output) -> None:
    output.table(_HEAD, map(_row, report.routes))
    for finding in report.findings:
        _tell(finding, output)


def _row(route: RouteShown) -> tuple[object, ...]:
    return (
        route.route,
        ",".join(route.methods) or "*",
        _cached(route),
        _listed(route.key),
        _listed(route.tags),
        _listed(dict.fromkeys(effect.by.removeprefix("route ") for effect in route.dropped_by)),
        _listed(map(_named, route.drops)),
    )


def _cached(route: RouteShown) -> str:
    if not route.cached:
        return "-"
    lifetime = "by its fields" if route.lifetime is None else f"{route.lifetime:,.0f} s"
    return f"{lifetime}, in shadow" if route.shadow else lifetime


def _named(effect: Effect) -> str:
    return effect.text if effect.kind == "tag" else f"{effect.kind} {effect.text}"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "-"


def _tell(finding: Finding, output: Output) -> None:
    where = f"{finding.route}: " if finding.route else ""
    output.line((finding.code, _STYLES[finding.level]), f"  {where}{finding.text}")
    output.line(f"    {finding.remedy}")


COMMAND = Command(
    "routes", "An application's routes, and what is odd about them.", _arguments, _run
)
