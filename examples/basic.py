"""Set, get, compute and invalidate values, in memory."""

import asyncio

from asgi_multitier import CacheManager, CacheStrategy


async def main() -> None:
    async with CacheManager(redis_url=None) as cache:
        await cache.set("greeting", {"text": "hello"}, CacheStrategy.SHORT_TERM)
        print("got", await cache.get("greeting"))
        print("absent:", await cache.get("nothing", "default"))

        async def expensive() -> list[int]:
            print("computing ...")
            await asyncio.sleep(0.1)
            return [1, 2, 3]

        for _ in range(2):
            print("value", await cache.get_or_compute("numbers", expensive, 60, tags=["maths"]))

        await cache.set_many({"a": 1, "b": None})
        print("several:", await cache.get_many(["a", "b", "c"]))

        await cache.invalidate_tags("maths")
        print("after the invalidation:", await cache.get("numbers"))

        stats = cache.stats()
        print(f"{stats.requests} requests, {stats.l1_hits} hits, {stats.misses} misses")


if __name__ == "__main__":
    asyncio.run(main())
