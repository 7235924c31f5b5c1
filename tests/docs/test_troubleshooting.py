"""Troubleshooting names what the package says: lines of its log, reasons, messages of commands."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.pages import DOCS, ROOT

PAGE = (DOCS / "guides/troubleshooting.md").read_text()
REASONS = (DOCS / "reference/cache-status.md").read_text()


def first_cells(heading: str) -> Iterator[str]:
    """What stands first in the rows of the tables under a heading, where it is code."""
    for row in PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0].splitlines():
        if row.startswith("| "):
            yield row.split(" | ")[0].removeprefix("| ")


def coded(cells: Iterator[str]) -> list[str]:
    """The pieces in backquotes, without what dots stand for."""
    return [
        piece
        for cell in cells
        for code in re.findall(r"`(.+?)`", cell)
        for piece in code.split("...")
    ]


@cache
def said() -> str:
    """All texts in the package's code."""
    files = sorted((ROOT / "asgi_multitier").rglob("*.py"))
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    found = (node.value for node in nodes if isinstance(node, ast.Constant))
    return "\n".join(text for text in found if isinstance(text, str))


LINES = [
    piece
    for piece in coded(first_cells("It does not start"))
    if " " in piece.strip() and piece != "address already in use"
]


@pytest.mark.parametrize("piece", LINES)
def test_lines_of_the_log_are_said(piece: str) -> None:
    """Each is in the code; the other one is the operating system's, and tests/tutorial sees it."""
    assert piece.strip() in said()


def test_messages_of_commands_are_said() -> None:
    """Those that the page explains."""
    pieces = coded(first_cells("The command finds no cache"))

    assert len(pieces) >= 4
    assert [piece for piece in pieces if piece != "--redis" and piece not in said()] == []


def test_reasons_are_in_the_list() -> None:
    """Each reason for no hit is one that Cache-Status has."""
    reasons = coded(first_cells("Never a hit"))

    assert {"cookie", "no-rule", "method-override"} <= set(reasons)
    assert [reason for reason in reasons if f"`{reason}`" not in REASONS] == []
