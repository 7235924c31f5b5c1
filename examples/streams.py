"""Redis Streams: publish, read, follow, consumer groups. Needs a server, at REDIS_URL."""

import asyncio

from asgi_multitier import CacheManager


async def main() -> None:
    async with CacheManager() as cache:
        streams = cache.streams
        # The position from which to follow is read before anything is published.
        latest = await streams.read_latest("orders", 1)
        start = latest[0].id if latest else "0"

        for number in range(1, 6):
            await streams.publish("orders", {"number": number, "item": "tea"}, maxlen=1000)
        newest = await streams.read_latest("orders", 3)
        print("newest first:", [entry["number"] for entry in newest])
        oldest = await streams.read("orders", start, 10)
        print("oldest first:", [entry["number"] for entry in oldest])

        # Follow the stream: each entry once, also across a lost connection.
        async def follow() -> list[str]:
            seen: list[str] = []
            async for entry in streams.tail("orders", oldest[-1].id):
                seen.append(entry["number"])
                if len(seen) == 2:
                    break
            return seen

        following = asyncio.create_task(follow())
        await streams.publish("orders", {"number": 6, "item": "cake"})
        await streams.publish("orders", {"number": 7, "item": "cake"})
        print("followed:", await following)

        # Consumer group: each entry goes to one of its consumers.
        await streams.create_group("orders", "kitchen", start=start)
        for consumer in ("anna", "bert"):
            taken = await streams.read_group("orders", "kitchen", consumer, 4)
            done = await streams.ack("orders", "kitchen", *(entry.id for entry in taken))
            print(f"{consumer} took {len(taken)} and finished {done}")


if __name__ == "__main__":
    asyncio.run(main())
