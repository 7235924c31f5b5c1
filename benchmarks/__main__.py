"""`make bench`: runs the benchmarks of `benchmarks/README.md` on this machine."""

import argparse
import datetime
import os
import platform
import shutil

from . import guarded, hit, http, propagation, stampede

PARTS = {
    "hit": hit.main,
    "guarded": guarded.main,
    "http": http.main,
    "stampede": stampede.main,
    "propagation": propagation.main,
}


def main() -> None:
    """Run the requested benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    asked = parser.parse_args().parts or list(PARTS)
    unknown = [part for part in asked if part not in PARTS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; expected some of {', '.join(PARTS)}")
    today = datetime.datetime.now(datetime.UTC).date()
    print(f"{today}, {os.cpu_count()} cores, Python {platform.python_version()}")
    if shutil.which("wrk") is None:
        print(
            "wrk is not installed (apt-get install wrk): using the slower client of this repository"
        )
    for part in asked:
        for line in PARTS[part]():
            print(line, flush=True)


if __name__ == "__main__":
    main()
