"""Real uvicorn processes that serve `tests.asgi.served` or another application here."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.servers import free_port


class Worker:
    """One server process on a port of its own.

    It gets a socket that listens already: who connects before it is ready waits at the socket.

    Args:
        traces: The directory that the application notes its runs in.
        redis_url: Where Redis is.
        namespace: The cache's namespace.
        app: The module here and the name of the application in it.
        options: Further words for the command line.
    """

    def __init__(
        self, traces: Path, redis_url: str, namespace: str, app: str = "served:app", *options: str
    ) -> None:
        listening = socket.create_server(("127.0.0.1", free_port()), backlog=2_048)
        self.port = listening.getsockname()[1]
        environment = {
            **os.environ,
            "TRACES": str(traces),
            "REDIS_URL": redis_url,
            "ASGI_MULTITIER_NAMESPACE": namespace,
            "ASGI_MULTITIER_REDIS_TIMEOUT": "30",  # see `slow_machine`
            "PYTHONWARNINGS": "error::RuntimeWarning",
        }
        command = [sys.executable, "-m", "uvicorn", f"tests.asgi.{app}"]
        command += ["--fd", str(listening.fileno()), "--log-level", "warning", *options]
        with listening:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                pass_fds=[listening.fileno()],
            )
        # One host for all, as behind a load balancer: the host is part of every key.
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"host": "example.org"}, timeout=120
        )

    def wait(self) -> "Worker":
        """Wait until it answers."""
        try:
            self.client.get("/stats")
        except httpx.TransportError:
            raise RuntimeError(self.stop()) from None
        return self

    def stop(self, how: int = signal.SIGTERM, seconds: float = 120) -> str:
        """End it, and return what it said."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            said, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.client.close()
        return said


@contextmanager
def workers(number: int, traces: Path, redis_url: str, namespace: str) -> Iterator[list[Worker]]:
    """So many servers over one Redis."""
    made = [Worker(traces, redis_url, namespace) for _ in range(number)]
    try:
        yield [worker.wait() for worker in made]
    finally:
        for worker in made:
            worker.stop(signal.SIGKILL)
