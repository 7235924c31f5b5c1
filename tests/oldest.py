"""Runs pytest where each package is as old as pyproject.toml allows.

    python -m tests.oldest tests/redis -x

An environment of its own is made, and removed again: what pyproject.toml names, extras and the
packages of the tests included, in the version of its lower bound; what those need in turn as new
as they allow. A bound that no version has does not install. What old packages use of new ones may
be deprecated by now: here alone, that is no error.
"""

import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def lower_bounds() -> Iterator[str]:
    """A line of pip's constraints, `name==version`, for each package that is named."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = read["project"]
    groups = (*project["optional-dependencies"].values(), *read["dependency-groups"].values())
    for text in chain(project["dependencies"], *groups):
        if isinstance(text, dict):  # another group is part of this one
            continue
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            (oldest,) = (each.version for each in requirement.specifier if each.operator == ">=")
            yield f"{requirement.name}=={oldest}\n"


def install(directory: Path) -> str:
    """Make an environment with those versions, and return its Python."""
    venv.create(directory, with_pip=True)
    python = str(directory / "bin" / "python")
    constraints = directory / "constraints.txt"
    constraints.write_text("".join(lower_bounds()))
    pip = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    everything = ["--constraint", str(constraints), "--editable", ".", "--group", "dev"]
    subprocess.run([*pip, *everything], check=True, cwd=ROOT)
    return python


def main(arguments: list[str]) -> int:
    """Install, and run pytest with these arguments; its exit code."""
    with tempfile.TemporaryDirectory() as directory:
        python = install(Path(directory))
        tests = [python, "-m", "pytest", "-W", "default::DeprecationWarning", *arguments]
        return subprocess.run(tests, check=False, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
