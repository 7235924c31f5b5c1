"""The named lifetimes, lifetimes of your own, and what may be served after their end."""

import asyncio
from datetime import timedelta

from asgi_multitier import CacheManager, CacheStrategy

STRATEGIES = [
    (CacheStrategy.REAL_TIME, "prices, counters: what changes all the time"),
    (CacheStrategy.SHORT_TERM, "lists, search results"),
    (CacheStrategy.MEDIUM_TERM, "profiles, articles"),
    (CacheStrategy.LONG_TERM, "settings, catalogues"),
    (CacheStrategy.DEFAULT, "where you have no opinion"),
    (CacheStrategy.custom(timedelta(days=1)), "a lifetime of your own"),
]


async def main() -> None:
    async with CacheManager(redis_url=None) as cache:
        for strategy, use in STRATEGIES:
            key = f"example:{strategy.name}"
            await cache.set(key, use, strategy)
            assert await cache.get(key) == use
            print(f"{strategy.name:12} {strategy.ttl!s:>15}  {use}")

        # What was stored together does not end together.
        await cache.set("spread", 1, 300, jitter=0.1)

        # A source that works twice and then fails: the last good value stands in for an hour.
        answers = iter(["first", "second"])

        async def source() -> str:
            answer = next(answers, None)
            if answer is None:
                raise ConnectionError("the source is down")
            return answer

        for _ in range(3):
            value = await cache.get_or_compute("news", source, 0.02, stale_if_error=3600)
            print("news:", value)
            await asyncio.sleep(0.03)


if __name__ == "__main__":
    asyncio.run(main())
