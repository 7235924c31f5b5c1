"""Two processes share one file, without a server: an edit in one is seen by the other.

With Redis it is the same: leave out `sqlite=`.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from asgi_multitier import CacheManager


def cache_at(path: str) -> CacheManager:
    return CacheManager(sqlite=path, namespace="example")


async def editor(path: str) -> None:
    """The other process: changes the price on request."""
    async with cache_at(path) as cache:
        for line in iter(sys.stdin.readline, ""):
            word, _, price = line.strip().partition(" ")
            if word == "update":
                await cache.update("price", int(price))
            else:
                await cache.invalidate("price")
            print(time.monotonic(), flush=True)


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "cache.db")
        other = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            path,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert other.stdin is not None
        assert other.stdout is not None
        async with cache_at(path) as cache:
            await cache.set("price", 100)
            print("before:", await cache.get("price"), "from memory")
            for command, wanted in (("update 120", 120), ("invalidate", None)):
                other.stdin.write(f"{command}\n".encode())
                done = float(await other.stdout.readline())
                while await cache.get("price") != wanted:  # noqa: ASYNC110  # to see when
                    await asyncio.sleep(0.001)
                late = max(0.0, time.monotonic() - done)
                print(f"{command}: seen here as {wanted}, within 50 ms: {late < 0.05}")
            stats = cache.invalidation_stats()
            print("heard:", dict(sorted(stats.applied.items())))
        other.stdin.close()
        await other.wait()


if __name__ == "__main__":
    asyncio.run(editor(sys.argv[1]) if len(sys.argv) > 1 else main())
