"""What `make compat` would do, as far as it can be known without doing it."""

import subprocess
from pathlib import Path

import pytest
from packaging.version import Version

from tests.compat.__main__ import chosen_by
from tests.compat.environments import TOOLS, bounds
from tests.compat.plan import SUBJECTS
from tests.compat.serving import SERVERS


def test_each_tool_and_server_has_an_oldest_version() -> None:
    """An environment is made with these bounds, and the oldest server is tried."""
    servers = {server.packages[0] for server in SERVERS.values()}
    for name in {*TOOLS, *servers}:
        found = [each for each in bounds()[name].specifier if each.operator == ">="]
        assert [Version(each.version) for each in found], name


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("litestar,servers", {"litestar": [], "servers": []}),
        ("litestar servers", {"litestar": [], "servers": []}),
        ("fastapi=0.115", {"fastapi": ["0.115"]}),
        ("fastapi=0.115,0.140", {"fastapi": ["0.115", "0.140"]}),
        ("fastapi=0.115,0.140,quart", {"fastapi": ["0.115", "0.140"], "quart": []}),
        ("quart,fastapi=1,2 django=5,", {"quart": [], "fastapi": ["1", "2"], "django": ["5"]}),
        ("fastapi=1,quart,2", {"fastapi": ["1"], "quart": [], "2": []}),
        ("", {subject: [] for subject in SUBJECTS}),
    ],
)
def test_what_is_chosen(words: str, chosen: dict[str, list[str]]) -> None:
    """A comma separates subjects, and versions of one subject."""
    assert chosen_by(words.split()) == chosen


def test_make_passes_it_on_as_it_is_written() -> None:
    """With the commas."""
    # In a run of `make test`, which says in its environment that it is one, a make says more.
    command = ["make", "-n", "--no-print-directory", "-o", ".venv/.installed-dev", "compat"]
    command.append("ONLY=fastapi=0.1,0.2,quart")
    root = Path(__file__).parents[2]
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)

    assert run.stdout.splitlines()[-1].endswith("-m tests.compat fastapi=0.1,0.2,quart")
