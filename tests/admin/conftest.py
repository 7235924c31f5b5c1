"""Fixtures of the admin application's tests."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_machine(runtime: Path) -> Path:
    """No worker of another test is reached: what is asked for a whole machine stays in the test."""
    return runtime
