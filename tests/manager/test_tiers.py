"""Several tiers: lifetimes, promotion, and what each holds, in stores that are really different."""

from typing import Any

import pytest

from asgi_multitier import CacheBuilder, CacheManager, MemoryTier, TierConfig
from asgi_multitier.errors import ConfigError
from asgi_multitier.testing import FakeClock
from tests.manager.support import Function, SeenTier, settled


def stacked(
    clock: FakeClock, *places: TierConfig, first: TierConfig | None = None
) -> tuple[CacheManager, list[SeenTier]]:
    """A manager over distinct stores in these places."""
    stores = [SeenTier(clock, f"store{place.level}") for place in places]
    pairs: list[Any] = list(zip(stores, places, strict=True))
    if first is not None:
        pairs.append((MemoryTier(clock=clock), first))
    return CacheManager(tiers=pairs, redis_url=None, clock=clock, wall=clock), stores


def left(cache: CacheManager, clock: FakeClock, key: str = "k") -> float | None:
    """Seconds of freshness that a key has in memory."""
    slot = cache.engine.stack.local.get(key)
    return None if slot is None else slot.entry.fresh_until - clock.now


async def test_lifetimes_are_scaled_in_each_tier() -> None:
    """Base 10 s: 10, 10, 20 and 80 s with the presets."""
    clock = FakeClock()
    cache, stores = stacked(clock, TierConfig.l2(), TierConfig.l3(), TierConfig.l4())
    async with cache:
        await cache.set("k", 1, 10)

        assert left(cache, clock) == pytest.approx(10)
        assert [store.ttl("k") for store in stores] == pytest.approx([10, 20, 80])


async def test_the_first_tier_may_be_scaled_too() -> None:
    """A quarter of the lifetime in memory, the whole below; for fills, promotions and updates."""
    clock = FakeClock()
    first = TierConfig(1, ttl_scale=0.25, promotion=False)
    cache, (store,) = stacked(clock, TierConfig.l2(), first=first)
    async with cache:
        await cache.set("set", 1, 100)
        await cache.get_or_compute("computed", Function(), 100)
        await settled(cache)
        assert left(cache, clock, "set") == left(cache, clock, "computed") == pytest.approx(25)
        clock.advance(30)
        await cache.get("set")

        assert store.ttl("set") == pytest.approx(70)
        assert left(cache, clock, "set") == pytest.approx(70 / 4)


@pytest.mark.parametrize(
    ("found", "elapsed", "expected"),
    [
        pytest.param(2, 4, [6, None, None], id="from L2: what is left"),
        pytest.param(3, 4, [8, 8, None], id="from L3: halved, the scale that it had there"),
        pytest.param(4, 72, [1, 1, 2], id="from L4: an eighth, doubled for L3"),
    ],
)
async def test_promotion_keeps_to_the_lifetime_of_where_it_was_found(
    found: int, elapsed: float, expected: list[float | None]
) -> None:
    """Never longer, and in the upper tiers at their own scale."""
    clock = FakeClock()
    cache, stores = stacked(clock, TierConfig.l2(), TierConfig.l3(), TierConfig.l4())
    async with cache:
        await cache.set("k", 1, 10)
        cache.engine.stack.local.clear()
        for store in stores[: found - 2]:
            store.items.clear()
        clock.advance(elapsed)

        assert await cache.get("k") == 1
        await settled(cache)
        assert left(cache, clock) == pytest.approx(expected[0])
        for store, seconds in zip(stores[: found - 2], expected[1:], strict=False):
            assert store.ttl("k") == pytest.approx(seconds)
        longest = stores[found - 2].ttl("k")
        assert longest is not None
        assert all((store.ttl("k") or 0) <= longest + 1e-6 for store in stores[: found - 2])
        assert await cache.get("k") == 1
        assert cache.stats().total.hits == {1: 1, found: 1}


async def test_longer_lived_first_tier_does_not_lengthen_what_is_promoted_into_it() -> None:
    """Four times the lifetime for what is stored there, not for what was found below."""
    clock = FakeClock()
    first = TierConfig(1, ttl_scale=4, promotion=False)
    cache, (store,) = stacked(clock, TierConfig.l2(), first=first)
    async with cache:
        await cache.set("k", 1, 10)
        assert left(cache, clock) == pytest.approx(40)
        cache.engine.stack.local.clear()
        await cache.get("k")

        assert left(cache, clock) == pytest.approx(10) == store.ttl("k")


async def test_without_promotion_every_hit_is_below() -> None:
    """The upper tiers stay as they are."""
    clock = FakeClock()
    cache, (store,) = stacked(clock, TierConfig(2, promotion=False))
    async with cache:
        await cache.set("k", 1)
        cache.engine.stack.local.clear()
        for _ in range(3):
            assert await cache.get("k") == 1

        assert left(cache, clock) is None
        assert store.calls["get"] == 3
        assert cache.tier_stats()[1].promotions == 0


async def test_promotion_frequency_copies_one_hit_in_so_many() -> None:
    """The third of three."""
    clock = FakeClock()
    cache, (store,) = stacked(clock, TierConfig(2, promotion_frequency=3))
    async with cache:
        await cache.set("k", 1)
        cache.engine.stack.local.clear()
        for _ in range(5):
            assert await cache.get("k") == 1

        assert store.calls["get"] == 3
        assert cache.tier_stats()[1].promotions == 1
        assert cache.stats().total.hits == {2: 3, 1: 2}


async def test_statistics_by_tier() -> None:
    """Hits where they were answered; the sum is the number of calls."""
    clock = FakeClock()
    cache, stores = stacked(clock, TierConfig.l2(), TierConfig.l3())
    async with cache:
        await cache.set("k", 1)
        await cache.get("k")
        cache.engine.stack.local.clear()
        await cache.get("k")
        cache.engine.stack.local.clear()
        stores[0].items.clear()
        await cache.get("k")
        await cache.get("absent")
        tiers = cache.tier_stats()

        assert [(tier.level, tier.name, tier.hits) for tier in tiers] == [
            (1, "memory", 1),
            (2, "store2", 1),
            (3, "store3", 1),
        ]
        assert cache.stats().requests == 4
        assert cache.stats().hit_ratio == 0.75


async def test_a_broken_tier_is_passed_over() -> None:
    """The one below it answers, and its breaker leaves it alone after three failures."""
    clock = FakeClock()
    cache, (second, third) = stacked(clock, TierConfig.l2(), TierConfig.l3())
    async with cache:
        await cache.set("k", 1)
        second.broken = True
        for _ in range(5):
            cache.engine.stack.local.clear()
            assert await cache.get("k") == 1
        await settled(cache)

        # Three failures of each, and the one write that went well before.
        assert (second.calls["get"], second.calls["set"]) == (3, 4)
        assert third.calls["get"] == 5


def _shared(clock: FakeClock = FakeClock()) -> SeenTier:  # noqa: B008
    return SeenTier(clock)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CacheManager(tiers=[]), "at least one"),
        (
            lambda: CacheManager(tiers=[(_shared(), TierConfig(2)), (_shared(), TierConfig(2))]),
            r"tiers=\[2, 2\].*all different",
        ),
        (lambda: CacheManager(tiers=[(_shared(), TierConfig.l1())]), "a LocalTier.*at level 1"),
        (lambda: CacheManager(tiers=[(MemoryTier(), TierConfig.l3())]), "a SharedTier.*at level 3"),
        (lambda: CacheManager(l1=_shared()), "a LocalTier"),  # type: ignore[arg-type]
        (lambda: CacheManager(l2=MemoryTier()), "a SharedTier"),
        (lambda: CacheManager(l2=object()), "a SharedTier"),  # type: ignore[arg-type]
        (
            lambda: CacheManager(MemoryTier(), tiers=[(_shared(), TierConfig.l2())]),
            "tiers= and l1= cannot both",
        ),
    ],
    ids=["empty", "same level", "shared first", "local below", "l1", "l2", "no tier", "both"],
)
def test_tiers_that_cannot_stand_there_are_refused(make: Any, message: str) -> None:
    """When it is made, and by name."""
    with pytest.raises(ConfigError, match=message):
        make()


async def test_a_shared_tier_that_tells_its_length_is_a_shared_tier() -> None:
    """It has all methods of a local one by name, and is not taken for it."""

    class Sized(SeenTier):
        def __len__(self) -> int:
            return len(self.items)

    clock = FakeClock()
    tiers = [(Sized(clock), TierConfig.l2())]
    async with CacheManager(tiers=tiers, redis_url=None, clock=clock, wall=clock) as cache:
        await cache.set("k", 1)

        assert len(tiers[0][0]) == 1
    with pytest.raises(ConfigError, match="a LocalTier"):
        CacheManager(tiers=[(Sized(clock), TierConfig.l1())])


async def test_builder_puts_every_tier_in_its_place() -> None:
    """In whatever order they are named; nothing is dropped."""
    clock = FakeClock()
    stores = [SeenTier(clock, name) for name in ("two", "three", "four")]
    builder = CacheBuilder().with_l4(stores[2]).with_l2(stores[0]).with_l3(stores[1])
    builder.with_l1(MemoryTier(clock=clock)).with_redis(None)
    async with builder.with_settings(clock=clock, wall=clock).build() as cache:
        await cache.set("k", 1, 10)

        assert [tier.level for tier in cache.tier_stats()] == [1, 2, 3, 4]
        assert [tier.name for tier in cache.tier_stats()] == ["memory", "two", "three", "four"]
        assert [store.ttl("k") for store in stores] == pytest.approx([10, 20, 80])
