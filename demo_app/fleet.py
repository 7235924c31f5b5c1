"""`python -m demo_app.fleet`: two instances, one FastAPI and one Starlette, with a shared server.

They share an embedded Valkey and a catalogue in one file. Ctrl-C or SIGTERM stops everything,
instances first.
"""

import argparse
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from .__main__ import TOKEN
from .catalogue import Catalogue
from .ports import address_of, listen
from .site import Framework
from .valkey import Valkey

ROOT = Path(__file__).parent.parent
PORTS = (8001, 8002)
FRAMEWORKS: tuple[Framework, Framework] = ("fastapi", "starlette")
START_SECONDS = 60.0
STOP_SECONDS = 5.0

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Running instances.

    Attributes:
        addresses: Their addresses, in order.
        redis_url: Address of the shared server.
        processes: Their processes, in the same order.
        token: What an operator of the cache sends: another one at each start.
    """

    addresses: tuple[str, ...]
    redis_url: str
    processes: tuple[subprocess.Popen[bytes], ...]
    token: str = field(default="", repr=False)


@contextlib.contextmanager
def running_fleet(ports: Sequence[int] = PORTS) -> Iterator[Fleet]:
    """Start the instances and their server, and stop them at the end of the block.

    Args:
        ports: The preferred ports, one for each instance; if one is taken, any free port.

    Raises:
        RuntimeError: If the server or an instance does not start.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-"))
        redis_url = stack.enter_context(Valkey()).url
        sockets = [stack.enter_context(listen(port, or_any=True)) for port in ports]
        addresses = tuple(map(address_of, sockets))
        database = f"{folder}/catalogue.db"
        Catalogue(database).close()  # Created before the instances open it.
        shared = ["--redis-url", redis_url, "--database", database]
        shared += [part for address in addresses for part in ("--peer", address)]
        token = secrets.token_urlsafe(32)
        processes = tuple(
            stack.enter_context(_instance(number, listening, shared, token))
            for number, listening in enumerate(sockets)
        )
        for listening in sockets:
            # Only the instance has the socket now: if it dies, connections are refused.
            listening.close()
        for address, process in zip(addresses, processes, strict=True):
            _wait_until_ready(address, process)
        yield Fleet(addresses, redis_url, processes, token)


def load(fleet: Fleet, seconds: int) -> int:
    """Run the locustfile against all instances and return its exit code."""
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "locustfile.py"), "--headless"]
    command += ["--users", "20", "--spawn-rate", "20", "--run-time", f"{seconds}s"]
    command += ["--only-summary", "--loglevel", "WARNING", "--instances", ",".join(fleet.addresses)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def until_one_dies(fleet: Fleet) -> int:
    """Wait until an instance ends; returns 1."""
    while True:
        for process in fleet.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                print(f"An instance ended with code {process.wait(0.5)}; stopping.")
                return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fleet until SIGINT or SIGTERM, or for the time of a load test.

    Args:
        arguments: The command line; the process's own by default.

    Returns:
        The exit code: 0, that of the load test, or 1 if an instance ended.
    """
    options = _parser().parse_args(arguments)
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        with running_fleet(options.ports) as fleet:
            for name, address, framework in zip("AB", fleet.addresses, FRAMEWORKS, strict=True):
                print(f"{name}  {address}  ({framework}, memory and {fleet.redis_url})")
            if options.load:
                print(f"Load for {options.load} s ...", flush=True)
                return load(fleet, options.load)
            print(
                "Open either in a browser; below it /_cache/ is the cache, /metrics/ its figures."
            )
            print(f"The token of /_cache/, for this run: {fleet.token}")
            print("Ctrl-C stops both.", flush=True)
            return until_one_dies(fleet)
    except KeyboardInterrupt:
        print("Stopped.")
        return 0


@contextlib.contextmanager
def _instance(
    number: int, listening: socket.socket, shared: Sequence[str], token: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one instance on a bound socket."""
    fd = listening.fileno()
    own = ["--fd", str(fd), "--name", "AB"[number], "--framework", FRAMEWORKS[number]]
    process = subprocess.Popen(
        [sys.executable, "-m", "demo_app", *own, *shared],
        cwd=ROOT,
        pass_fds=[fd],
        env={**os.environ, TOKEN: token},  # arguments can be read by all users of a machine
        stdout=subprocess.DEVNULL,
        # Ctrl-C in a terminal must reach only the launcher, which stops everything in order.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    """Return when the instance answers. Its socket listens already, so one request is enough."""
    try:
        with urllib.request.urlopen(f"{address}/instance", timeout=START_SECONDS) as response:
            response.read()
    except OSError as error:
        code = process.poll()
        state = "does not answer" if code is None else f"ended with code {code}"
        raise RuntimeError(f"the instance at {address} {state}") from error


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the shutdown, or a process would be left running.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo_app.fleet", description=__doc__)
    parser.add_argument(
        "--load", type=int, default=0, metavar="SECONDS", help="run a load test, then stop"
    )
    parser.add_argument(
        "--ports",
        type=lambda text: [int(port) for port in text.split(",")],
        default=PORTS,
        metavar="A,B",
        help="ports of the two instances; any free port if one is taken",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
