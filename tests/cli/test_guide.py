"""The page on the command line names what there is."""

import re
from pathlib import Path

from asgi_multitier.cli.commands import COMMANDS
from asgi_multitier.cli.exits import Exit
from asgi_multitier.cli.main import parser_of
from tests.cli.test_real import WAYS
from website.command_options import written_again

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "command-line.md").read_text()
EVERYWHERE = [page.read_text() for page in sorted(DOCS.rglob("*.md"))]


def test_each_command_is_named() -> None:
    """In the table, and no other."""
    table = PAGE.partition("\n\n```console")[0]
    named = {words.split()[0] for words in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)}

    assert named == {command.name for command in COMMANDS}


def test_table_of_options_is_that_of_the_parser() -> None:
    """Where it is not, `python -m website.command_options` writes it again."""
    assert written_again(PAGE) == PAGE


def test_each_exit_code_is_named() -> None:
    """With what it means."""
    table = re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE)

    assert {int(code) for row in table for code in row.split(",")} == {int(code) for code in Exit}


def test_examples_can_be_read() -> None:
    """Each command that the pages show is one that the parser takes."""
    shown = [
        line
        for page in EVERYWHERE
        for line in re.findall(
            r"`asgi-multitier ([^`]+)`|^\$ asgi-multitier (.+)$", page, re.MULTILINE
        )
    ]
    parser = parser_of(COMMANDS)
    for words in (inner or outer for inner, outer in shown):
        parser.parse_args(re.findall(r"'[^']*'|\S+", words))

    assert len(shown) >= 15


def test_each_way_has_the_commands_that_it_says() -> None:
    """The server of the log has the fewest."""
    [row] = re.findall(r"^\| the server of the log \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", row)) == WAYS["redis"]
