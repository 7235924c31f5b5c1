"""A terminal of a reader: servers run in it until the next one, other commands to their end."""

import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.patience import wait_for

_MODULES = {"uvicorn": "uvicorn", "pytest": "pytest", "asgi-multitier": "asgi_multitier"}
_ASSIGNED = re.compile(r"[A-Z_]+=")


class Server:
    """A server that a line of a page starts.

    Args:
        line: The line, as it is typed.
        place: The reader's directory.
        environment: The reader's environment.
    """

    def __init__(self, line: str, place: Path, environment: dict[str, str]) -> None:
        self._log = place / f"server-{len(list(place.glob('server-*.log')))}.log"
        words = shlex.split(line)
        self._workers = int(words[words.index("--workers") + 1]) if "--workers" in words else 1
        with self._log.open("w") as log:
            self.process = start(line, place, environment, log.fileno())

    @property
    def said(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def wait(self) -> str:
        """Wait until it serves; what it has written until then."""
        wait_for(self._is_ready, seconds=20)
        return self.said

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(self.said)
        said = self.said
        started = said.count("Application startup complete.")
        return started == self._workers and "Uvicorn running on" in said

    def stop(self) -> str:
        """Ctrl-C, as the whole group gets it from a terminal; all that it has written."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.said


def start(
    line: str, place: Path, environment: dict[str, str], output: int = subprocess.PIPE
) -> "subprocess.Popen[str]":
    """Start what a line calls, from this environment's packages; its assignments hold for it."""
    words = shlex.split(line)
    assigned = dict(word.split("=", 1) for word in words if _ASSIGNED.match(word))
    program, *rest = words[len(assigned) :]
    return subprocess.Popen(
        [sys.executable, "-m", _MODULES[program], *rest],
        cwd=place,
        env={**environment, **assigned},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def output(line: str, place: Path, environment: dict[str, str]) -> str:
    """Run what a line calls to its end; what it has written."""
    process = start(line, place, environment)
    said, _ = process.communicate(timeout=120)
    return said
