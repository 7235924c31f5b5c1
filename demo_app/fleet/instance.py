"""One instance: a process of `python -m demo_app` at an address that survives it."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ..__main__ import TOKEN
from ..ports import address_of, listen
from ..processes import end
from ..settings import Framework

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


class Instance:
    """A process that serves the application, and can be killed and started again.

    Args:
        name: What the page calls it.
        framework: The framework of its application.
        port: The preferred port; any free port if it is taken.
        options: Further words of its command line.
        token: What an operator of its cache sends.
        environment: Further variables of its process: settings of its cache.

    Attributes:
        address: Where it answers: the same after each start.
        code: The exit code of its process; None while it runs.
    """

    def __init__(
        self,
        name: str,
        framework: Framework,
        port: int,
        options: Sequence[str],
        token: str,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.framework = framework
        self._options = options
        # Not in the command line, which all users of a machine can read.
        self._environment = {**environment, TOKEN: token}
        # It listens from now on, so that no other program takes the port meanwhile.
        self._listening = listen(port, or_any=True)
        self.address = address_of(self._listening)
        self._port: int = self._listening.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def code(self) -> int | None:
        """The exit code of its process; None while it runs."""
        return self.process.poll() if self.process is not None else 0

    def begin(self) -> None:
        """Start the process.

        Raises:
            RuntimeError: If another program has taken its port.
        """
        if self.process is not None:
            try:
                self._listening = listen(self._port)
            except OSError as error:
                raise RuntimeError(f"port {self._port} is taken by another program") from error
        fd = self._listening.fileno()
        own = ["--fd", str(fd), "--name", self.name, "--framework", self.framework]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo_app", *own, *self._options],
            cwd=ROOT,
            pass_fds=[fd],
            env={**os.environ, **self._environment},
            stdout=subprocess.DEVNULL,
            # Ctrl-C in a terminal must reach only the launcher, which stops everything in order.
            start_new_session=True,
        )
        # Only the instance has the socket now: if it dies, connections are refused.
        self._listening.close()

    def wait_until_ready(self) -> None:
        """Return when it answers. Its socket listens already, so one request is enough.

        Raises:
            RuntimeError: If it ends first, or takes more than a minute.
        """
        try:
            with urllib.request.urlopen(
                f"{self.address}/instance", timeout=START_SECONDS
            ) as response:
                response.read()
        except OSError as error:
            state = "does not answer" if self.code is None else f"ended with code {self.code}"
            raise RuntimeError(f"the instance at {self.address} {state}") from error

    def start(self) -> None:
        """Start the process, and return when it answers."""
        self.begin()
        self.wait_until_ready()

    def kill(self) -> None:
        """End it without a word, as a crash does, and return when it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """End it, and free what it holds."""
        self._listening.close()
        if self.process is not None:
            end(self.process)
