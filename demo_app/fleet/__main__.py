"""`python -m demo_app.fleet`: two instances, one FastAPI and one Starlette, with a shared server.

They share an embedded Valkey and a catalogue in one file. Ctrl-C or SIGTERM stops everything,
instances first.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

from .fleet import Fleet
from .guide import ended, guide
from .load import compare
from .running import PORTS, running_fleet

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fleet until SIGINT or SIGTERM, or for the time of a load test.

    Args:
        arguments: The command line; the process's own by default.

    Returns:
        The exit code: 0, or that of the load test.
    """
    options = _parser().parse_args(arguments)
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    print("Starting a Valkey server and two instances ...\n", flush=True)
    try:
        with running_fleet(options.ports) as fleet:
            if options.load:
                return compare(fleet, options.load)
            print(guide(fleet), flush=True)
            watch(fleet)
    except KeyboardInterrupt:
        print("Stopped.")
    return 0


def watch(fleet: Fleet, sleep: Callable[[float], None] = time.sleep) -> None:
    """Say it once when a part has ended by itself. The rest goes on.

    Args:
        fleet: Whose parts.
        sleep: What waits between two looks; an exception of it ends the watch.
    """
    known = dict.fromkeys(fleet.parts, "")
    while True:
        for name, before in known.items():
            known[name] = now = fleet.why_not(name)
            if now and now != before:
                print(ended(fleet, name), flush=True)
        sleep(0.5)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the shutdown, or a process would be left running.
    for number in SIGNALS:
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
        metavar="PAGE,A,B",
        help="ports of the page and of the two instances; any free port if one is taken",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
