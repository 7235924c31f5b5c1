"""The measured uvicorn processes, and the load generator.

The generator is `wrk` if it is installed (`apt-get install wrk`, `brew install wrk`). Otherwise it
is `client.py`, which is slower, but the same for all compared applications.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests.servers import free_port

CONNECTIONS = 64


_PIDS: dict[int, int] = {}
"""The process behind each port."""


def cpu_seconds(port: int) -> float:
    """Seconds of CPU time of the server at a port; wall time on systems other than Linux."""
    try:
        with open(f"/proc/{_PIDS[port]}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(app: str, *, env: dict[str, str] | None = None, core: int | None = 0) -> Iterator[int]:
    """Run one uvicorn process for an application, pinned to one core; yields its port."""
    port = free_port()
    factory = [] if app.endswith(":bare") else ["--factory"]
    command = [sys.executable, "-m", "uvicorn", app, *factory, "--port", str(port)]
    command += [
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(command, env={**os.environ, **(env or {})})
    try:
        if core is not None and hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
            os.sched_setaffinity(process.pid, {core})
        _wait_for(port)
        _PIDS[port] = process.pid
        yield port
    finally:
        _PIDS.pop(port, None)
        process.terminate()
        process.wait(15)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


def get(port: int, path: str, method: str = "GET") -> tuple[dict[str, str], Any]:
    """One request: field values and the JSON content."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        fields = {name.lower(): value for name, value in response.headers.items()}
        return fields, json.loads(response.read())


def load(port: int, path: str, seconds: float) -> tuple[float, float]:
    """Requests per second at 64 connections from another core, and per CPU second of the server.

    Other virtual machines on the same host affect the first more than the second.
    """
    used = cpu_seconds(port)
    url = f"http://127.0.0.1:{port}{path}"
    wrk = shutil.which("wrk")
    if wrk is None:
        command = [sys.executable, "-m", "benchmarks.client", url, str(seconds), str(CONNECTIONS)]
    else:
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(process.pid, {1})
    output, _ = process.communicate()
    if "Non-2xx" in output:
        raise RuntimeError(f"{url} answered errors:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None:
        raise RuntimeError(f"no figure in the load generator's output:\n{output}")
    rate = float(found[1])
    return rate, rate * seconds / max(cpu_seconds(port) - used, 1e-9)
