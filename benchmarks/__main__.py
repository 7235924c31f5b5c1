"""`make bench`: runs the benchmarks of `benchmarks/README.md` on this machine."""

import argparse
import datetime
import os
import platform
import shutil
import signal
import sys
from pathlib import Path

from . import (
    audit,
    eviction,
    growth,
    guarded,
    hit,
    http,
    loading,
    memory,
    mix,
    propagation,
    shadow,
    stampede,
    visibility,
)
from .behaviour import report as behaviour
from .options import Options, Part, UsageError

PARTS: dict[str, Part] = {
    "hit": hit.main,
    "guarded": guarded.main,
    "audit": audit.main,
    "memory": memory.main,
    "eviction": eviction.main,
    "growth": growth.main,
    "http": http.main,
    "mix": mix.main,
    "stampede": stampede.main,
    "propagation": propagation.main,
    "visibility": visibility.main,
    "shadow": shadow.main,
    "behaviour": behaviour.main,
    "loading": loading.main,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the requested benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--cases", help="rows of its table, as in `plain,origin`; all by default")
    parser.add_argument("--rounds", type=int, help="rounds of each row")
    parser.add_argument("--seconds", type=int, help="length of a round of http and mix")
    parser.add_argument("--full", action="store_true", help="the largest sizes as well")
    parser.add_argument("--environments", type=Path, help="where --peers installs, to keep it")
    parser.add_argument("--peers", action="store_true", help="install and measure other caches too")
    given = parser.parse_args(arguments)
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; expected some of {', '.join(PARTS)}")
    cases = tuple(given.cases.split(",")) if given.cases else None
    options = Options(
        cases=cases,
        rounds=given.rounds,
        seconds=given.seconds,
        full=given.full,
        peers=given.peers,
        environments=given.environments,
    )
    today = datetime.datetime.now(datetime.UTC).date()
    print(f"{today}, {os.cpu_count()} cores, Python {platform.python_version()}")
    if shutil.which("wrk") is None:
        print(
            "wrk is not installed (apt-get install wrk): using the slower client of this repository"
        )
    # So that processes that were started are ended in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for part in given.parts or PARTS:
        print(flush=True)
        try:
            for line in PARTS[part](options):
                print(line, flush=True)
        except UsageError as error:
            sys.exit(f"{part}: {error}")
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
