"""Runs the tests of the protocols on versions of uvicorn, and uvicorn's own tests on them.

    python -m tests.uvicorn.supported            all that are listed here
    python -m tests.uvicorn.supported 0.54

Each version is installed into a directory of its own, which stands before the environment's.
uvicorn's tests come with its source distribution; the installed version's are run, with the
protocols here in place of its own.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version as installed
from pathlib import Path

VERSIONS = (
    "0.32.0",
    "0.34.3",
    "0.38.0",
    "0.42.0",
    "0.46.0",
    "0.50.2",
    "0.52.4",
    "0.53.0",
    "0.54.0",
)
"""The oldest that is supported, and one after each change of its protocols."""

ROOT = Path(__file__).parents[2]

PLUGIN = """
import logging
from uvicorn.protocols.http import h11_impl, httptools_impl
from asgi_multitier import uvicorn as front

own = front.HttpToolsProtocol, front.H11Protocol
httptools_impl.HttpToolsProtocol, h11_impl.H11Protocol = own
# These applications have no cache, and the line that says so is not what the tests look for.
logging.getLogger("asgi_multitier").setLevel(logging.CRITICAL)
"""

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def _pytest(name: str, cwd: Path, path: list[Path], *arguments: str) -> bool:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [*PYTEST, *arguments]
    run = subprocess.run(command, check=False, cwd=cwd, env=environment, capture_output=True)
    print(f"{name}: {run.stdout.decode().strip().splitlines()[-1]}", flush=True)
    return run.returncode == 0


def holds(version: str, directory: Path) -> bool:
    """Install one version, and run the tests here against it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(directory), f"uvicorn=={version}"], check=True)
    return _pytest(f"uvicorn {version}", ROOT, [directory, ROOT], "--no-cov", "tests/uvicorn")


def passes_own(directory: Path) -> bool:
    """Run the installed version's tests of HTTP with the protocols here."""
    version = installed("uvicorn")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    source = ["--no-binary", "uvicorn", "--dest", str(directory), f"uvicorn=={version}"]
    subprocess.run([*pip, *source], check=True)
    (archive,) = directory.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(directory, filter="data")
    (directory / "front_plugin.py").write_text(PLUGIN)
    settings = ["-p", "front_plugin", "-p", "no:pytest_asgi_multitier", "-p", "no:asyncio"]
    settings += ["-o", "addopts=", "-o", "filterwarnings=default"]
    return _pytest(
        f"the tests of uvicorn {version}",
        directory / f"uvicorn-{version}",
        [directory, ROOT],
        *settings,
        "tests/protocols/test_http.py",
    )


def main(chosen: list[str]) -> int:
    """Run on all versions, or on those that begin so; the number of runs that failed."""
    versions = [one for one in VERSIONS if not chosen or one.startswith(tuple(chosen))]
    failed = 0
    for version in versions:
        with tempfile.TemporaryDirectory() as directory:
            failed += not holds(version, Path(directory))
    with tempfile.TemporaryDirectory() as directory:
        failed += not passes_own(Path(directory))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
