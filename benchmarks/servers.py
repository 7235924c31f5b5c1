"""The measured processes, and the load generator.

The generator is `wrk` if it is installed (`apt-get install wrk`, `brew install wrk`). Otherwise it
is `client.py`, which is slower, but the same for all compared applications.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.servers import free_port

CONNECTIONS = 64
ROOT = Path(__file__).parents[1]
KEYS = Path(__file__).with_name("keys.lua")
MEASURED, GENERATOR = 0, 1
"""The cores of a server and of the load generator."""


class MissingError(Exception):
    """Something optional that a row needs is not there; the text is shown in its place."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that listens on a port of the loopback address."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time of the process and its children; wall time on systems other than Linux."""
        try:
            ticks = sum(map(_ticks, _family(self.pid)))
        except OSError:
            return time.monotonic()
        return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    core: int | None,
    env: Mapping[str, str] | None = None,
    quiet: bool = False,
    **options: Any,
) -> Iterator["subprocess.Popen[str]"]:
    """Run a process, pinned to a core; it has ended when the block is left, however that is.

    Ctrl-C reaches only this process, which then ends the others.
    """
    pinned = core is not None and hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1
    if quiet:
        options |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(_pin, core) if pinned and core is not None else None,
        text=True,
        **options,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    """Ask the process to end, and after a while end it and what it has started."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextlib.contextmanager
def serving(
    app: str,
    *,
    env: Mapping[str, str] | None = None,
    core: int | None = MEASURED,
    python: str = sys.executable,
    protocol: str = "httptools",
    quiet: bool = False,
) -> Iterator[Server]:
    """Run one uvicorn process for an application.

    Args:
        app: `module:name` of an application called `bare`, or of a function that makes one.
        env: Added to the environment.
        core: What it is pinned to; None for no pinning.
        python: The interpreter of the environment that it needs.
        protocol: What uvicorn is given as `--http`.
        quiet: Whether what it writes is thrown away.

    Raises:
        RuntimeError: If it does not start.
    """
    port = free_port()
    factory = [] if app.endswith(":bare") else ["--factory"]
    command = [python, "-m", "uvicorn", app, *factory, "--port", str(port)]
    command += [
        "--loop",
        "uvloop",
        "--http",
        protocol,
        "--no-access-log",
        "--log-level",
        "critical",
    ]
    with running(command, core=core, env=env, quiet=quiet) as process:
        wait_for(port, process)
        yield Server(port, process.pid)


def wait_for(port: int, process: "subprocess.Popen[str]") -> None:
    """Return when the process listens there.

    Raises:
        RuntimeError: If it ends before, or does not within 30 s.
    """
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}: {process.args!r}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, its fields by lower-case name, and its content."""

    status: int
    fields: dict[str, str]
    content: bytes

    def json(self) -> Any:
        """The JSON content."""
        return json.loads(self.content)


def ask(
    server: Server, path: str, method: str = "GET", lines: Mapping[str, str] | None = None
) -> Answer:
    """One request.

    Raises:
        RuntimeError: If the status is not 200 or 304.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, headers=dict(lines or {}))
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, fields, response.read())
    if answer.status not in (200, 304):
        raise RuntimeError(f"{method} {path}: {answer}")
    return answer


def load(
    server: Server,
    path: str,
    seconds: int,
    *,
    keys: int = 1,
    lines: Mapping[str, str] | None = None,
) -> tuple[float, float]:
    """Requests per second at 64 connections from another core, and per CPU second of the server.

    Other virtual machines on the same host affect the first more than the second.

    Args:
        server: What is asked.
        path: The path; with several keys it has a `{}` for their numbers from 0.
        seconds: For how long.
        keys: Different paths that are asked for in turn.
        lines: Field lines of each request, in addition to `Host`.
    """
    url = f"http://127.0.0.1:{server.port}{path.replace('{}', '7') if keys == 1 else path}"
    wrk = shutil.which("wrk")
    if wrk is None:
        command = [sys.executable, "-m", "benchmarks.client", url, str(seconds), str(CONNECTIONS)]
        command += [str(keys), json.dumps(dict(lines or {}))]
    else:
        fields = [f"-H{name}: {value}" for name, value in (lines or {}).items()]
        script = ["-s", str(KEYS)] if keys > 1 else []
        end = ["--", path, str(keys)] if keys > 1 else []
        base = url.removesuffix(path)
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *fields, *script]
        command += [base if keys > 1 else url, *end]
    used = server.cpu_seconds()
    with running(command, core=GENERATOR, stdout=subprocess.PIPE) as process:
        output, _ = process.communicate()
    if "Non-2xx" in output:
        raise RuntimeError(f"{url} answered errors:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None:
        raise RuntimeError(f"no figure in the load generator's output:\n{output}")
    rate = float(found[1])
    return rate, rate * seconds / max(server.cpu_seconds() - used, 1e-9)
