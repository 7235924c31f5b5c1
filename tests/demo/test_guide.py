"""The text in the terminal, and the page of the documentation."""

import re
import sys
from typing import Any

import pytest

from demo_app.fleet.fleet import Fleet
from demo_app.fleet.guide import COMMANDS, guide
from demo_app.fleet.instance import ROOT
from tests.demo.support import PAGES, TOKEN

pytestmark = pytest.mark.no_cover  # the package has no part in it

DOCUMENT = (ROOT / "docs/guides/demo.md").read_text()
MARKUP = (ROOT / "demo_app/page/index.html").read_text()


class Part:
    """A part of a fleet that is no process."""

    def __init__(self, name: str, framework: str, port: int) -> None:
        self.name = name
        self.framework = framework
        self.address = f"http://127.0.0.1:{port}"
        self.url = f"redis://127.0.0.1:{port}"
        self.code = None


def test_terminal_says_where_everything_is() -> None:
    """The instances, the page with the token, and the commands with both."""
    parts: list[Any] = [Part("A", "fastapi", 8001), Part("B", "starlette", 8002)]
    valkey: Any = Part("valkey", "", 6400)
    lines = guide(Fleet(parts, valkey, TOKEN, PAGES[0])).splitlines()

    assert lines[0] == "Edit on A: B never shows the old price."
    assert "  B  http://127.0.0.1:8002  Starlette, memory and redis://127.0.0.1:6400" in lines
    assert f"  {PAGES[0]}/#{TOKEN}" in lines
    assert f"  A=http://127.0.0.1:8001 B=http://127.0.0.1:8002 PAGE={PAGES[0]}" in lines
    assert f"  TOKEN={TOKEN}" in lines
    assert f"  PY={sys.executable}" in lines
    assert max(len(line) for line in lines if line[:5] != "  PY=") <= 100


def test_documentation_has_the_commands_of_the_terminal() -> None:
    """Word for word."""
    assert f"```sh\n{COMMANDS}\n```" in DOCUMENT


def test_documentation_names_buttons_that_are_there() -> None:
    """Those that the page has from the beginning; the others carry the names of their parts."""
    named = set(re.findall(r"^\| \*(.+?)\* \|", DOCUMENT, re.MULTILINE))
    there = set(re.findall(r"<button [^>]*>(.+?)</button>", MARKUP))

    assert named - there == {"Kill Valkey", "Kill instance B"}
