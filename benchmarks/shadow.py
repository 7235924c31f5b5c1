"""What it costs an application that the cache observes it: median time, CPU time, and memory.

In process, FastAPI with a JSON endpoint, one request after the other, with a turn of the event loop
between them, in which what is done after responses is done. In each round the bare application and
the observed one have their turn, with the same requests; a ratio is that of their medians.
"""

import asyncio
import gc
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from asgi_multitier import CacheManager, CacheMiddleware, Rule

from .options import Options, Spread, table
from .scopes import BROWSER, discard, receive, scope_of

ROUNDS = 20
FLOOD = 100_000
"""Different targets whose answers are observed, for the memory."""

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of traffic.

    Attributes:
        text: What the report calls it.
        origin: Milliseconds that the endpoint waits, as for a query.
        calls: Requests of a turn.
        targets: Different ones that are asked for.
        rules: Of the cache.
        fresh: Whether each request asks for something that was not asked for before.
        before: Requests before the first round: as many as show what is observed in the long run.
    """

    text: str
    origin: float = 0.0
    calls: int = 200
    targets: int = 200
    rules: tuple[Rule, ...] = (Rule("*", 600),)
    fresh: bool = False
    before: int = 200


CASES = {
    "hits": Case("would be hits"),
    "busy": Case("would be hits, after a while of full load", targets=2_000, before=60_000),
    "misses": Case("would be misses", fresh=True),
    "no-rule": Case("no rule", rules=()),
    "hits-5ms": Case("would be hits, the endpoint waits 5 ms", origin=5.0, calls=40),
    "misses-5ms": Case(
        "would be misses, the endpoint waits 5 ms", origin=5.0, calls=40, fresh=True
    ),
}


def application(origin: float) -> FastAPI:
    """An application whose endpoint takes so many milliseconds."""
    app = FastAPI(title="Shadow benchmark")

    @app.get("/items/{number}")
    async def item(number: int) -> dict[str, Any]:
        if origin:
            await asyncio.sleep(origin / 1000)
        return {"id": number, "items": [{"id": n, "name": f"item {n}"} for n in range(20)]}

    return app


class Bench:
    """One application, bare and observed.

    Args:
        case: The kind of traffic.
    """

    def __init__(self, case: Case) -> None:
        self.manager = CacheManager(redis_url=None, namespace="bench", mode="shadow", workers=False)
        self._case = case
        self._bare = application(case.origin)
        self._observed = CacheMiddleware(application(case.origin), self.manager, rules=case.rules)
        self._next = 0

    async def turn(self, calls: int) -> tuple[float, float, float, float]:
        """Microseconds of the median request, and of CPU time for each: bare and observed."""
        case = self._case
        chance = random.Random(self._next)
        if case.fresh:
            numbers = range(self._next, self._next + calls)
        else:
            numbers = [chance.randrange(case.targets) for _ in range(calls)]  # type: ignore[assignment]
        self._next += calls
        bare = await self._times(self._bare, numbers)
        return (*bare, *await self._times(self._observed, numbers))

    async def _times(self, app: Any, numbers: Sequence[int]) -> tuple[float, float]:
        took = []
        begun = time.thread_time_ns()
        for number in numbers:
            scope = scope_of(f"/items/{number}", *BROWSER)
            at = time.perf_counter_ns()
            await app(scope, receive, discard)
            took.append(time.perf_counter_ns() - at)
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)  # what waits to be observed
        used = (time.thread_time_ns() - begun) / len(numbers)
        return statistics.median(took) / 1000, used / 1000


async def measure(case: Case, rounds: int, calls: int | None = None) -> list[Spread]:
    """Median time bare, its ratio, CPU time bare, its ratio."""
    bench = Bench(case)
    figures: list[tuple[float, float, float, float]] = []
    async with bench.manager:
        for _ in range(0, case.before if calls is None else calls, 200):
            await bench.turn(200 if calls is None else calls)
        gc.collect()
        for _ in range(rounds):
            bare, cpu, observed, used = await bench.turn(calls or case.calls)
            figures.append((bare, observed / bare, cpu, used / cpu))
    return [Spread(tuple(column)) for column in zip(*figures, strict=True)]


async def flood(mode: Any, targets: int) -> float:
    """MiB by which a process grows while so many different targets are asked for."""
    manager = CacheManager(redis_url=None, namespace="bench", mode=mode, workers=False)
    observed = CacheMiddleware(_plain, manager, rules=[Rule("*", 600, tags=["items"])])
    async with manager:
        await _ask(observed, range(1_000))
        gc.collect()
        before = _resident()
        await _ask(observed, range(1_000, targets))
        gc.collect()
        return _resident() - before


async def _plain(scope: Any, receive: Any, send: Any) -> None:
    """JSON that is another one for each target, without a framework."""
    body = b'{"path": "%b", "items": [%b]}' % (scope["raw_path"], b",".join([b"1"] * 50))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _ask(app: Any, numbers: range) -> None:
    for number in numbers:
        await app(scope_of(f"/items/{number}", *BROWSER), receive, discard)
        if number % 100 == 0:
            await asyncio.sleep(0.012)


def _resident() -> float:
    """MiB of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MIB


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""
    rows = []
    for name in options.chosen([*CASES, "memory"]):
        if name == "memory":
            continue
        bare, ratio, cpu, used = asyncio.run(measure(CASES[name], options.rounds or ROUNDS))
        low, high = ratio.tenths
        rows.append(
            [
                CASES[name].text,
                f"{bare.median:.0f} us",
                f"{ratio.median:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{cpu.median:.0f} us",
                f"{used.median:.3f}",
            ]
        )
    head = ["FastAPI, observed", "median bare", "x", "p10 to p90", "CPU bare", "x with all work"]
    lines = table(head, rows) if rows else []
    if "memory" in options.chosen([*CASES, "memory"]):
        lines += ["", *grown(FLOOD)]
    return lines


def grown(targets: int) -> list[str]:
    """What so many different targets take, in processes of their own."""
    modes = ("off", "shadow")
    command = [sys.executable, "-m", "benchmarks.shadow"]
    running = [
        subprocess.Popen([*command, mode, str(targets)], stdout=subprocess.PIPE) for mode in modes
    ]
    off, shadow = (float(one.communicate()[0]) for one in running)
    more = f"{shadow - off:.0f} MiB more than with mode=off"
    return [f"{targets:,} different targets: {more}, where what is known of them takes {off:.0f}"]


if __name__ == "__main__":
    print(asyncio.run(flood(sys.argv[1], int(sys.argv[2]))))
