"""The public API as type checkers see it: a run of each over snippets and the examples."""

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from mypy import api

from asgi_multitier import CacheConfig
from asgi_multitier.config.process import Settings

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

ROOT = Path(__file__).parents[2]
USAGE = Path(__file__).with_name("usage.py")

BOUNDED = pytest.mark.timeout(300)
"""A checker reads all packages that are used."""


def marked(marks: str) -> dict[int, str]:
    """The lines that must have an error, and its code in mypy."""
    lines = enumerate(USAGE.read_text().splitlines(), 1)
    return {
        number: mark[1]
        for number, line in lines
        if (mark := re.search(rf"# [{marks}]: ([\w-]+)$", line))
    }


@BOUNDED
def test_a_type_checker_sees_what_is_right_and_what_is_wrong() -> None:
    """Each marked line has the error it names, and nothing else has one, examples included."""
    expected = {(USAGE.name, number, code) for number, code in marked("EM").items()}
    out, problems, _ = api.run(
        [
            "--config-file",
            str(ROOT / "pyproject.toml"),
            "--hide-error-context",
            str(USAGE),
            str(ROOT / "examples"),
        ]
    )
    found = re.findall(r"^(?:.*/)?([\w.]+):(\d+): error: .*\[([\w-]+)\]$", out, re.MULTILINE)

    assert not problems
    assert expected == {(name, int(number), code) for name, number, code in found}, out


@BOUNDED
def test_pyright_sees_the_same(tmp_path: Path) -> None:
    """The lines that mypy refuses, but for those that say so, and no line of the examples."""
    config = tmp_path / "pyrightconfig.json"
    settings = {
        "include": [str(USAGE), str(ROOT / "examples")],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "standard",
        "pythonVersion": "3.11",
    }
    config.write_text(json.dumps(settings))
    program = [sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(config)]
    done = subprocess.run(
        [*program, "--pythonpath", sys.executable], capture_output=True, text=True, check=False
    )
    told = json.loads(done.stdout)
    found = {(one["file"], one["range"]["start"]["line"] + 1) for one in told["generalDiagnostics"]}

    assert told["summary"]["filesAnalyzed"] > len(list((ROOT / "examples").glob("*.py")))
    assert found == {(str(USAGE), number) for number in marked("E")}, done.stdout


def test_settings_are_the_attributes_of_the_configuration() -> None:
    """A new attribute can be given wherever settings are."""
    assert set(Settings.__annotations__) == {field.name for field in fields(CacheConfig)}
