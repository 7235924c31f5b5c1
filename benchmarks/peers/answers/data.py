"""What the endpoints read: files of `PEER_FOLDER`, as several processes share them."""

import os
from collections import Counter
from pathlib import Path

LIFETIME = 3600
SHORT = 1
"""Seconds that the response of `/fragile` is fresh."""

RUNS: Counter[str] = Counter()
"""How often each endpoint has run in this process."""


def lifetime(path: str) -> int:
    """Seconds that the response of a path is fresh."""
    return SHORT if path.startswith("/fragile") else LIFETIME


def _file(name: str) -> Path:
    return Path(os.environ["PEER_FOLDER"], name)


def version(name: str) -> int:
    """The version of a row that is current now."""
    file = _file(name)
    return int(file.read_text()) if file.exists() else 0


def edit(name: str) -> int:
    """The next version of a row."""
    _file(name).write_text(str(version(name) + 1))
    return version(name)


def down() -> bool:
    """Whether what the application needs is away."""
    return _file("down").exists()


def run(name: str) -> int:
    """Count a run of an endpoint, and return its number."""
    RUNS[name] += 1
    return RUNS[name]
