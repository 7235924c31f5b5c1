"""A runtime directory for each test, with a path that is short enough for sockets."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the private directories lie."""
    with tempfile.TemporaryDirectory(prefix="r-") as made:
        monkeypatch.setenv("XDG_RUNTIME_DIR", made)
        yield Path(made)
