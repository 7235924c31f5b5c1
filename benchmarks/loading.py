"""How long a program takes to load the package: CPU time of processes, as ratios to asyncio's own.

All programs have their turns in shuffled order in each round; the bytecode is there from a first
round that does not count.
"""

import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterable

from .options import Options, Spread, table

ROUNDS = 20

_RUN = "import asyncio\nasync def main(): pass\nasyncio.run(main())\n"

PROGRAMS = {
    "asyncio": ("an asyncio program", _RUN),
    "package": ("`import asgi_multitier`", f"import asgi_multitier\n{_RUN}"),
    "annotations": (
        "`cached`, `invalidates`, `Rule`",
        f"from asgi_multitier import Rule, cached, invalidates\n{_RUN}",
    ),
    "cache": (
        "`CacheManager`, `CacheMiddleware`",
        f"from asgi_multitier import CacheManager, CacheMiddleware\n{_RUN}",
    ),
    "redis": (
        "the same with Redis",
        f"from asgi_multitier import CacheManager, CacheMiddleware, RedisTier\n{_RUN}",
    ),
    "redis-py": ("`redis.asyncio` alone", f"import redis.asyncio\n{_RUN}"),
    "fastapi": ("`import fastapi`", f"import fastapi\n{_RUN}"),
}


def seconds_of(program: str) -> float:
    """The CPU time of a process, from its start to its end."""
    environ = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True, env=environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(names: Iterable[str], rounds: int) -> dict[str, list[float]]:
    """The seconds of each program, round by round."""
    programs = {name: PROGRAMS[name][1] for name in ("asyncio", *names)}
    found: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(rounds + 1):
        turns = list(programs)
        random.shuffle(turns)
        for name in turns:
            seconds = seconds_of(programs[name])
            if number:
                found[name].append(seconds)
    return found


def main(options: Options) -> list[str]:
    """Measure, and show a table."""
    names = options.chosen(PROGRAMS)
    found = measure(names, options.rounds or ROUNDS)
    rows = []
    for name in names:
        pairs = zip(found[name], found["asyncio"], strict=True)
        ratios = Spread(tuple(one / bare for one, bare in pairs))
        low, high = ratios.tenths
        ms = Spread(tuple(found[name])).median * 1000
        rows.append(
            (PROGRAMS[name][0], f"{ms:.0f}", f"{ratios.median:.2f} ({low:.2f} to {high:.2f})")
        )
    return table(("program", "CPU ms", "x asyncio (p10 to p90)"), rows)
