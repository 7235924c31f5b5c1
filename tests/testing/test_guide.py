"""The application and the tests of the guide do what the guide says."""

import re
from pathlib import Path

import pytest

from asgi_multitier import testing
from tests.testing.support import INI

pytest_plugins = ["pytester"]

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "testing.md").read_text()


def test_the_tests_of_the_guide_pass(pytester: pytest.Pytester) -> None:
    """All of them, without and with the detector."""
    for name, text in re.findall(r"```py\n# (\w+)\.py\n(.*?)```", GUIDE, re.DOTALL):
        pytester.makepyfile(**{name: text})
    pytester.makefile(".ini", pytest=INI)
    pytester.syspathinsert()

    options = ("-p", "pytest_asgi_multitier", "-p", "no:cacheprovider")
    pytester.runpytest_inprocess(*options).assert_outcomes(passed=12)
    pytester.runpytest_inprocess(*options, "--cache-detect").assert_outcomes(passed=12)


def test_all_assertions_are_in_the_guide() -> None:
    """By name."""
    names = [name for name in testing.__all__ if name.startswith(("assert_", "cache_"))]

    assert [name for name in names if f"`{name}(" not in GUIDE] == []
