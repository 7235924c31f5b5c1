"""`asgi-multitier explain`: what would become of a request that is not sent."""

from argparse import ArgumentParser, Namespace
from typing import Any

from ..command import Command
from ..doors.choosing import add_target, door_of
from ..doors.door import checked
from ..exits import CommandError, Exit
from ..output import Output, Style

_STYLES: dict[str, Style] = {"hit": "green", "stale": "green", "bypass": "yellow", "refused": "red"}


def _arguments(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("target", metavar="URL", help="or a path, as a client sends it")
    parser.add_argument("-X", "--method", default="GET", help="default: GET")
    parser.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a field of the request; may be repeated",
    )


async def _run(given: Namespace, output: Output) -> Exit:
    headers = [_field(text) for text in given.header]
    body = {"method": given.method, "url": given.target, "headers": headers}
    async with door_of(given, output) as door:
        answer = checked(door, await door.ask("POST", "api/explain", None, body))
    told: dict[str, Any] = answer.value
    output.json(told)
    verdict = str(told["verdict"])
    output.line((verdict.upper(), _STYLES.get(verdict, "bold")), f"   {told['sentence']}")
    for name, text in _details(told):
        output.line((f"  {name:<8} ", "dim"), text)
    return Exit.OK


def _field(text: str) -> list[str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise CommandError(
            Exit.USAGE, "--header is not allowed; expected 'Name: value', such as 'Accept: */*'"
        )
    return [name.strip(), value.strip()]


def _details(told: dict[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    rule = told.get("rule")
    if rule and (rule.get("chosen_by") != "no-rule" or rule.get("endpoint")):
        lifetime = rule.get("lifetime")
        seconds = "" if lifetime is None else f"   {lifetime:g} s"
        place = rule.get("endpoint") or rule.get("route") or ""
        found.append(("rule", f"{rule.get('chosen_by')} on {place}{seconds}"))
    key = told.get("key")
    if key:
        found.append(("key", f"{key['digest']}   of {', '.join(key.get('parts', ()))}"))
    if told.get("tags"):
        found.append(("tags", ", ".join(told["tags"])))
    found += [("entry", _entry(entry)) for entry in told.get("entries") or ()]
    found += [
        ("dropped", f"by {one['by']}: {one['kind']} {one['text']}")
        for one in told.get("dropped_by") or ()
    ]
    found += [("drops", f"{one['kind']} {one['text']}") for one in told.get("drops") or ()]
    if told.get("unknown"):
        found.append(("unknown", f"may decide: {', '.join(told['unknown'])}"))
    if told.get("remedy"):
        found.append(("fix", f"{told['remedy']}   {told.get('docs') or ''}".rstrip()))
    return found


def _entry(entry: dict[str, Any]) -> str:
    parts = [f"L{entry['tier']} {entry['name']}", str(entry["state"])]
    for name, unit in (("age", "s old"), ("ttl", "s left")):
        if entry.get(name) is not None:
            parts.append(f"{entry[name]:.1f} {unit}")
    parts += [_cause(one) for one in entry.get("dropped_because") or ()]
    return "   ".join(parts)


def _cause(one: dict[str, Any]) -> str:
    if one["cause"] != "selector":
        return f"dropped by {one['cause']}"
    record = f" in record {one['record']}" if one.get("record") else ""
    return f"dropped by {one.get('kind') or ''} {one.get('text') or ''}".rstrip() + record


COMMAND = Command("explain", "What would become of a request, and why.", _arguments, _run)
