"""Runs the tests of routes against the newest FastAPI of each minor that the package supports.

    python -m tests.compatibility            all of them
    python -m tests.compatibility 0.115 0.141

Each version is installed into a directory of its own, which stands before the environment's.
"""

import os
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

OLDEST = (0, 115, 0)
TESTS = (
    "tests/routing/test_fastapi_versions.py",
    "tests/routing/test_foreign.py",
    "tests/asgi/guarded/test_hits.py",
    "tests/asgi/guarded/test_layers.py",
    "tests/asgi/guarded/test_annotations.py",
    "tests/asgi/guarded/test_runs.py",
    "tests/asgi/guarded/test_ways.py",
    "tests/asgi/guarded/test_hostile.py",
)
ROOT = Path(__file__).parent.parent


def newest_of_each_minor() -> list[str]:
    """The versions that the registry has, from the oldest that is supported."""
    command = [sys.executable, "-m", "pip", "index", "versions", "fastapi"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (line,) = [line for line in said.splitlines() if line.startswith("Available versions:")]
    texts = line.partition(":")[2].replace(" ", "").split(",")
    versions = sorted(
        version
        for text in texts
        if len(version := tuple(int(part) for part in text.split(".") if part.isdigit())) == 3
        and version >= OLDEST
    )
    newest = [list(group)[-1] for _, group in groupby(versions, key=lambda version: version[:2])]
    return [".".join(map(str, version)) for version in newest]


def holds(version: str, directory: Path) -> bool:
    """Install one version and run the tests against it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(directory)]
    subprocess.run([*pip, f"fastapi=={version}", "httpx", "python-multipart"], check=True)
    path = os.pathsep.join((str(ROOT), str(directory)))
    tests = [sys.executable, "-m", "pytest", "-q", "--no-cov", "-p", "no:cacheprovider", *TESTS]
    run = subprocess.run(
        tests, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True
    )
    print(f"fastapi {version}: {run.stdout.decode().strip().splitlines()[-1]}", flush=True)
    return run.returncode == 0


def main(chosen: list[str]) -> int:
    """Run against all versions, or against those that begin so; the number that failed."""
    versions = newest_of_each_minor()
    if chosen:
        versions = [v for v in versions if v.startswith(tuple(f"{each}." for each in chosen))]
    failed = []
    for version in versions:
        with tempfile.TemporaryDirectory() as directory:
            if not holds(version, Path(directory)):
                failed.append(version)
    print(f"{len(versions)} versions, failed: {', '.join(failed) or 'none'}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
