"""What a full memory tier costs: bytes of the process for each entry, and pauses of the event loop.

Each measurement has a process of its own, and all run at once: most of the time is that of filling,
about a third of a millisecond an entry. Times are CPU time of the event loop's thread, so that
other processes of the machine do not count.
"""

import asyncio
import gc
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, Rule

from .options import Options
from .scopes import PLAIN, discard, receive, scope_of

FILLED = 200_000
MEASURED = 50_000
"""As full as their tables are 100,000 entries, which take twice the time."""
WARM = 1_000
"""Entries that are there before the first reading: all code has run by then."""
CLIENTS = 8
"""Requests at a time: few, so that one turn of the loop is short."""
BODY_BYTES = 949
MIB = 1024 * 1024


def body_of(path: str) -> bytes:
    """JSON of the measured size, another for each path."""
    head = b'{"path":"%b","text":"' % path.encode()
    return head + b"x" * (BODY_BYTES - len(head) - 2) + b'"}'


async def product(request: Request) -> Response:
    """Answers with content that is made for this request."""
    return Response(body_of(request.url.path), media_type="application/json")


async def _client(app: Any, numbers: Iterator[int]) -> None:
    for number in numbers:
        await app(scope_of(f"/products/{number}", *PLAIN), receive, discard)
        await asyncio.sleep(0)  # as where each request is read from a socket


async def _ask(app: Any, numbers: range) -> None:
    """One request for each number, some at a time."""
    left = iter(numbers)
    await asyncio.gather(*(_client(app, left) for _ in range(CLIENTS)))


class Turns:
    """Measures each turn of the running event loop, until it is stopped.

    Attributes:
        longest: CPU seconds of the longest turn.
        pauses: CPU seconds of the turns of more than 20 ms.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.pauses: list[float] = []
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._last = time.thread_time()
        self._loop.call_soon(self._turn)

    def stop(self) -> None:
        """No turn counts any more."""
        self._stopped = True

    def _turn(self) -> None:
        now = time.thread_time()
        took, self._last = now - self._last, now
        self.longest = max(self.longest, took)
        if took > 0.02:
            self.pauses.append(took)
        if not self._stopped:
            self._loop.call_soon(self._turn)


class Collections:
    """Measures the collections of the garbage collector while it is open.

    Attributes:
        seconds: CPU seconds of the collections of each generation.
    """

    def __init__(self) -> None:
        self.seconds: dict[int, list[float]] = {0: [], 1: [], 2: []}
        self._begun = 0.0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._begun = time.thread_time()
        else:
            self.seconds[info["generation"]].append(time.thread_time() - self._begun)


def resident() -> int:
    """Bytes of memory that this process holds; Linux only."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def build(entries: int) -> tuple[CacheManager, CacheMiddleware]:
    """A cache with room for this many entries, and the application behind it."""
    manager = CacheManager(redis_url=None, l1_bytes=4096 * MIB, l1_entries=entries + WARM + 1)
    rules = [Rule("/products/*", 10_800, tags=["product:{number}"])]
    app = Starlette(routes=[Route("/products/{number}", product)])
    return manager, CacheMiddleware(app, manager, rules=rules)


def accounted(manager: CacheManager) -> int:
    """Bytes that the first tier says it holds."""
    return manager.stats().tiers[0].size or 0


async def pauses() -> dict[str, Any]:
    """Fill the tier, and measure the turns of the loop and the collections while it fills."""
    manager, app = build(FILLED)
    async with manager:
        await _ask(app, range(-WARM, 0))
        turns = Turns()
        with Collections() as collections:
            await _ask(app, range(FILLED))
            turns.stop()
        full = collections.seconds[2]
        return {
            "longest": turns.longest,
            "pauses": len(turns.pauses),
            "paused": sum(turns.pauses),
            "full": len(full),
            "longest_full": max(full, default=0.0),
            "collecting": sum(itertools.chain(*collections.seconds.values())),
        }


async def frozen() -> dict[str, Any]:
    """As `pauses`, where no collection visits the application, as the documentation advises."""
    gc.collect()
    gc.freeze()
    return await pauses()


def tracked() -> int:
    """Objects that a full collection visits."""
    gc.collect()
    return len(gc.get_objects())


async def memory() -> dict[str, Any]:
    """Fill the tier, then answer each entry twice: bytes for each entry, and accounted ones."""
    manager, app = build(MEASURED)
    async with manager:
        await _ask(app, range(-WARM, 0))
        await _ask(app, range(-WARM, 0))
        visited = tracked()
        base, held = resident(), accounted(manager)
        await _ask(app, range(MEASURED))
        stored = resident() - base
        await _ask(app, range(MEASURED))
        hit = resident() - base
        await _ask(app, range(MEASURED))
        used = resident() - base
        return {
            "stored": stored / MEASURED,
            "hit": hit / MEASURED,
            "used": used / MEASURED,
            "accounted": (accounted(manager) - held) / MEASURED,
            "tracked": (tracked() - visited) / MEASURED,
        }


async def plain() -> dict[str, Any]:
    """The same contents in a dict: what they cost at least."""
    kept = {path: body_of(path) for path in map("/products/{}".format, range(-WARM, 0))}
    base = resident()
    kept |= {path: body_of(path) for path in map("/products/{}".format, range(MEASURED))}
    return {"stored": (resident() - base) / MEASURED}


CASES = {"pauses": pauses, "frozen": frozen, "memory": memory, "plain": plain}


def _measured(cases: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What processes measure that run at the same time, by case."""
    command = [sys.executable, "-m", "benchmarks.memory"]
    running = {case: subprocess.Popen([*command, case], stdout=subprocess.PIPE) for case in cases}
    found = {}
    try:
        for case, process in running.items():
            found[case] = json.loads(process.communicate()[0])
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    return found


def main(options: Options) -> Iterator[str]:
    """Measure, and yield the lines of the report."""
    found = _measured(options.chosen(CASES))
    for case, how in (("pauses", ""), ("frozen", " after gc.freeze()")):
        if not (p := found.get(case)):
            continue
        yield (
            f"memory, {FILLED:,} entries fill{how}: longest turn of the loop "
            f"{p['longest'] * 1000:.0f} ms, {p['pauses']} above 20 ms "
            f"({p['paused']:.1f} s in all); {p['full']} full collections, "
            f"the longest {p['longest_full'] * 1000:.0f} ms; "
            f"all collections {p['collecting']:.1f} s"
        )
    if m := found.get("memory"):
        yield (
            f"memory, {MEASURED:,} entries of {BODY_BYTES} B: {m['stored']:,.0f} B of the process "
            f"each, {m['hit']:,.0f} B once asked for again, {m['used']:,.0f} B twice, "
            f"accounted {m['accounted']:,.0f} B; {m['tracked']:.2f} objects each "
            "that a full collection visits"
        )
    if d := found.get("plain"):
        yield f"memory, a dict of the same bytes: {d['stored']:,.0f} B of the process each"


if __name__ == "__main__":
    print(json.dumps(asyncio.run(CASES[sys.argv[1]]())))
