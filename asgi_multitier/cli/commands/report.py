"""`asgi-multitier report`: what shadow mode and audits have found, and what to write."""

from argparse import ArgumentParser, Namespace
from typing import Any

from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import Door, checked
from ..exits import CommandError, Exit
from ..figures import duration, percent, size
from ..output import Output

_OF_MUTATIONS = frozenset(("edit", "late-commit", "tag"))
"""Causes whose remedy is written at the mutation that they name."""

_HEAD = ("ROUTE", "RULE", "REQUESTS", "HIT%", "SAVED", "MEMORY", "WRONG", "LIFETIME", "NOT MET")

_MET = frozenset(("hit", "stale", "miss", "coalesced", "no-rule"))
"""What becomes of requests that meet the cache; and why others do not, which has a column."""


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("--route", help="only this route, such as 'GET /prices/{id}'")
    parser.add_argument(
        "--process", action="store_true", help="the process that answers, not all of its machine"
    )
    parser.add_argument(
        "--annotations",
        action="store_true",
        help="only what can be pasted, below the route that it is for",
    )
    parser.add_argument(
        "--clear", action="store_true", help="begin again: what is shown is forgotten"
    )


async def _run(given: Namespace, output: Output) -> Exit:
    async with door_of(given, output) as door:
        report = await _asked(door, "process" if given.process else "host", clear=given.clear)
    if given.route is not None:
        report = {**report, "routes": [r for r in report["routes"] if r["route"] == given.route]}
        if not report["routes"]:
            raise CommandError(Exit.USAGE, f"--route {given.route}: nothing was observed of it")
    output.json(report)
    if given.annotations:
        _show_annotations(report, output)
    else:
        _show(report, output)
    if any(route["wrong"] for route in report["routes"]):
        return Exit.FINDING
    return Exit.OK if report["complete"] else Exit.DEGRADED


async def _asked(door: Door, scope: str, *, clear: bool) -> dict[str, Any]:
    if clear:
        answer = await door.ask("POST", "api/report", None, {"clear": True, "scope": scope})
    else:
        answer = await door.ask("GET", "api/report", {"scope": scope})
    if answer.status == 409:
        raise CommandError(
            Exit.USAGE,
            f"{door.name}: {answer.value['detail']}",
            "asgi-multitier mode shadow",
        )
    found: dict[str, Any] = checked(door, answer).value
    return found


def _show(report: dict[str, Any], output: Output) -> None:
    _heading(report, output)
    if not report["routes"]:
        output.line("no request was observed yet")
        return
    output.table(_HEAD, map(_row, report["routes"]))
    for route in report["routes"]:
        _tell(route, output)


def _heading(report: dict[str, Any], output: Output) -> None:
    missing = sum(1 for worker in report["workers"] if worker["missing"])
    asked, wrong = len(report["workers"]), report["wrong"]
    answers = f"{wrong:,} wrong answer{'' if wrong == 1 else 's'}"
    output.line(
        (report["namespace"], "bold"),
        f"   {asked - missing} worker{'' if asked - missing == 1 else 's'}",
        (f" ({missing} did not answer)", "yellow") if missing else "",
        f"   {report['requests']:,} requests in {_span(report['seconds'])}   ",
        (answers, "red" if wrong else "green"),
        f"   {report['pending']:,} still compared" if report["pending"] else "",
        "" if report["observes"] else ("   not observed now", "yellow"),
    )


def _span(seconds: float) -> str:
    """A long time in short."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _row(route: dict[str, Any]) -> tuple[object, ...]:
    """Figures: those that it would have had, or would have with what is proposed."""
    ruled, requests = route["rule"], route["requests"]
    hits = route["hits" if ruled else "possible_hits"]
    not_met = [f"{word} {count:,}" for word, count in route["would"].items() if word not in _MET]
    return (
        route["route"],
        "yes" if ruled else "none",
        requests,
        round(100 * hits / requests, 1) if requests and (ruled or hits) else None,
        duration(route["saved_seconds" if ruled else "possible_seconds"]),
        size(route["memory"]),
        route["wrong"] if ruled else None,
        None if route["lifetime"] is None else _span(route["lifetime"]),
        ", ".join(not_met[:3]),
    )


def _tell(route: dict[str, Any], output: Output) -> None:
    """The causes of one route, the likeliest first, and what can be pasted."""
    pasted = to_paste(route)
    if not (route["findings"] or pasted or route["why"]):
        return
    output.line()
    output.line((route["route"], "bold"))
    for finding in route["findings"]:
        place = f" at {finding['place']}" if finding["place"] else ""
        sure = f"   {percent(finding['confidence'])} sure" if finding["confidence"] else ""
        count = f"{finding['wrong']:,} wrong" if route["rule"] else "answers differ"
        output.line("  ", (_cause(finding), "red"), f"   {count}{place}{sure}")
        output.line(f"    {finding['remedy']}")
    if route["why"]:
        output.line(f"  {route['why']}")
    if route["aged"]:
        output.line(f"  {route['aged']:,} hits were of older data, within their lifetime")
    if route["share"] < 1:
        output.line(f"  compared: {percent(route['share'])} of its keys")
    for where, texts in pasted.items():
        output.line(("  # " + where, "dim"))
        for text in texts:
            output.line("  ", (text, "green"))


def _cause(finding: dict[str, Any]) -> str:
    """A cause in short, with what explains the answers as well."""
    pairs = [(finding["cause"], finding["name"])]
    pairs += [(one["cause"], one["name"]) for one in finding["others"]]
    return " or ".join(f"{cause} {name}".rstrip() for cause, name in pairs)


def _show_annotations(report: dict[str, Any], output: Output) -> None:
    """What can be pasted: the route that it is for stands above it as a comment."""
    pasted: dict[str, list[str]] = {}
    for route in report["routes"]:
        for where, texts in to_paste(route).items():
            pasted.setdefault(where, []).extend(texts)
    for where, texts in pasted.items():
        output.line(f"# {where}")
        for text in dict.fromkeys(texts):
            output.line(text)


def to_paste(route: dict[str, Any]) -> dict[str, list[str]]:
    """Annotations by the route that they are for: of all findings of a route together its own."""
    found: dict[str, list[str]] = {}
    if route["annotation"]:
        found[route["route"]] = [route["annotation"]]
    for finding in route["findings"]:
        if finding["annotation"] and finding["cause"] in _OF_MUTATIONS:
            found.setdefault(finding["name"], []).append(finding["annotation"])
    return found


COMMAND = Command(
    "report",
    "What shadow mode and audits have found: wrong answers, their causes, and what to write.",
    _arguments,
    _run,
)
