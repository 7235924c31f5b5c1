"""The report as text: for a terminal, and for a log."""

from collections.abc import Iterable, Iterator, Sequence

from .found import Cause, Finding, RouteReport

_TITLES = {
    Cause.FIELD: "it depends on the field {name}",
    Cause.COOKIE: "it depends on the cookie {name}",
    Cause.QUERY: "it depends on the query parameter {name}",
    Cause.USER: "it depends on the user",
    Cause.ADDRESS: "it depends on the client's address",
    Cause.EDIT: "{name} changes it and does not drop it",
    Cause.LATE_COMMIT: "{name} changes it after it was answered",
    Cause.TAG: "{name} misspells its tag",
    Cause.LIFETIME: "its data change within its lifetime",
    Cause.RANDOM: "it is never the same",
    Cause.UNKNOWN: "its answers differ",
}


def text_of(routes: Sequence[RouteReport]) -> str:
    """All routes, with what was found of each."""
    if not routes:
        return "Nothing was observed."
    return "\n\n".join("\n".join(_route(one)) for one in routes)


def _route(one: RouteReport) -> Iterator[str]:
    yield one.route
    if one.rule:
        yield (
            f"  {_count(one.requests, 'request')}, {one.ratio:.0%} answered by the cache,"
            f" {_seconds(one.saved_seconds)} of {_seconds(one.origin_seconds)} and"
            f" {_size(one.saved_bytes)} saved, {_size(one.memory)} of memory"
        )
        yield f"  {_count(one.wrong, 'wrong answer')}" + _aged(one.aged)
    else:
        yield (
            f"  {_count(one.requests, 'request')}, {_seconds(one.origin_seconds)}, without a rule;"
            f" {_size(one.memory)} of memory would be needed"
        )
    for finding in one.findings:
        yield from _finding(finding)
    if one.why:
        yield f"  {one.why}."
    if one.annotation is not None:
        yield f"  Write: {one.annotation}"


def _aged(count: int) -> str:
    return f", {count} older than the data within a lifetime that fits" if count else ""


def _finding(finding: Finding) -> Iterator[str]:
    title = _TITLES[finding.cause].format(name=finding.name or "another process")
    others = _others(finding.others)
    counted = f"{finding.wrong} wrong: " if finding.wrong else ""
    place = f", at {finding.place}" if finding.place else ""
    yield f"  - {counted}{title}{others}{place} ({finding.confidence:.0%} sure)"
    if finding.remedy:
        yield f"    {finding.remedy}."
    if finding.annotation is not None:
        yield f"    {finding.annotation}"


def _others(others: Iterable[tuple[str, str]]) -> str:
    return "".join(f" or the {kind} {name}".rstrip() for kind, name in others)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"


def _size(size: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size} bytes"
