"""Whether a report names what an application is careless in, and accuses nothing else."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from asgi_multitier.shadow.found import Finding, RouteReport
from asgi_multitier.shadow.report import Report
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.expected import Expected, plain

LOOKED_AT = 2
"""So many findings of a route a reader looks at."""


def not_named(application: Application, report: Report) -> list[str]:
    """What an application is careless in and its report does not name, and what that says."""
    routes = {plain(one.route): one for one in report.routes}
    return [
        f"{one.cause} {one.name or one.place or ''} at {one.route}: {_said(route)}"
        for one in application.expected
        if not _is_named(one, route := routes.get(plain(one.route)))
    ]


def accused(application: Application, report: Report) -> list[str]:
    """Routes that are right and of which a report tells wrong answers."""
    careless = {plain(one.route) for one in application.expected}
    return [
        f"{route.route}: {_said(route)}"
        for route in report.routes
        if plain(route.route) not in careless and (route.wrong or any(_told(route)))
    ]


def _is_named(expected: Expected, route: RouteReport | None) -> bool:
    if route is None or not route.wrong:
        return False
    if expected.fits is not None and not 0 < (route.lifetime or 0) <= expected.fits:
        return False
    return any(_is_it(expected, finding) for finding in route.findings[:LOOKED_AT])


def _is_it(expected: Expected, finding: Finding) -> bool:
    if not finding.wrong or expected.place not in (None, finding.place):
        return False
    pairs = ((expected.cause, expected.name), *expected.alternatives)
    return any(
        cause == finding.cause and (name is None or fnmatchcase(plain(finding.name), plain(name)))
        for cause, name in pairs
    )


def _told(route: RouteReport) -> Iterator[int]:
    return (finding.wrong for finding in route.findings)


def _said(route: RouteReport | None) -> str:
    """What a report says of a route, in a line."""
    if route is None:
        return "no such route"
    findings = ", ".join(
        f"{f.cause} {f.name!r} {f.place} x{f.wrong} ({f.confidence:.2f})" for f in route.findings
    )
    return f"{route.wrong} of {route.hits} wrong, fits {route.lifetime}; {findings or 'no finding'}"
