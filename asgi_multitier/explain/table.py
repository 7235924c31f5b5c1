"""The routes of an application as text: for a terminal, and for the start in debug mode."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from .explanation import Effect
from .routes import RouteShown, RoutesReport

HEAD: Final = ("ROUTE", "METHODS", "CACHED", "KEY ADDS", "TAGS", "DROPPED BY", "DROPS")


def row_of(route: RouteShown) -> tuple[str, ...]:
    """The cells of a route, below `HEAD`."""
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


def text_of(report: RoutesReport) -> str:
    """The table, and below it what is odd about the routes; without a line's end."""
    rows = [row_of(route) for route in report.routes]
    lines = list(_aligned([HEAD, *rows]))
    for finding in report.findings:
        where = f"{finding.route}: " if finding.route else ""
        lines += [f"{finding.code}  {where}{finding.text}", f"    {finding.remedy}"]
    return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    cells = [[cell if cell.isprintable() else ascii(cell)[1:-1] for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()
