"""Ends the processes that an interrupted run of the tests has left, and removes its files.

A run that is killed cannot stop the servers it started, nor what these have started in turn, in
sessions of their own. So every process of a run inherits a mark in its environment, and the warden,
a process of its own, waits at a pipe that closes when the run is gone, however it went. Then it
kills all that bear the mark, and removes the folder in which the run kept its temporary files.
Processes are found in Linux's `/proc`; elsewhere only the folder is removed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

NAME = "TEST_RUN"
"""The variable that holds the mark."""

PROCESSES = Path("/proc")

_ROUNDS = 100
_SHORT = "/tmp"


def marked(mark: str) -> list[int]:
    """The processes that have inherited the mark, as far as this user may see."""
    if not (PROCESSES / "self" / "environ").exists():
        return []
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
    """Watches over this process, whose children bear the mark from now on.

    Attributes:
        mark: The mark.
        folder: Where this process and its children make temporary files from now on. Its path is
            short: sockets lie in it.
    """

    def __init__(self) -> None:
        self.mark = token_hex(16)
        self.folder = tempfile.mkdtemp(prefix="amt-", dir=_SHORT)
        reading, self._writing = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-m", "tests.warden", self.mark, self.folder],
            cwd=Path(__file__).parent.parent,
            stdin=reading,
            stdout=subprocess.DEVNULL,
            # Ctrl-C in a terminal is not for the warden.
            start_new_session=True,
        )
        os.close(reading)
        os.environ.update({NAME: self.mark, "TMPDIR": self.folder, "XDG_RUNTIME_DIR": self.folder})
        tempfile.tempdir = None
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
    """A warden of this run; None if the run has one already."""
    return None if NAME in os.environ else Warden()


def main(mark: str, folder: str) -> None:
    """Wait for the end of the run, kill what it has left until nothing is left, and tidy up."""
    sys.stdin.buffer.read()
    _kill(mark)
    shutil.rmtree(folder, ignore_errors=True)


def _kill(mark: str) -> None:
    for _ in range(_ROUNDS):
        left = marked(mark)
        if not left:
            return
        for process in left:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
