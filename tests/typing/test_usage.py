"""The public API as a type checker sees it: one run over a file of snippets and the examples."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from mypy import api

from asgi_multitier import CacheConfig
from asgi_multitier.config.process import Settings

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

ROOT = Path(__file__).parents[2]
USAGE = Path(__file__).with_name("usage.py")


@pytest.mark.timeout(300)
def test_a_type_checker_sees_what_is_right_and_what_is_wrong() -> None:
    """Each marked line has the error it names, and nothing else has one, examples included."""
    expected = {
        (USAGE.name, number, mark[1])
        for number, line in enumerate(USAGE.read_text().splitlines(), 1)
        if (mark := re.search(r"# E: ([\w-]+)$", line))
    }
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


def test_settings_are_the_attributes_of_the_configuration() -> None:
    """A new attribute can be given wherever settings are."""
    assert set(Settings.__annotations__) == {field.name for field in fields(CacheConfig)}
