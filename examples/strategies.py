"""Named lifetimes, custom lifetimes, and a stale value when the source fails."""

import asyncio
from datetime import timedelta

from asgi_multitier import CacheManager, CacheStrategy

STRATEGIES = [
    (CacheStrategy.REAL_TIME, "prices, counters"),
    (CacheStrategy.SHORT_TERM, "lists, search results"),
    (CacheStrategy.MEDIUM_TERM, "profiles, articles"),
    (CacheStrategy.LONG_TERM, "settings, catalogues"),
    (CacheStrategy.DEFAULT, "anything without a better choice"),
    (CacheStrategy.custom(timedelta(days=1)), "a custom lifetime"),
]


async def main() -> None:
    async with CacheManager(redis_url=None) as cache:
        for strategy, use in STRATEGIES:
            key = f"example:{strategy.name}"
            await cache.set(key, use, strategy)
            assert await cache.get(key) == use
            print(f"{strategy.name:12} {strategy.ttl!s:>15}  {use}")

        # Shortened at random by up to 10 %: entries stored together do not expire together.
        await cache.set("spread", 1, 300, jitter=0.1)

        # A source that works twice and then fails: the last good value is served for an hour.
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
