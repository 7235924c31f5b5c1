"""Made traces: sequences of keys, with sizes and costs that belong to the keys. Each has a seed."""

import random
from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import accumulate

Trace = list[tuple[str, int, float]]
"""Requests: a key, the bytes of its answer, and the seconds that making it takes."""

KEYS = 4_000
"""Different keys of a popular set."""


def popular(rng: random.Random, keys: int, skew: float) -> Callable[[], int]:
    """Draws numbers below `keys`, of which the first are drawn most (Zipf)."""
    weights = list(accumulate(1 / (rank + 1) ** skew for rank in range(keys)))
    return lambda: bisect(weights, rng.random() * weights[-1])


def _even(numbers: Iterator[int] | list[int]) -> Trace:
    return [(str(number), 4_000, 0.02) for number in numbers]


def zipf(rng: random.Random, length: int) -> Trace:
    """Some keys are asked for often, most rarely."""
    draw = popular(rng, KEYS, 0.9)
    return _even([draw() for _ in range(length)])


def flat_zipf(rng: random.Random, length: int) -> Trace:
    """The same, with less of a difference."""
    draw = popular(rng, KEYS, 0.6)
    return _even([draw() for _ in range(length)])


def scan(rng: random.Random, length: int) -> Trace:
    """A popular set, and now and then a long run of keys that come once."""
    draw, fresh = popular(rng, KEYS, 0.9), KEYS
    numbers: list[int] = []
    while len(numbers) < length:
        numbers += [draw() for _ in range(3_000)]
        numbers += range(fresh, fresh + 1_500)
        fresh += 1_500
    return _even(numbers[:length])


def loop(rng: random.Random, length: int) -> Trace:
    """The same keys round and round, with a few popular ones in between."""
    draw, size = popular(rng, KEYS, 0.9), KEYS // 4
    numbers = [KEYS + place % size if rng.random() < 0.7 else draw() for place in range(length)]
    return _even(numbers)


def mixed(rng: random.Random, length: int) -> Trace:
    """Half of a popular set, a quarter round and round, a quarter that comes once."""
    draw, size = popular(rng, KEYS, 0.8), KEYS // 4
    numbers = []
    for place in range(length):
        kind = rng.random()
        if kind < 0.5:
            numbers.append(draw())
        elif kind < 0.75:
            numbers.append(KEYS + place % size)
        else:
            numbers.append(2 * KEYS + place)
    return _even(numbers)


def crawl(rng: random.Random, length: int) -> Trace:
    """A hot set, and a crawler that asks for every page of a large site once."""
    draw = popular(rng, KEYS // 4, 0.7)
    numbers = [KEYS + place if rng.random() < 0.4 else draw() for place in range(length)]
    return _even(numbers)


def shifting(rng: random.Random, length: int) -> Trace:
    """What is popular changes: the news of today."""
    draw = popular(rng, KEYS, 0.9)
    return _even([draw() + place // 2_000 * 100 for place in range(length)])


def bursts(rng: random.Random, length: int) -> Trace:
    """Most keys are asked for a few times in a short while, and then never again."""
    draw, fresh = popular(rng, KEYS, 0.9), KEYS
    numbers: list[int] = []
    recent: list[int] = []
    for _ in range(length):
        if rng.random() < 0.5:
            numbers.append(draw())
            continue
        if not recent or rng.random() < 0.4:
            recent.append(fresh)
            fresh += 1
        numbers.append(rng.choice(recent[-50:]))
    return _even(numbers)


def sizes(rng: random.Random, length: int) -> Trace:
    """A popular set of answers of very different sizes and costs."""
    draw = popular(rng, KEYS, 0.8)
    of = [
        (int(min(400_000, rng.lognormvariate(8.5, 1.3))), min(5.0, rng.lognormvariate(-4, 1.5)))
        for _ in range(KEYS)
    ]
    return [(str(number), *of[number]) for number in (draw() for _ in range(length))]


TRACES: dict[str, Callable[[random.Random, int], Trace]] = {
    "zipf": zipf,
    "flat zipf": flat_zipf,
    "scan": scan,
    "loop": loop,
    "mixed": mixed,
    "crawl over a hot set": crawl,
    "shifting popularity": shifting,
    "bursts": bursts,
    "sizes and costs": sizes,
}
