"""A few hits are looked at, each as likely as any other, and none does anything for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest

from asgi_multitier import CacheManager, Rule
from asgi_multitier.engine.sampling import Key, Sampler, sampler
from tests.patience import until
from tests.support import Cache, Origin, answering, caching

RULES = [Rule("/a*", 60), Rule("/v*", 60), Rule("/short", 1)]


class Chance:
    """Chooses the moment at once, and lets so many hits pass."""

    def __init__(self, passing: int = 0, pause: float = 0.0) -> None:
        self.passing = passing
        self.pause = pause

    def uniform(self, least: float, most: float) -> float:
        return self.pause

    def randrange(self, most: int) -> int:
        assert self.passing < most
        return self.passing


def looking(cache: Cache, passing: int = 0) -> Sampler:
    """The sampler of a cache, which looks at the next hit but so many."""
    made = cache.manager.engine.sampler
    made._chance = Chance(passing)  # type: ignore[assignment]
    made._watch()
    return made


def seen(made: Sampler) -> list[str]:
    """The paths of the keys that were seen."""
    return [key.path for _, _, key in made.keys.top()]


@asynccontextmanager
async def filled(*paths: str) -> AsyncIterator[Cache]:
    """A cache that has these, and has answered a hit of each."""
    async with caching(Origin(), RULES) as cache:
        for path in paths:
            await cache.get(path)
            assert (await cache.get(path)).hit
        yield cache


async def test_the_next_hit_is_seen_and_no_other() -> None:
    """With its route, size, age and what is left of its lifetime."""
    async with filled("/a1", "/a2") as cache:
        made = looking(cache)
        cache.clock.advance(15.0)
        await cache.get("/a1")
        await cache.get("/a2")
        shapes = made.shapes["-"]

    ((_, share, key),) = made.keys.top()
    assert (share, key) == (1.0, Key("-", "/a1", 1))
    assert (shapes.ages.seconds, shapes.left.seconds) == (15.0, 45.0)
    assert shapes.sizes.seconds == key.size
    assert sum(shapes.ages.counts) == 1


async def test_some_pass_before_one_is_seen() -> None:
    """So the first request after a pause is no likelier than the others."""
    async with filled("/a1", "/a2", "/a3") as cache:
        made = looking(cache, passing=2)
        for path in ("/a1", "/a2", "/a3", "/a1"):
            await cache.get(path)

    assert seen(made) == ["/a3"]


DOORS = [
    pytest.param("/a1", [], id="plain"),
    pytest.param("/a1", [("if-none-match", '"x"')], id="the general way"),
    pytest.param("/v1", [("accept-language", "de")], id="one of several representations"),
]


@pytest.mark.parametrize(("path", "headers"), DOORS)
async def test_hits_of_every_door_are_seen(path: str, headers: list[tuple[str, str]]) -> None:
    """Once each, whichever way they go."""
    async with caching(Origin(answering(b"x", (b"vary", b"accept-language"))), RULES) as cache:
        for _ in range(2):
            await cache.get(path, headers)
        made = looking(cache)
        for _ in range(3):
            await cache.get(path, headers)

    assert seen(made) == [path]
    assert [key.size for _, _, key in made.keys.top()] == [1]
    assert made.keys.total(cache.clock()) == pytest.approx(1.0)


async def test_values_are_seen() -> None:
    """They have no path, and count under the manager."""
    async with caching(Origin(), RULES) as cache:
        await cache.manager.set("user:1", {"name": "A"}, 60)
        made = looking(cache)
        assert await cache.manager.get("absent") is None
        await cache.manager.get("user:1")

    assert [(key.route, key.path, key.size > 0) for _, _, key in made.keys.top()] == [
        ("manager", "", True)
    ]


async def test_what_is_no_hit_is_not_seen() -> None:
    """A miss, and what is stale; the next hit is."""
    async with filled("/a1", "/short") as cache:
        made = looking(cache)
        await cache.get("/a2")
        cache.clock.advance(2.0)
        await cache.get("/short")
        assert seen(made) == []
        await cache.get("/a1")

    assert seen(made) == ["/a1"]


async def test_while_it_does_not_look_hits_are_what_they_always_are() -> None:
    """The functions that look keys up are those of the tier again."""
    async with filled("/a1") as cache:
        hits = cache.middleware._hits
        find = hits.find
        made = looking(cache)
        assert hits.find is not find
        await cache.get("/a1")

        assert hits.find == find == cache.manager.engine.stack.local.find  # type: ignore[attr-defined]
        assert cache.manager.engine.stack.told is None
        assert not made.is_on


async def test_a_door_that_takes_another_tier_keeps_that() -> None:
    """What was replaced is not put back over it."""
    async with filled("/a1") as cache:
        made, hits = looking(cache), cache.middleware._hits
        hits.find = taken = {}.get
        made.end()

        assert hits.find is taken


async def test_routes_beyond_the_bound_are_seen_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """As their requests are counted."""
    monkeypatch.setattr(sampler, "MAX_ROUTES", 1)
    async with filled("/a1") as cache:
        made = looking(cache)
        await cache.get("/a1")
        made._watch()
        await cache.manager.set("v", 1, 60)
        await cache.manager.get("v")

    assert {route: sum(shapes.ages.counts) for route, shapes in made.shapes.items()} == {"-": 2}


CALLER: ContextVar[str] = ContextVar("caller", default="no one")


async def test_it_goes_on_for_a_while_after_it_was_asked_for() -> None:
    """In no request's context; then it looks at nothing until it is asked for again."""
    contexts = []
    async with filled("/a1") as cache:
        made = cache.manager.engine.sampler
        made._chance = Chance()  # type: ignore[assignment]
        real = made._watch

        def watch() -> None:
            contexts.append(CALLER.get())
            real()

        made._watch = watch  # type: ignore[method-assign]
        token = CALLER.set("a request")
        cache.manager.metrics.hot()
        CALLER.reset(token)
        for number in range(3):
            await until(lambda: made._watches)
            await cache.get("/a1")
            assert made.keys.total(cache.clock()) == pytest.approx(number + 1)
        cache.clock.advance(sampler.WANTED)
        await until(lambda: not made.is_on)
        await cache.get("/a1")

        assert made.keys.total(cache.clock()) < 3
        assert set(contexts) == {"no one"}
        cache.manager.metrics.text()
        await until(lambda: made._watches)


async def test_nothing_is_looked_at_after_the_end() -> None:
    """No timer is left, and no door is watched."""
    async with filled("/a1") as cache:
        made = cache.manager.engine.sampler
        made.want()
        assert made.is_on
        made._watch()
        await cache.manager.close()

        assert not made.is_on
        assert not made._watches


def test_it_moves_to_another_event_loop() -> None:
    """A timer of one that has ended never fires."""
    manager = CacheManager(redis_url=None, namespace="n")
    made = manager.engine.sampler

    async def first() -> None:
        await manager.start()
        made._chance = Chance(pause=3_600.0)  # type: ignore[assignment]
        made.want()

    async def second() -> None:
        made._chance = Chance()  # type: ignore[assignment]
        await manager.start()
        made.want()
        await until(lambda: manager.engine.stack.told)
        await manager.close()

    asyncio.run(first())
    asyncio.run(second())


def test_it_is_asked_for_from_any_thread() -> None:
    """As by a registry that another thread collects."""
    manager = CacheManager(redis_url=None, namespace="n")
    manager.metrics.text()
    assert not manager.engine.sampler.is_on

    async def run() -> None:
        async with manager:
            await asyncio.to_thread(manager.metrics.text)
            await until(lambda: manager.engine.sampler.is_on)

    asyncio.run(run())
