"""Waiting for what caches do in the background."""

import asyncio

import fakeredis
import pytest

from asgi_multitier import CacheManager
from asgi_multitier.selectors import Selector
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


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for."""
    monkeypatch.setattr(settling, "_PATIENCE", 0.0)


RUNS = r"CacheManager shop.* still runs or writes"
SENDS = r"CacheManager shop.* has not sent everything"


@pytest.mark.usefixtures("at_once")
async def test_what_still_runs_or_is_written_is_named() -> None:
    """A run of a function, and what goes to a shared tier."""
    end = asyncio.Event()
    async with make(fakeredis.FakeServer()) as cache:
        settle(cache)
        asking = asyncio.create_task(cache.get_or_compute("k", end.wait, 60))
        await until(lambda: cache.engine.flights.tasks)
        with pytest.raises(TimeoutError, match=RUNS):
            settle(cache)
        end.set()
        await asking
        end.clear()
        await until(lambda: not cache.engine.flights.tasks and not cache.engine.stack.tasks)
        writing = cache.engine.stack.spawn(end.wait(), "a write")
        with pytest.raises(TimeoutError, match=RUNS):
            await settled(cache)
        end.set()
        await writing


@pytest.mark.usefixtures("at_once")
async def test_what_the_log_lacks_is_named() -> None:
    """Not sent yet, no server to send it to, never a server; other logs have other numbers."""
    server, gone = fakeredis.FakeServer(), fakeredis.FakeServer()
    gone.connected = False
    async with make(server) as one, make(fakeredis.FakeServer()) as two, make(gone) as lost:
        await settled(one, make(server))  # the second does not run
        with pytest.raises(TimeoutError, match=r"not read the same log equally far: .*shop.* at "):
            await settled(one, two)
        with pytest.raises(TimeoutError, match=SENDS):
            await settled(lost)
        operation = one.engine.log.begin([Selector("key", "k")])
        with pytest.raises(TimeoutError, match=SENDS):
            await settled(one)
        position = await one.engine.log.commit(operation)
        assert position is not None
        assert await one.engine.log.reached(position, 10.0)
        settle(one)
        server.connected = False
        assert not await one.invalidate("k")
        with pytest.raises(TimeoutError, match=SENDS):
            settle(one)
        server.connected = True
