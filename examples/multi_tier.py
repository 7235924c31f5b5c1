"""Four tiers: memory, a small and a large file, and an archive; lower tiers keep entries longer."""

import asyncio
import tempfile
from pathlib import Path

from asgi_multitier import CacheBuilder, CacheManager, MemoryTier, TierConfig
from asgi_multitier.tiers.sqlite import SQLiteTier


def build(directory: Path) -> CacheManager:
    return (
        CacheBuilder()
        .with_l1(MemoryTier(max_bytes=1_000_000))
        .with_l2(SQLiteTier(directory / "two.db", name="small file"))
        .with_l3(SQLiteTier(directory / "three.db", name="large file"))
        .with_tier(
            SQLiteTier(directory / "four.db", name="archive"),
            TierConfig(level=4, ttl_scale=8, promotion_frequency=2),
        )
        .with_redis(None)
        .with_settings(namespace="example")
        .build()
    )


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with build(Path(directory)) as cache:
            await cache.set("k", {"v": 1}, 60)
            print(await cache.get("k"), "from L1")

            # Only the archive has it: its second hit is copied into all tiers above.
            shared = cache.engine.stack.shared
            cache.engine.stack.local.clear()
            for placed in shared[:2]:
                await placed.tier.clear()
            for _ in range(3):
                await cache.get("k")
            await cache.engine.stack.settle()
            for tier in cache.tier_stats():
                print(
                    f"L{tier.level} {tier.name:10} {tier.hits} hits, {tier.promotions} promotions"
                )

            # Promotion does not extend a lifetime: 60 s in L1, 480 s in the archive.
            slot = cache.engine.stack.local.get("k")
            assert slot is not None
            print("at most 60 s in memory:", slot.entry.fresh_until - slot.entry.filled_at <= 60)


if __name__ == "__main__":
    asyncio.run(main())
