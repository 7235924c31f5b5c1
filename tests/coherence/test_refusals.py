"""Why an entry may not be used: told if and only if the index says that it may not."""

import random
from collections import Counter

import pytest
from msgspec.structs import replace

from asgi_multitier.coherence.index import Index
from asgi_multitier.coherence.refusals import refusals
from asgi_multitier.entry import Born, Entry
from asgi_multitier.selectors import Selector, alias_tag
from asgi_multitier.testing import FakeClock

PATHS = ("/a", "/a/b", "/a/b/c", "/b", "")
TAGS = ("x:1", "x:2", "y", "z" * 200)
KEYS = ("\x00one", "\x00two", "user:1", "user:2")
PATTERNS = ("/a*", "*b", "user:*", "/?", "name:*", "*c*")

SELECTORS = [
    *(Selector("path", path) for path in PATHS if path),
    *(Selector("prefix", path) for path in PATHS),
    *(Selector("tag", tag) for tag in TAGS),
    *(Selector("key", key) for key in (*KEYS, "name:1")),
    *(Selector("route", route) for route in ("/r", "/s")),
    *(Selector("glob", pattern) for pattern in PATTERNS),
    Selector("all", ""),
]


def entry_of(chance: random.Random, index: Index, clock: FakeClock) -> Entry:
    """Something that was stored before or after some of the records."""
    own = chance.random() < 0.5
    gen = index.gen if chance.random() < 0.95 else "other"
    tags = tuple(chance.sample(TAGS, chance.randrange(3)))
    return Entry(
        key=chance.choice(KEYS),
        payload=b"",
        born=Born(
            gen,
            chance.randrange(index.seq + 1),
            chance.randrange(index.fence + 1) if own else -1,
        ),
        created=0,
        fresh_until=60,
        keep_until=60,
        filled_at=clock() - chance.choice((0, 10)),
        path=chance.choice(PATHS),
        route=chance.choice(("", "/r", "/s")),
        name=chance.choice(("", "name:1", "name:2")),
        tags=(alias_tag("/b"), *tags) if chance.random() < 0.2 else tags,
    )


@pytest.mark.parametrize("seed", range(10))
def test_they_are_told_if_and_only_if_the_index_refuses(seed: int) -> None:
    """Random records, own ones, holds, forgotten ones and lost contact; of random entries."""
    chance, clock = random.Random(seed), FakeClock()
    index = Index(clock=clock, max_selectors=8, max_globs=3)
    index.enter("gen", 0)
    seen: Counter[str] = Counter()
    for _ in range(60):
        named = chance.sample(SELECTORS, chance.choice((1, 1, 2)))
        what = chance.random()
        if what < 0.4:
            index.apply(index.seq + 1, named)
        elif what < 0.6:
            index.begin(named)
            if chance.random() < 0.6:
                index.apply(index.seq + 1, named, own_fence=index.fence)
        elif what < 0.7:
            index.hold(named)
            if chance.random() < 0.5:
                index.release(named)
        elif what < 0.85:
            index.distrust()
        else:
            index.trust()
        for _ in range(10):
            entry = entry_of(chance, index, clock)
            told = refusals(index, entry)
            assert bool(told) is not index.permits(entry), (entry, told)
            seen.update(one.cause for one in told)
            for one in told:
                assert (one.selector is not None) == (one.cause == "selector")
                assert one.seq <= index.seq
    assert seen.keys() >= {"selector", "forgotten", "generation"}


def test_a_log_that_is_not_heard_of_is_told() -> None:
    """Where nothing else refuses."""
    index = Index(clock=FakeClock())
    entry = entry_of(random.Random(1), index, FakeClock())
    index.distrust()
    told = refusals(index, replace(entry, born=Born("", 0), filled_at=index._clock() - 10))

    assert [one.cause for one in told] == ["untrusted"]


def test_the_record_is_told() -> None:
    """The last that selects, whether it has come back, and whether it still holds."""
    clock = FakeClock()
    index = Index(clock=clock)
    entry = entry_of(random.Random(0), index, clock)
    entry = replace(entry, born=Born("", 0), key="user:1", path="", name="", tags=("y",), route="")
    tag = Selector("tag", "y")
    index.apply(1, [tag])
    index.apply(2, [tag, Selector("glob", "user:*")])
    index.begin([Selector("key", "user:1")])
    index.hold([tag])

    assert [tuple(one) for one in refusals(index, entry)] == [
        ("selector", ("key", "user:1"), 0, True, False),
        ("selector", ("tag", "y"), 2, False, True),
        ("selector", ("glob", "user:*"), 2, False, False),
    ]
