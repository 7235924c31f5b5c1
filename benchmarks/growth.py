"""What a hit, a miss and an invalidation cost as the cache grows: entries, routes, tags.

In process, in memory only, with small bodies. All sizes of a table have their turns in shuffled
order in each round; every time is a ratio to a bare call of the same turn.
"""

import asyncio
import contextlib
import gc
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Response

from asgi_multitier import CacheManager, CacheMiddleware, Rule

from .hit import App
from .options import Options, Spread, table
from .scopes import PLAIN, discard, receive, scope_of

SIZES = (1, 10, 100, 1_000, 10_000, 100_000)
ROUTES = (1, 10, 100, 1_000)
TAGS = (100, 1_000, 10_000, 100_000)
LARGEST = 1_000_000
"""Added to entries and tags with `--full`: it takes a quarter of an hour or more, and
gigabytes."""

ROUNDS, CALLS, MISSES = 30, 100, 20

_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"2")]


async def small(scope: Any, receive: Any, send: Any) -> None:
    """A bare application with a content of two bytes, so that large caches fit."""
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"ok"})


@dataclass(slots=True)
class Grown:
    """A cache of one size, and how it is asked.

    Attributes:
        size: Of what grows.
        app: The application behind the cache.
        alone: What its misses are compared with: what it takes to be answered without a cache.
        path: Of a hit, from a random number below the size.
        fresh: Of a miss, from a number that was not used before.
    """

    size: int
    manager: CacheManager
    app: App
    alone: App
    path: Callable[[int], str]
    fresh: Callable[[int], str]
    figures: dict[str, list[float]] = field(default_factory=dict)
    asked: int = 0

    def note(self, what: str, ratio: float) -> None:
        """Keep the figure of a round."""
        self.figures.setdefault(what, []).append(ratio)

    def next(self, count: int) -> list[int]:
        """Numbers that were not used before."""
        self.asked += count
        return [*range(self.asked - count, self.asked)]


def manager_for(entries: int) -> CacheManager:
    """Memory only, with room for so many entries."""
    return CacheManager(redis_url=None, l1_bytes=1 << 34, l1_entries=max(entries, 1))


def by_entries(size: int) -> Grown:
    """A full cache of so many entries: each miss makes another entry leave."""
    manager = manager_for(size)
    app = CacheMiddleware(small, manager, rules=[Rule("/*", 10_800, tags=["item"])])
    return Grown(size, manager, app, small, "/items/{}".format, "/new/{}".format)


def by_routes(size: int) -> Grown:
    """An application of so many routes."""
    alone = FastAPI()
    for number in range(size):

        @alone.get(f"/routes{number}/{{item}}", name=f"route{number}")
        async def route(item: int) -> Response:
            return Response(b"ok")

    manager = manager_for(1_000_000)
    app = CacheMiddleware(alone, manager, rules=[Rule("/*", 10_800)])

    def path(number: int) -> str:
        return f"/routes{number % size}/0"

    def fresh(number: int) -> str:
        return f"/routes{number * 7 % size}/{number + 1}"

    return Grown(size, manager, app, alone, path, fresh)


async def _time(app: App, paths: list[str]) -> float:
    """Nanoseconds of one of these calls."""
    asked = [scope_of(path, *PLAIN) for path in paths]
    begun = time.perf_counter_ns()
    for scope in asked:
        await app(scope, receive, discard)
    return (time.perf_counter_ns() - begun) / len(asked)


async def _fill(grown: Grown) -> None:
    for number in range(grown.size):
        await grown.app(scope_of(grown.path(number), *PLAIN), receive, discard)


async def _turn(grown: Grown, order: random.Random) -> None:
    numbers = order.choices(range(grown.size), k=CALLS)
    paths = [grown.path(number) for number in numbers]
    # What misses of the last turn have made leave is put back.
    for path in paths:
        await grown.app(scope_of(path, *PLAIN), receive, discard)
    bare = await _time(small, paths)
    if grown.size > 1:
        hits = grown.manager.stats().l1_hits
        took = await _time(grown.app, paths)
        if grown.manager.stats().l1_hits - hits < CALLS * 0.9:
            raise RuntimeError(f"{grown.size} entries: not all are hits")
    else:
        took = await _time(grown.app, paths)
    grown.note("hit", took / bare)
    new = [grown.fresh(number) for number in grown.next(MISSES)]
    misses = grown.manager.stats().misses
    grown.note("miss", await _time(grown.app, new) / bare)
    if grown.manager.stats().misses - misses != MISSES:
        raise RuntimeError(f"{grown.size}: not all are misses")
    grown.note("alone", await _time(grown.alone, new) / bare)


async def measure(
    sizes: list[int], make: Callable[[int], Grown], rounds: int
) -> list[tuple[int, dict[str, Spread]]]:
    """The figures of each size."""
    return await _rounds([make(size) for size in sizes], _fill, _turn, rounds)


async def _rounds(
    grown: list[Grown],
    fill: Callable[[Grown], Awaitable[None]],
    turn: Callable[[Grown, random.Random], Awaitable[None]],
    rounds: int,
) -> list[tuple[int, dict[str, Spread]]]:
    async with contextlib.AsyncExitStack() as stack:
        for one in grown:
            await stack.enter_async_context(one.manager)
            await fill(one)
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)
        order = random.Random(1)
        for _ in range(rounds):
            for one in order.sample(grown, len(grown)):
                await turn(one, order)
    return [
        (one.size, {name: Spread(tuple(found)) for name, found in one.figures.items()})
        for one in grown
    ]


def by_tags(size: int) -> Grown:
    """A cache of so many entries, each with a tag of its own."""
    manager = manager_for(size + 1)
    rule = Rule("/*", 10_800, tags=[lambda request: request.url.path])
    app = CacheMiddleware(small, manager, rules=[rule])
    return Grown(size, manager, app, small, "/items/{}".format, "/new/{}".format)


async def _invalidate(grown: Grown, order: random.Random) -> None:
    """Invalidate one tag, then ask for others: they are checked once against what has changed."""
    numbers = order.choices(range(grown.size), k=CALLS)
    bare = await _time(small, [grown.path(number) for number in numbers])
    begun = time.perf_counter_ns()
    for number in numbers[:MISSES]:
        await grown.manager.invalidate_tags(grown.path(number))
    grown.note("invalidation", (time.perf_counter_ns() - begun) / MISSES / bare)
    others = [grown.path(number) for number in set(numbers[MISSES:]) - set(numbers[:MISSES])]
    grown.note("first hit after", await _time(grown.app, others) / bare)
    grown.note("hit", await _time(grown.app, others) / bare)
    for number in numbers[:MISSES]:  # as before, for the next round
        await grown.app(scope_of(grown.path(number), *PLAIN), receive, discard)


async def measure_tags(sizes: list[int], rounds: int) -> list[tuple[int, dict[str, Spread]]]:
    """The figures of each number of tags."""
    return await _rounds([by_tags(size) for size in sizes], _fill, _invalidate, rounds)


def _table(head: str, found: list[tuple[int, dict[str, Spread]]]) -> list[str]:
    names = list(found[0][1])
    rows = []
    for size, figures in found:
        row = [f"{size:,}"]
        for name in names:
            low, high = figures[name].tenths
            row.append(f"{figures[name].median:,.1f} ({low:,.1f} to {high:,.1f})")
        rows.append(row)
    return table([head, *names], rows)


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report: medians with p10 and p90, x a bare call."""
    rounds = options.rounds or ROUNDS
    largest = [LARGEST] if options.full else []
    lines = ["times as ratios to a bare call: median (p10 to p90)", ""]
    for name in options.chosen(("entries", "routes", "tags")):
        if name == "entries":
            found = asyncio.run(measure([*SIZES, *largest], by_entries, rounds))
        elif name == "routes":
            found = asyncio.run(measure(list(ROUTES), by_routes, rounds))
        else:
            found = asyncio.run(measure_tags([*TAGS, *largest], rounds))
        lines += [*_table(name, found), ""]
    return lines[:-1]
