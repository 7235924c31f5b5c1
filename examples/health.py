"""What `health()` reports while a tier fails and recovers."""

import asyncio

from asgi_multitier import BackendError, CacheManager, NullTier


class Flaky(NullTier):
    """A tier whose server can be switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "flaky"
        self.up = True

    async def ping(self) -> None:
        if not self.up:
            raise BackendError("connection refused")


def grade(ratio: float) -> str:
    return "good" if ratio >= 0.8 else "fair" if ratio >= 0.5 else "poor"


async def report(cache: CacheManager) -> None:
    health = await cache.health()
    state = "degraded" if health.degraded else "healthy"
    tiers = ", ".join(
        f"L{tier.level} {tier.name} {'up' if tier.healthy else f'down ({tier.error})'}"
        f", breaker {tier.breaker}"
        for tier in health.tiers
    )
    print(f"{state}: {tiers}")


async def main() -> None:
    flaky = Flaky()
    async with CacheManager(l2=flaky, redis_url=None, breaker_reset=0.05) as cache:
        await report(cache)
        flaky.up = False
        for _ in range(3):
            await report(cache)

        # Values are computed and cached in memory nevertheless.
        for _ in range(10):
            await cache.get_or_compute("k", lambda: "value")
        ratio = cache.stats().hit_ratio
        print(f"hit ratio {ratio:.0%}: {grade(ratio)}")

        flaky.up = True
        await asyncio.sleep(0.06)
        await report(cache)


if __name__ == "__main__":
    asyncio.run(main())
