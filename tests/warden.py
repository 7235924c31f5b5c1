"""Ends the processes that an interrupted run of the tests has left.

A run that is killed cannot stop the servers it started, nor what these have started in turn, in
sessions of their own. So every process of a run inherits a mark in its environment, and the warden,
a process of its own, waits at a pipe that closes when the run is gone, however it went. Then it
kills all that bear the mark. Needs Linux's `/proc`; elsewhere there is no warden.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

NAME = "TEST_RUN"
"""The variable that holds the mark."""

PROCESSES = Path("/proc")

_ROUNDS = 100


def marked(mark: str) -> list[int]:
    """The processes that have inherited the mark, as far as this user may see."""
    return [
        int(process.name)
        for process in PROCESSES.iterdir()
        if process.name.isdigit() and _bears(process, mark)
    ]


def _bears(process: Path, mark: str) -> bool:
    with suppress(OSError):
        return f"{NAME}={mark}".encode() in (process / "environ").read_bytes().split(b"\0")
    return False


class Warden:
    """Watches over this process, whose children bear the mark from now on."""

    def __init__(self) -> None:
        self.mark = token_hex(16)
        reading, self._writing = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-m", "tests.warden", self.mark],
            cwd=Path(__file__).parent.parent,
            stdin=reading,
            stdout=subprocess.DEVNULL,
            # Ctrl-C in a terminal is not for the warden.
            start_new_session=True,
        )
        os.close(reading)
        os.environ[NAME] = self.mark
        # A fork that lives on would keep it waiting.
        os.register_at_fork(after_in_child=self._let_go)

    def _let_go(self) -> None:
        with suppress(OSError):
            os.close(self._writing)

    def dismiss(self) -> None:
        """The run is over: what it has left ends now."""
        self._let_go()
        self._process.wait()


def begin() -> Warden | None:
    """A warden of this run; None if the run has one already, or none can watch here."""
    if NAME in os.environ or not (PROCESSES / "self" / "environ").exists():
        return None
    return Warden()


def main(mark: str) -> None:
    """Wait for the end of the run, and kill what it has left until nothing is left."""
    sys.stdin.buffer.read()
    for _ in range(_ROUNDS):
        left = marked(mark)
        if not left:
            return
        for process in left:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1])
