"""How a manager is made, started and closed, and what contradicts."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as aredis

from asgi_multitier import CacheBuilder, CacheConfig, CacheManager, InvalidationConfig
from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.errors import ConfigError
from asgi_multitier.redis import RedisStreams
from asgi_multitier.serializers import MsgPackSerializer
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers import codec as codec_module
from asgi_multitier.tiers.base import TierConfig
from tests.figures import Figure, seconds
from tests.manager.support import Function, SeenTier, in_memory, over
from tests.patience import until
from tests.servers import ValkeyServer, free_port

URL = "redis://127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": CacheConfig(), "max_entry": 5}, "config= and max_entry= cannot both"),
        ({"redis": object(), "redis_url": URL}, "redis= and redis_url= cannot both"),
        ({"sqlite": "c.db", "redis_url": URL}, "sqlite= and redis_url= cannot both"),
        ({"sqlite": "c.db", "redis": object()}, "sqlite= and redis= cannot both"),
        ({"max_entri": 5}, "did you mean max_entry"),
        ({"compress_over": -1}, "compress_over=-1"),
        ({"compress_over": True}, "compress_over=True"),
        ({"streams": object()}, "streams=.*all of Streams"),
        (
            {"redis_url": None, "invalidation": InvalidationConfig(enable_audit_stream=True)},
            "enable_audit_stream=True .*without Redis",
        ),
    ],
    ids=[
        "config",
        "client and address",
        "file and address",
        "file and client",
        "misspelt",
        "negative",
        "not a number",
        "streams",
        "audit",
    ],
)
def test_contradictions_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    """Nothing is dropped silently."""
    with pytest.raises(ConfigError, match=message):
        CacheManager(**arguments)


def test_compression_without_its_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the manager is made, not at the first write."""
    monkeypatch.setattr(codec_module, "_zstandard", lambda: None)
    with pytest.raises(ConfigError, match=r"install asgi-multitier\[compression\]"):
        CacheManager(redis_url=None, compress_over=0)


async def test_making_one_starts_nothing(namespace: str) -> None:
    """No task and no connection before the first use."""
    tasks = asyncio.all_tasks()
    cache = CacheManager(redis_url=URL, namespace=namespace)

    assert asyncio.all_tasks() == tasks
    assert not cache.running
    assert repr(cache) == f"<CacheManager {namespace}, not running, not put together yet>"


async def test_closing_leaves_nothing_behind(valkey: ValkeyServer, namespace: str) -> None:
    """No task, whatever was used."""
    before = asyncio.all_tasks()
    async with CacheManager(redis_url=valkey.url, namespace=namespace) as cache:
        await cache.set("k", 1)
        await cache.get_or_compute("c", Function(), coalesce="fleet")
        await cache.streams.publish("s", {"a": "b"})
        await cache.update("k", 2)
        await cache.invalidate("k")
        assert "running" in repr(cache)
    await cache.close()
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before
    assert not cache.running
    gc.collect()


async def test_closed_manager_starts_again_at_the_next_use(
    valkey: ValkeyServer, namespace: str
) -> None:
    """It is the same cache."""
    cache = CacheManager(redis_url=valkey.url, namespace=namespace)
    for _ in range(2):
        async with cache:
            await cache.set("k", 1)
            assert await cache.get("k") == 1


def test_another_event_loop_starts_anew(tmp_path: Path) -> None:
    """Also where the first one was not closed."""
    cache = CacheManager(sqlite=tmp_path / "c.db", namespace="n")

    async def use(value: int) -> Any:
        before = await cache.get("k")
        await cache.update("k", value)
        return before

    async def use_and_close() -> Any:
        async with cache:
            return await cache.get("k")

    assert asyncio.run(use(1)) is None
    assert asyncio.run(use(2)) == 1
    assert asyncio.run(use_and_close()) == 2


async def test_start_does_not_wait_for_a_server_that_hangs(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """It returns while the server hangs, and goes on by itself."""
    own_valkey.freeze()
    cache = CacheManager(redis_url=own_valkey.url, namespace=namespace)
    begun = asyncio.get_running_loop().time()
    await cache.start()
    took = asyncio.get_running_loop().time() - begun
    trusted = cache.engine.log.trusted
    own_valkey.thaw()
    await until(lambda: cache.engine.log.trusted)
    await cache.close()

    figure("start, server that hangs", seconds(took), "250 ms")
    assert not trusted


async def test_no_server_at_the_default_address_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    """Zero configuration: in memory until a server appears."""
    address = f"redis://127.0.0.1:{free_port()}"
    monkeypatch.setattr("asgi_multitier.manager.backends.DEFAULT_REDIS_URL", address)
    async with CacheManager(config=CacheConfig(redis_url=address, namespace=namespace)) as cache:
        await cache.set("k", 1)

        assert await cache.get("k") == 1
        assert cache.engine.log.index.settled


async def test_failed_start_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that cannot even begin leaves a cache that says so."""

    class Broken(LocalLog):
        async def start(self, listener: Any) -> None:
            raise OSError("no log")

    async with CacheManager(redis_url=None, log=Broken()) as cache:
        assert cache.stats().failures == {"start": 1}


async def test_close_ends_a_start_that_hangs() -> None:
    """It does not wait for it either."""

    class Hanging(LocalLog):
        async def start(self, listener: Any) -> None:
            await asyncio.Event().wait()

    cache = CacheManager(redis_url=None, log=Hanging())
    await cache.start()
    await cache.start()
    await cache.close()

    assert not cache.running


async def test_writes_under_way_end_before_the_log_is_closed() -> None:
    """Nothing is written once the log is not followed any more."""
    clock = FakeClock()
    below = SeenTier(clock)
    below.gate = asyncio.Event()
    log = LocalLog(clock)
    closed_at: list[int] = []

    async def close() -> None:
        closed_at.append(len(below.items))

    log.close = close  # type: ignore[method-assign]
    cache = over(clock, below, log=log)
    await cache.start()
    below.gate.set()
    await cache.get_or_compute("k", Function())
    await cache.close()

    assert closed_at == [1]


async def test_streams_need_a_server() -> None:
    """In memory there are none, and it says what is missing."""
    async with in_memory() as cache:
        with pytest.raises(ConfigError, match=r"streams=None .*a Redis address"):
            _ = cache.streams


async def test_manager_used_for_streams_alone_is_closed_as_well(
    valkey: ValkeyServer, namespace: str
) -> None:
    """No connection is left open although nothing was cached."""
    cache = CacheManager(redis_url=valkey.url, namespace=namespace)
    await cache.streams.publish("s", {"a": "b"})
    assert len(cache._backends.link()._lanes) == 1
    await cache.close()

    assert len(cache._backends.link()._lanes) == 0


async def test_streams_of_ones_own_are_used(valkey: ValkeyServer, namespace: str) -> None:
    """In place of those on the manager's server; closed with it."""
    streams = RedisStreams(valkey.url, namespace=namespace)
    async with CacheManager(redis_url=None, streams=streams) as cache:
        assert cache.streams is streams
        assert await cache.streams.publish("s", {"a": "b"})


async def test_builder_passes_every_setting_on(tmp_path: Path) -> None:
    """What was said arrives; what was said twice is refused."""
    log, serializer = InvalidationConfig(auto_broadcast_on_write=True), MsgPackSerializer()
    streams = RedisStreams(URL)
    builder = CacheBuilder().with_redis(None).with_invalidation(log).with_serializer(serializer)
    cache = builder.with_streams(streams).with_settings(max_entry=7, namespace="n").build()

    assert cache.invalidation is log
    assert cache.serializer is serializer
    assert cache.streams is streams
    assert (cache.config.max_entry, cache.namespace) == (7, "n")
    assert cache.config.redis_url is None
    with pytest.raises(ConfigError, match="redis_url was given twice"):
        CacheBuilder().with_redis(None).with_redis(URL)
    with pytest.raises(ConfigError, match=r"level=2 .*not taken"):
        CacheBuilder().with_l2(SeenTier(FakeClock())).with_l2(SeenTier(FakeClock()))
    with pytest.raises(ConfigError, match=r"config=2 .*a TierConfig"):
        CacheBuilder().with_tier(SeenTier(FakeClock()), 2)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="did you mean namespace"):
        CacheBuilder().with_settings(namespac="x").build()
    file = CacheBuilder().with_sqlite(tmp_path / "c.db").build()
    async with file:
        assert [tier.name for tier in file.tier_stats()] == ["memory", "sqlite"]


async def test_builder_takes_a_client(valkey: ValkeyServer, namespace: str) -> None:
    """Where an address would do, too."""
    client = aredis.Redis.from_url(valkey.url)
    builder = CacheBuilder().with_redis(client).with_settings(namespace=namespace)
    async with builder.build() as cache:
        await cache.set("k", 1)

        assert await cache.get("k") == 1
    await client.aclose()


async def test_tier_of_ones_own_stands_above_the_default_log(
    valkey: ValkeyServer, namespace: str
) -> None:
    """A given second tier replaces Redis as a tier, not as the log."""
    clock = FakeClock()
    below = SeenTier(clock)
    builder = CacheBuilder().with_tier(below, TierConfig(5)).with_redis(valkey.url)
    async with builder.with_settings(namespace=namespace).build() as cache:
        assert [tier.level for tier in cache.tier_stats()] == [1, 5]
        assert await cache.invalidate("k")
        assert cache.invalidation_stats().sent == 1
