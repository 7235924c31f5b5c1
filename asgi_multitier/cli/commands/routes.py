"""`asgi-multitier routes`: an application's routes, and what is odd about them; no server."""

from argparse import ArgumentParser, Namespace

from ...explain.findings import Finding, Level
from ...explain.routes import RoutesReport
from ...explain.table import HEAD, row_of
from ...manager.routes import routes_of
from ..application import add_application, application_of
from ..command import Command
from ..exits import Exit
from ..output import Output, Style

_STYLES: dict[Level, Style] = {
    Level.ERROR: "red",
    Level.WARNING: "yellow",
    Level.INFORMATION: "dim",
}


def _arguments(parser: ArgumentParser) -> None:
    add_application(parser)
    parser.add_argument(
        "--check", action="store_true", help="end with 1 if there is a warning or an error: for CI"
    )


async def _run(given: Namespace, output: Output) -> Exit:
    report = routes_of(application_of(given, "routes"))
    output.json(report.as_json())
    _show(report, output)
    return Exit.FINDING if given.check and report.failed else Exit.OK


def _show(report: RoutesReport, output: Output) -> None:
    output.table(HEAD, map(row_of, report.routes))
    for finding in report.findings:
        _tell(finding, output)


def _tell(finding: Finding, output: Output) -> None:
    where = f"{finding.route}: " if finding.route else ""
    output.line((finding.code, _STYLES[finding.level]), f"  {where}{finding.text}")
    output.line(f"    {finding.remedy}")


COMMAND = Command(
    "routes", "An application's routes, and what is odd about them.", _arguments, _run
)
