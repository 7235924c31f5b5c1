"""What `make` runs is there: pytest passes over what it is to ignore and does not find."""

import re
from pathlib import Path

from tests.compat import plan

ROOT = Path(__file__).parent.parent


def test_files_that_make_names_are_there() -> None:
    """In the Makefile, and in the plan of what is tried with other versions."""
    named = {*re.findall(r"tests/[\w/]+\.py", (ROOT / "Makefile").read_text())}
    named |= {*plan.TABLE, *plan.ROUTES, *plan.STORES}

    assert len(named) >= 5
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_folders_that_make_names_are_there() -> None:
    """Those whose tests need no other process, and those that run on the oldest packages."""
    text = (ROOT / "Makefile").read_text()
    folders = {*re.findall(r"tests/\w+(?=[ \n])", text)}

    assert {"tests/asgi", "tests/redis"} <= folders
    assert {name for name in folders if not (ROOT / name).is_dir()} == set()
