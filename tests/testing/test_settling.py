"""Waiting for what caches do in the background."""

import asyncio

import fakeredis
import pytest

from asgi_multitier import CacheManager
from asgi_multitier.testing import settle, settled, settling
from tests.patience import until


def make(server: fakeredis.FakeServer) -> CacheManager:
    return CacheManager(redis=server, namespace="shop")


async def test_invalidations_of_each_are_known_to_all() -> None:
    """Whichever of the caches has begun them, and though none was awaited."""
    server = fakeredis.FakeServer()
    caches = [make(server) for _ in range(3)]
    for cache in caches:
        await cache.start()
    for cache in caches:
        before = [each.engine.log.index.seq for each in caches]
        assert await cache.invalidate("k")
        await settled(*caches)
        after = [each.engine.log.index.seq for each in caches]
        assert after == [number + 1 for number in before]
    for cache in caches:
        await cache.close()


async def test_runs_and_their_writes_are_over() -> None:
    """What was computed for somebody who has left is on the server."""
    server = fakeredis.FakeServer()
    reading = fakeredis.FakeAsyncRedis(server=server)
    go = asyncio.Event()

    async def compute() -> str:
        await go.wait()
        return "v"

    async with make(server) as cache:
        asking = asyncio.create_task(cache.get_or_compute("k", compute, 60))
        await until(lambda: cache.engine.flights.tasks)
        asking.cancel()
        waiting = asyncio.create_task(settled(cache))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert await reading.keys("shop:e:*") == []
        go.set()
        await waiting
        assert len(await reading.keys("shop:e:*")) == 1
    await reading.aclose()


async def test_what_does_not_come_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the cache and the reason; a cache that does not run is not waited for."""
    monkeypatch.setattr(settling, "_PATIENCE", 0.0)
    server, other = fakeredis.FakeServer(), fakeredis.FakeServer()
    endless = asyncio.Event()
    async with make(server) as one, make(other) as two:
        await settled(one, make(server))
        settle(one)
        with pytest.raises(TimeoutError, match=r"not read the same log equally far: .*shop.* at "):
            await settled(one, two)
        asking = asyncio.create_task(one.get_or_compute("k", endless.wait, 60))
        await until(lambda: one.engine.flights.tasks)
        with pytest.raises(TimeoutError, match=r"CacheManager shop.* still runs or writes"):
            settle(one)
        endless.set()
        await asking
        server.connected = False
        assert not await one.invalidate("k")
        with pytest.raises(TimeoutError, match=r"CacheManager shop.* has not sent everything"):
            settle(one)
        server.connected = True
