"""The options of each command, as a table of the page on the command line.

    python -m website.command_options

writes the table again, from what the parser of the command line accepts.
"""

import re
from argparse import SUPPRESS, Action, ArgumentParser, _HelpAction, _SubParsersAction
from pathlib import Path

from asgi_multitier.cli.commands import COMMANDS
from asgi_multitier.cli.main import parser_of

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"
HEADING = "## Options of each command\n"

_FEW = 3
"""Commands that are named; an option of more of them stands first."""

_NONE: tuple[object, ...] = (None, False, SUPPRESS, "", [], 0.0)
"""Defaults that need no word."""

_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)


def table() -> str:
    """The rows: first the options that several commands have, then those of each."""
    parsers = _parsers()
    owners: dict[str, list[str]] = {}
    for command, parser in parsers.items():
        for action in parser._actions:
            if isinstance(action, _HelpAction):
                continue
            row = f"{_written(action)} | {_meaning(action)}"
            owners.setdefault(row, []).append(command)
    rows = sorted(owners, key=lambda row: -len(owners[row]))
    rows.sort(key=lambda row: [*parsers].index(owners[row][0]) if len(owners[row]) <= _FEW else -1)
    lines = [f"| {_named(owners[row], parsers)} | {row} |\n" for row in rows]
    return "| command | option | meaning |\n|---|---|---|\n" + "".join(lines)


def written_again(page: str) -> str:
    """The page with the table of now under its heading."""
    before, heading, after = page.partition(HEADING)
    return before + heading + _TABLE.sub(lambda _: table(), after, count=1)


def _parsers() -> dict[str, ArgumentParser]:
    (commands,) = (
        action for action in parser_of(COMMANDS)._actions if isinstance(action, _SubParsersAction)
    )
    return dict(commands.choices)


def _named(owners: list[str], parsers: dict[str, ArgumentParser]) -> str:
    if len(owners) <= _FEW:
        return ", ".join(f"`{name}`" for name in owners)
    without = [f"`{name}`" for name in parsers if name not in owners]
    return f"all but {' and '.join(without)}" if without else "all"


def _written(action: Action) -> str:
    value = "" if action.nargs == 0 else f" {_value(action)}"
    if not action.option_strings:
        return f"`{_value(action)}`"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _value(action: Action) -> str:
    shown = action.metavar or action.dest.upper()
    return shown if isinstance(shown, str) else " ".join(shown)


def _meaning(action: Action) -> str:
    chosen = "" if action.choices is None else ", ".join(f"`{one}`" for one in action.choices)
    said = "" if action.help is None else action.help
    default = action.default
    if default in _NONE or "default" in said or f"({default})" in said:
        default = ""
    else:
        default = f"default: {default}"
    return "; ".join(filter(None, (chosen, said, default)))


if __name__ == "__main__":
    PAGE.write_text(written_again(PAGE.read_text()))
