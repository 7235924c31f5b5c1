"""Health: by tier, with what it took and what went wrong."""

from typing import Any

from asgi_multitier import CacheManager, MemoryTier, TierConfig
from asgi_multitier.entry import Slot
from asgi_multitier.testing import FakeClock
from tests.manager.support import SeenTier, in_memory, over
from tests.servers import ValkeyServer


async def test_all_well() -> None:
    """Every tier answered, and says how fast."""
    clock = FakeClock()
    async with over(clock, SeenTier(clock, "a"), SeenTier(clock, "b")) as cache:
        health = await cache.health()

        assert health.healthy
        assert not health.degraded
        assert health.trusted
        assert [(tier.level, tier.name) for tier in health.tiers] == [
            (1, "memory"),
            (2, "a"),
            (3, "b"),
        ]
        assert all(tier.healthy and tier.breaker == "closed" for tier in health.tiers)
        assert all(tier.latency is not None and tier.error == "" for tier in health.tiers)
        assert await cache.health_check()


async def test_broken_shared_tier_degrades_and_no_more() -> None:
    """Its error and its breaker are told, and stay told after it has recovered."""
    clock = FakeClock()
    below = SeenTier(clock)
    below.broken = True
    async with over(clock, below) as cache:
        for _ in range(4):
            health = await cache.health()

        assert (health.healthy, health.degraded) == (True, True)
        assert health.tiers[1].latency is None
        assert health.tiers[1].breaker == "open"
        assert health.tiers[1].error == "broken on purpose"
        assert below.calls["ping"] == 3
        assert await cache.health_check()
        below.broken = False
        clock.advance(1.1)
        health = await cache.health()
        assert not health.degraded
        assert health.tiers[1].breaker == "closed"
        assert health.tiers[1].error == "broken on purpose"


async def test_broken_first_tier_is_not_healthy() -> None:
    """One of a user's own that raises, against its contract."""

    class Broken(MemoryTier):
        def get(self, key: str) -> Slot | None:
            raise OSError("no memory")

    tiers: list[Any] = [(Broken(), TierConfig.l1())]
    async with CacheManager(tiers=tiers, redis_url=None) as cache:
        health = await cache.health()

        assert (health.healthy, health.degraded) == (False, True)
        assert health.tiers[0].error == "no memory"
        assert await cache.health_check() is False


async def test_memory_alone_is_not_degraded() -> None:
    """Nothing is missing that was asked for."""
    async with in_memory() as cache:
        health = await cache.health()

        assert (health.healthy, health.degraded, len(health.tiers)) == (True, False, 1)


async def test_lost_server_degrades(own_valkey: ValkeyServer, namespace: str) -> None:
    """The tier does not answer; requests are still answered from memory."""
    async with CacheManager(redis_url=own_valkey.url, namespace=namespace) as cache:
        assert not (await cache.health()).degraded
        own_valkey.stop()
        health = await cache.health()

        assert (health.healthy, health.degraded) == (True, True)
        assert health.tiers[1].error
        own_valkey.start()
