"""What leaves when room is needed: misses of each order on made traces, as a ratio to LRU's.

LRU is that of cachetools, in the same tier. Each trace is played at three sizes of the tier: two,
ten and thirty hundredths of the bytes of all its keys.
"""

import random
import statistics
import time
import zlib
from collections.abc import Callable, Iterator

from cachetools import LRUCache

from asgi_multitier.entry import MAX_USES, Born, Entry, Slot
from asgi_multitier.tiers.memory import MemoryTier

from .options import Options, Spread, table
from .traces import TRACES, Trace

LENGTH = 60_000
"""Requests of a trace."""

SHARES = (0.02, 0.1, 0.3)
"""Bytes of the tier, of those of all keys."""

ROUNDS = 15
CALLS = 20_000

Make = Callable[[int], MemoryTier]


def lru(size: int) -> MemoryTier:
    """The order to compare with."""
    return MemoryTier(cache=LRUCache(size, getsizeof=lambda slot: slot.size))


ORDERS: dict[str, Make] = {
    "lru": lru,
    "used": MemoryTier,
    "slow": lambda size: MemoryTier(size, keep="slow"),
}


class Played:
    """What came of a trace: misses, and the seconds that filling them took."""

    def __init__(self) -> None:
        self.misses = 0
        self.seconds = 0.0


def slot_of(key: str, size: int, cost: float) -> Slot:
    """A slot that says it takes so many bytes."""
    entry = Entry(
        key=key,
        payload=b"",
        born=Born("", 0),
        created=0.0,
        fresh_until=float("inf"),
        keep_until=float("inf"),
        filled_at=0.0,
        cost=cost,
    )
    slot = Slot(entry)
    slot.size = size
    return slot


def play(trace: Trace, tier: MemoryTier) -> Played:
    """Ask a tier for each key of a trace, and fill what is missing."""
    played = Played()
    for key, size, cost in trace:
        if tier.get(key) is None:
            played.misses += 1
            played.seconds += cost
            tier.set(slot_of(key, size, cost))
    return played


def main(options: Options) -> Iterator[str]:
    """The table of misses, and the cost of a look-up and of a set."""
    return report(options.chosen(TRACES), rounds=options.rounds or ROUNDS)


def report(
    names: list[str], *, length: int = LENGTH, rounds: int = ROUNDS, calls: int = CALLS
) -> Iterator[str]:
    """The lines of both tables.

    Args:
        names: Of the traces.
        length: Requests of each.
        rounds: Of the timings.
        calls: Of a timing.
    """
    ratios: dict[str, list[float]] = {"used": [], "slow": [], "seconds": []}
    rows = []
    for name in names:
        trace = TRACES[name](random.Random(zlib.crc32(name.encode())), length)
        whole = sum({key: size for key, size, _ in trace}.values())
        for share in SHARES:
            size = int(whole * share)
            base, used, slow = (play(trace, make(size)) for make in ORDERS.values())
            found = {
                "used": used.misses / base.misses,
                "slow": slow.misses / base.misses,
                "seconds": slow.seconds / base.seconds,
            }
            for kind, ratio in found.items():
                ratios[kind].append(ratio)
            shown = (f"{ratio:.3f}" for ratio in found.values())
            rows.append((name, f"{share:.0%}", f"{base.misses / len(trace):.1%}", *shown))
    means = (f"{statistics.fmean(ratios[kind]):.3f}" for kind in ratios)
    worst = (f"{max(ratios[kind]):.3f}" for kind in ratios)
    rows += [("arithmetic mean", "", "", *means), ("worst", "", "", *worst)]
    heads = ("trace", "size", "LRU misses", 'keep="used"', 'keep="slow"', "its seconds of filling")
    yield from table(heads, rows)
    yield ""
    yield from _costs(rounds, calls)


def _costs(rounds: int, calls: int) -> Iterator[str]:
    """Nanoseconds of a hit, and of a set for which another leaves, interleaved."""
    hits: dict[str, list[float]] = {name: [] for name in ORDERS}
    sets: dict[str, list[float]] = {name: [] for name in ORDERS}
    rng = random.Random(1)
    for _ in range(rounds):
        for name, make in rng.sample(list(ORDERS.items()), len(ORDERS)):
            tier = make(1_000 * 2_000)
            for number in range(2_000):
                tier.set(slot_of(str(number), 1_000, 0.02))
            asked = [str(rng.randrange(2_000)) for _ in range(calls)]
            hits[name].append(_timed_hits(tier, asked))
            slots = [slot_of(f"new {number}", 1_000, 0.02) for number in range(calls)]
            sets[name].append(_timed_sets(tier, slots))
    rows = []
    for name in ORDERS:
        by_lru = [
            [mine / base for mine, base in zip(kind[name], kind["lru"], strict=True)]
            for kind in (hits, sets)
        ]
        rows.append(
            (
                name,
                f"{statistics.median(hits[name]):.0f}",
                _shown(by_lru[0]),
                f"{statistics.median(sets[name]):.0f}",
                _shown(by_lru[1]),
            )
        )
    yield from table(("order", "hit, ns", "to LRU", "set with eviction, ns", "to LRU"), rows)


def _timed_hits(tier: MemoryTier, asked: list[str]) -> float:
    find, begun = tier.find, time.thread_time_ns()
    for key in asked:
        slot = find(key)
        if slot is not None and slot.uses < MAX_USES:
            slot.uses += 1
    return (time.thread_time_ns() - begun) / len(asked)


def _timed_sets(tier: MemoryTier, slots: list[Slot]) -> float:
    keep, begun = tier.set, time.thread_time_ns()
    for slot in slots:
        keep(slot)
    return (time.thread_time_ns() - begun) / len(slots)


def _shown(ratios: list[float]) -> str:
    low, high = Spread(tuple(ratios)).tenths
    return f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})"
