"""What audits cost the hits: plain hits of a cache without audits, and of caches with them.

Each cache has its turn in every round, in shuffled order. As under a server, the event loop does
what is due between requests: there hits are chosen and audited. So a turn has two figures: of the
hits alone, and of all that was done in the turn. Ratios are those of turns of the same round.
"""

import asyncio
import contextlib
import gc
import random
import statistics
import time
from dataclasses import dataclass, field

from asgi_multitier import CacheManager, CacheMiddleware, Rule

from .apps import bare
from .options import Options, table
from .scopes import PLAIN, discard, receive, scope_of

HITS = 1_000
"""Hits in one turn."""

BETWEEN = 20
"""Hits after which the event loop has its turn."""

ROUNDS = 300
ENTRIES = 500

MANY = 10_000
"""Runs a second that audits may take where nothing is to bound them: hits come without a pause."""

CASES: dict[str, tuple[str, str | None, int]] = {
    "off": ("no audits", None, 5),
    "again": ("no audits, a second cache", None, 5),
    "1/1000": ("`audit=1/1000`", "1/1000", 5),
    "1/100": ("`audit=1/100`", "1/100", 5),
    "1/1000-many": ("`audit=1/1000`, any number of runs", "1/1000", MANY),
    "1/100-many": ("`audit=1/100`, any number of runs", "1/100", MANY),
}


@dataclass
class Bench:
    """One cache.

    Attributes:
        text: What the report calls it.
        audit: The share of hits that is audited.
        runs: Runs of the application for that in a second at most.
        alone: Nanoseconds of a hit alone, one a round.
        whole: The same, with all that the event loop did in between.
    """

    text: str
    audit: str | None
    runs: int
    alone: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.manager = CacheManager(
            redis_url=None,
            workers=False,
            namespace="bench",
            audit=self.audit,
            audit_runs=self.runs,
        )
        self._app = CacheMiddleware(bare, self.manager, rules=[Rule("/items/*", 10_800)])
        self._random = random.Random(1)

    async def fill(self) -> None:
        """Store what will be asked for, and ask for it once more."""
        for number in (*range(ENTRIES), *range(ENTRIES)):
            await self._app(scope_of(f"/items/{number}", *PLAIN), receive, discard)

    async def turn(self) -> None:
        """One round."""
        app, alone, begun = self._app, 0, time.perf_counter_ns()
        for _ in range(HITS // BETWEEN):
            asked = [
                scope_of(f"/items/{number}", *PLAIN)
                for number in self._random.choices(range(ENTRIES), k=BETWEEN)
            ]
            before = time.perf_counter_ns()
            for scope in asked:
                await app(scope, receive, discard)
            alone += time.perf_counter_ns() - before
            await asyncio.sleep(0)
        self.alone.append(alone / HITS)
        self.whole.append((time.perf_counter_ns() - begun) / HITS)

    @property
    def audits(self) -> int:
        """Hits that were audited."""
        return sum(self.manager.stats().total.audits.values())


def _least(figures: list[float]) -> float:
    """The mean of the least tenth: what other programs of the machine did is in the others."""
    least = sorted(figures)[: max(1, len(figures) // 10)]
    return sum(least) / len(least)


def _ratio(figures: list[float], others: list[float]) -> float:
    """The median of what they are to the others of the same rounds."""
    return statistics.median(one / other for one, other in zip(figures, others, strict=True))


async def measure(benches: list[Bench], rounds: int) -> list[list[str]]:
    """The rows of the table."""
    async with contextlib.AsyncExitStack() as stack:
        for bench in benches:
            await stack.enter_async_context(bench.manager)
            await bench.fill()
        gc.freeze()
        stack.callback(gc.unfreeze)
        order = random.Random(2)
        for _ in range(rounds):
            for bench in order.sample(benches, len(benches)):
                await bench.turn()
        first = benches[0]
        return [
            [
                bench.text,
                f"{_least(bench.alone):,.0f}",
                f"{_least(bench.alone) / _least(first.alone):.3f}",
                f"{_ratio(bench.alone, first.alone):.3f}",
                f"{_ratio(bench.whole, first.whole):.3f}",
                f"{bench.audits:,} of {rounds * HITS:,}",
            ]
            for bench in benches
        ]


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""
    benches = [Bench(*CASES[name]) for name in options.chosen(CASES)]
    rows = asyncio.run(measure(benches, options.rounds or ROUNDS))
    head = ["plain hits", "ns at best", "x at best", "x, median", "x with all", "audited"]
    return table(head, rows)
