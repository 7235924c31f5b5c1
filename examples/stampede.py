"""Many callers request the same missing value at the same time: the source is called once."""

import asyncio
import time

from asgi_multitier import CacheManager

CALLERS = 100


class Source:
    """A slow source that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        await asyncio.sleep(0.2)
        return "the report"


async def main() -> None:
    async with CacheManager(redis_url=None) as cache:
        source = Source()
        begun = time.perf_counter()
        answers = await asyncio.gather(
            *(cache.get_or_compute("report", source) for _ in range(CALLERS))
        )
        took = time.perf_counter() - begun
        print(f"{len(answers)} callers, {source.calls} call of the source, {took:.1f} s")

        # If the first caller is cancelled, the run continues for the others.
        source = Source()
        leader = asyncio.create_task(cache.get_or_compute("other", source))
        await asyncio.sleep(0.05)
        followers = [asyncio.create_task(cache.get_or_compute("other", source)) for _ in range(9)]
        await asyncio.sleep(0.05)
        leader.cancel()
        await asyncio.gather(*followers)
        print(f"the leader left, {len(followers)} were answered by {source.calls} call")

        # A caller can limit its wait. The run continues, and its result is stored.
        source = Source()
        try:
            await cache.get_or_compute("slow", source, hard_timeout=0.05)
        except TimeoutError as error:
            print(error)
        await asyncio.sleep(0.25)
        print("and a moment later:", await cache.get("slow"))

        # With Redis, `coalesce="fleet"` makes it one call for all instances.
        total = cache.stats().total
        print(f"{total.misses} misses, {total.coalesced} coalesced of {total.requests}")


if __name__ == "__main__":
    asyncio.run(main())
