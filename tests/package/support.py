"""Releases that are built for tests."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(project: Path, target: str, into: Path) -> Path:
    """Build with the back end alone: no network, no other environment.

    Args:
        project: Where `pyproject.toml` is.
        target: `"sdist"` or `"wheel"`.
        into: Where the file is put.
    """
    into.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "-d", str(into)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (built,) = into.iterdir()
    return built
