"""What a two-tier cache of this kind has always promised, each promise in its strict form.

The numbers are those of the list of promises that this package keeps; where one is a whole table
elsewhere (selectors, the log's records, streams), the test here is the short one by its name.
"""

import asyncio
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier import (
    CacheBuilder,
    CacheError,
    CacheManager,
    CacheStrategy,
    InvalidationConfig,
    MemoryTier,
    TierConfig,
)
from asgi_multitier.coherence.log import Operation, Update
from asgi_multitier.coherence.records import RecordCodec, bodies
from asgi_multitier.entry import Born
from asgi_multitier.policy.key import storage_key
from asgi_multitier.selectors import Selector, glob_matches
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers.memcached import MemcachedTier
from tests.manager.support import Function, SeenTier, idle, in_memory, over, settled
from tests.manager.test_instances import both_hold, caught_up, in_memory_of, pair
from tests.patience import PATIENCE, until
from tests.servers import ValkeyServer
from tests.tiers.memcached_server import MemcachedServer


@dataclass
class Profile:
    id: int
    name: str


def real(server: ValkeyServer, namespace: str, **options: Any) -> CacheManager:
    """A manager with a real second tier."""
    # What a busy machine is late with must not count as a server that does not answer.
    options = {"redis_timeout": PATIENCE} | options
    return CacheManager(redis_url=server.url, namespace=namespace, **options)


# Basics.


async def test_01_basic_set_and_get(valkey: ValkeyServer, namespace: str) -> None:
    """What was set is got."""
    async with real(valkey, namespace) as cache:
        await cache.set("k", {"v": 1}, CacheStrategy.SHORT_TERM)

        assert await cache.get("k") == {"v": 1}


async def test_02_l1_cache_hit() -> None:
    """Two gets of a set key are two hits of the first tier; the second is not asked."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        await cache.set("k", 1)
        assert [await cache.get("k"), await cache.get("k")] == [1, 1]

        assert cache.stats().l1_hits == 2
        assert below.calls["get"] == 0


async def test_03_l2_to_l1_promotion(valkey: ValkeyServer, namespace: str) -> None:
    """A value only in L2 is promoted at the first hit, with no more life than it has there."""
    async with real(valkey, namespace) as one, real(valkey, namespace) as two:
        await one.set("k", 1, 300)

        asked = time.monotonic()
        assert await two.get("k") == 1
        under_way = time.monotonic() - asked
        assert await two.get("k") == 1
        assert two.stats().total.hits == {1: 1, 2: 1}
        assert two.stats().promotions == 1
        slot = two.engine.stack.local.get("k")
        assert slot is not None
        far = valkey.command("PTTL", f"{namespace}:e:{storage_key('k')}") / 1000
        near = slot.entry.fresh_until - time.monotonic()  # asked last, when less is left
        # The server tells whole milliseconds, and the answer that was promoted took its time.
        assert near <= far + under_way + 0.005
        assert far <= 300


async def test_04_cache_miss(valkey: ValkeyServer, namespace: str) -> None:
    """An absent key is None, and one miss."""
    async with real(valkey, namespace) as cache:
        assert await cache.get("absent") is None
        assert cache.stats().misses == 1


async def test_05_compute_on_miss(valkey: ValkeyServer, namespace: str) -> None:
    """The computed value is returned, and got later."""
    async with real(valkey, namespace) as cache:
        assert await cache.get_or_compute("k", lambda: [1]) == [1]
        assert await cache.get("k") == [1]


async def test_06_type_safe_caching(valkey: ValkeyServer, namespace: str) -> None:
    """An equal object; the second call computes nothing."""
    async with real(valkey, namespace) as cache:
        profile = Profile(1, "ann")
        first = await cache.get_or_compute_typed("k", Profile, lambda: profile)

        def never() -> Profile:
            raise AssertionError("computed twice")

        assert first == await cache.get_or_compute_typed("k", Profile, never) == profile


async def test_07_ttl_expiration(valkey: ValkeyServer, namespace: str) -> None:
    """900 ms are 900 ms, in both tiers."""
    clock, key = FakeClock(), f"{namespace}:e:{storage_key('k')}"
    async with real(valkey, namespace, clock=clock, wall=clock) as cache:
        await cache.set("k", 1, CacheStrategy.custom(0.9))
        assert 0 < valkey.command("PTTL", key) <= 900
        clock.advance(0.89)
        assert await cache.get("k") == 1
        clock.advance(0.01)
        await until(lambda: not valkey.command("EXISTS", key))

        assert await cache.get("k") is None


async def test_08_statistics_tracking() -> None:
    """Exact: hits and misses are the requests."""
    async with in_memory() as cache:
        await cache.set("k", 1)
        await cache.get("k")
        await cache.get("absent")
        stats = cache.stats()

        assert (stats.requests, stats.l1_hits, stats.misses, stats.hit_ratio) == (2, 1, 1, 0.5)


async def test_09_health_check(valkey: ValkeyServer, namespace: str) -> None:
    """All well with a server that answers."""
    async with real(valkey, namespace) as cache:
        assert await cache.health_check()
        assert all(tier.healthy for tier in (await cache.health()).tiers)


@pytest.mark.parametrize(
    "strategy",
    [
        CacheStrategy.REAL_TIME,
        CacheStrategy.SHORT_TERM,
        CacheStrategy.MEDIUM_TERM,
        CacheStrategy.LONG_TERM,
        CacheStrategy.DEFAULT,
        CacheStrategy.custom(60),
    ],
    ids=repr,
)
async def test_10_cache_strategies(
    valkey: ValkeyServer, namespace: str, strategy: CacheStrategy
) -> None:
    """The lifetime that the server was given is the strategy's."""
    async with real(valkey, namespace) as cache:
        await cache.set("k", 1, strategy)
        left = valkey.command("PTTL", f"{namespace}:e:{storage_key('k')}") / 1000

        assert strategy.seconds - 1 < left <= strategy.seconds
        assert await cache.get("k") == 1


@pytest.mark.parametrize("empty", [None, b"", "", [], {}, 0, False], ids=repr)
async def test_11_negative_caching(valkey: ValkeyServer, namespace: str, empty: Any) -> None:
    """An empty value is a value: it is got, and nothing is computed in its place."""
    async with real(valkey, namespace) as cache:
        await cache.set("k", empty)
        function = Function("computed")

        assert await cache.get("k", "default") == empty
        assert await cache.get_or_compute("k", function) == empty
        assert function.runs == 0


# Features.


async def test_12_real_time_strategy_expiry() -> None:
    """A second is a second."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        await cache.set("k", 1, CacheStrategy.custom(1))
        assert await cache.get("k") == 1
        clock.advance(1.1)
        assert await cache.get("k") is None


async def test_13_manual_l1_invalidation_check() -> None:
    """Without any server too."""
    async with in_memory() as cache:
        await cache.set("k", 1)
        assert await cache.invalidate("k")
        assert await cache.get("k") is None


async def test_14_get_or_compute_error_propagation() -> None:
    """The function's own error, and nothing cached."""
    async with in_memory() as cache:
        error = RuntimeError("Database failure")

        async def failing() -> None:
            raise error

        with pytest.raises(RuntimeError) as caught:
            await cache.get_or_compute("k", failing)
        assert caught.value is error
        assert await cache.get("k", "nothing") == "nothing"


# Stampede.


async def test_15_concurrent_cache_miss() -> None:
    """A slow function, staggered callers, plain and typed ones and gets among them: one run."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        function = Function(Profile(1, "ann")).close()
        calls: list[asyncio.Task[Any]] = []
        for number in range(102):
            if number % 3 == 0:
                call: Any = cache.get_or_compute_typed("k", Profile, function)
            elif number % 3 == 1:
                call = cache.get_or_compute("k", function)
            else:
                call = cache.get("k")
            calls.append(asyncio.create_task(call))
            await asyncio.sleep(0)
        await function.started.wait()
        await idle()
        function.gate.set()
        answers = await asyncio.gather(*calls)

        assert function.runs == 1
        assert answers[2::3] == [None] * 34
        assert all(answer == Profile(1, "ann") for answer in answers[::3])
        assert answers[1::3] == [{"id": 1, "name": "ann"}] * 34
        total = cache.stats().total
        assert (total.misses, total.coalesced, total.requests) == (35, 67, 102)


async def test_16_concurrent_cache_hits() -> None:
    """Fifty gets of a set key are fifty hits."""
    async with in_memory() as cache:
        await cache.set("k", 1)

        assert await asyncio.gather(*(cache.get("k") for _ in range(50))) == [1] * 50
        assert cache.stats().l1_hits == 50


async def test_17_stampede_latency_reduction() -> None:
    """Whoever waits for a run waits for the rest of it, and a hit waits for nothing."""
    async with in_memory() as cache:
        function = Function(1).close()
        calls = [asyncio.create_task(cache.get_or_compute("k", function)) for _ in range(10)]
        await function.started.wait()
        await idle()
        function.gate.set()
        await asyncio.gather(*calls)
        hit = cache.get_or_compute("k", function)

        with pytest.raises(StopIteration) as done:
            hit.send(None)
        assert done.value.value == 1
        assert function.runs == 1


# Streams.


async def test_18_stream_publish(valkey: ValkeyServer, namespace: str) -> None:
    """An entry has an id."""
    async with real(valkey, namespace) as cache:
        fields = {"a": "1", "b": "2", "c": "3"}

        assert "-" in await cache.streams.publish("s", fields, maxlen=100)


async def test_19_stream_read_latest(valkey: ValkeyServer, namespace: str) -> None:
    """Exactly so many, the youngest first, all fields."""
    async with real(valkey, namespace) as cache:
        ids = [await cache.streams.publish("s", {"n": str(n)}) for n in range(5)]
        latest = await cache.streams.read_latest("s", 3)

        assert [entry.id for entry in latest] == ids[:1:-1]
        assert [dict(entry) for entry in latest] == [{"n": "4"}, {"n": "3"}, {"n": "2"}]


async def test_20_stream_maxlen_trimming(valkey: ValkeyServer, namespace: str) -> None:
    """Exactly five, or about a thousand."""
    async with real(valkey, namespace, redis_timeout=10) as cache:
        for n in range(10):
            await cache.streams.publish("exact", {"n": str(n)}, maxlen=5, exact=True)
        for start in range(0, 3_000, 50):
            await asyncio.gather(
                *(
                    cache.streams.publish("about", {"n": str(n)}, maxlen=1_000)
                    for n in range(start, start + 50)
                )
            )

        assert [entry["n"] for entry in await cache.streams.read("exact", "0", 20)] == list("56789")
        assert 1_000 <= len(await cache.streams.read_latest("about", 3_000)) <= 1_200


# Invalidation: two instances, and the memory of the other one.


async def test_21_invalidate_single_key(valkey: ValkeyServer, namespace: str) -> None:
    """Gone on both."""
    async with pair(valkey, namespace) as (one, two):
        await both_hold(one, two, k=1)
        await one.invalidate("k")
        await caught_up(one, two)

        assert in_memory_of(two, "k") is None
        assert [await one.get("k"), await two.get("k")] == [None, None]
        assert two.invalidation_stats().applied["key"] == 1


async def test_22_update_cache(valkey: ValkeyServer, namespace: str) -> None:
    """The new value stands in the other's memory, for five minutes unless it says otherwise."""
    async with pair(valkey, namespace) as (one, two):
        await both_hold(one, two, k="v1")
        await one.update("k", "v2")
        await one.update("short", "v", 60)
        await caught_up(one, two)

        assert in_memory_of(two, "k") == "v2"
        for key, seconds in (("k", 300), ("short", 60)):
            left = two.engine.stack.local.get(key).entry.fresh_until - time.monotonic()
            assert seconds - 2 < left <= seconds
        assert two.invalidation_stats().applied["update"] == 2


async def test_23_invalidate_pattern(valkey: ValkeyServer, namespace: str) -> None:
    """All that match, nothing else, on both."""
    async with pair(valkey, namespace) as (one, two):
        keys = {f"user:pattern:{n}": n for n in range(5)}
        await both_hold(one, two, **keys, other="x")
        await one.invalidate_pattern("user:pattern:*")
        await caught_up(one, two)

        for cache in (one, two):
            assert await cache.get_many([*keys, "other"]) == {"other": "x"}


async def test_24_set_with_broadcast(valkey: ValkeyServer, namespace: str) -> None:
    """Written through to all instances."""
    async with pair(valkey, namespace) as (one, two):
        await one.set_with_broadcast("k", 1, CacheStrategy.SHORT_TERM)
        await caught_up(one, two)

        assert in_memory_of(one, "k") == in_memory_of(two, "k") == 1


async def test_25_invalidation_stats(valkey: ValkeyServer, namespace: str) -> None:
    """Sent here, received and applied there, exactly."""
    async with pair(valkey, namespace) as (one, two):
        await caught_up(one, two)
        before = [cache.invalidation_stats().received for cache in (one, two)]
        await one.invalidate("a", "b")
        await one.invalidate_pattern("x*")
        await one.update("k", 1)
        position = await two.engine.log.commit(two.engine.log.begin([Selector("tag", "t")]))
        assert await one.engine.log.reached(position, 2)
        assert await two.engine.log.reached(position, 2)
        here, there = one.invalidation_stats(), two.invalidation_stats()

        # Each has sent one empty record before, to catch up.
        assert (here.sent, here.echoed) == (4, 4)
        assert (there.sent, there.echoed) == (2, 2)
        assert [here.received - before[0], there.received - before[1]] == [4, 4]
        assert there.applied == here.applied == {"key": 2, "glob": 1, "update": 1, "tag": 1}
        assert here.processing_errors == there.processing_errors == 0


async def test_26_bulk_invalidation(valkey: ValkeyServer, namespace: str) -> None:
    """Ten keys, one by one or in one operation."""
    async with pair(valkey, namespace) as (one, two):
        keys = {f"k{n}": n for n in range(20)}
        await both_hold(one, two, **keys)
        for n in range(10):
            await one.invalidate(f"k{n}")
        await one.invalidate_many([f"k{n}" for n in range(10, 20)])
        await caught_up(one, two)

        assert await two.get_many(keys) == {}
        assert two.invalidation_stats().applied["key"] == 20


def test_27_invalidation_message_serialization_of_values() -> None:
    """Bytes travel as bytes: neither hexadecimal nor a list of numbers, whatever they are."""
    data = bytes.fromhex("aabbcc0011ff")
    operation = Operation("op", Born("g", 1, 1), (), (Update("k", data, 60.0),))
    (body,) = bodies("node", operation)
    encoded, mac = RecordCodec("n").encode("op", body)

    assert data in encoded
    assert RecordCodec("n").decode("op", encoded, mac) == body


# Several tiers.


async def test_28_multi_tier_basic_operations() -> None:
    """Three tiers, three readings."""
    clock = FakeClock()
    async with over(clock, SeenTier(clock), SeenTier(clock)) as cache:
        await cache.set("k", 1)

        assert await cache.get("k") == 1
        assert [tier.level for tier in cache.tier_stats()] == [1, 2, 3]


async def test_29_multi_tier_stats() -> None:
    """Five gets of a set key: five hits, all of the first tier."""
    clock = FakeClock()
    async with over(clock, SeenTier(clock), SeenTier(clock)) as cache:
        await cache.set("k", 1)
        for _ in range(5):
            await cache.get("k")

        assert [tier.hits for tier in cache.tier_stats()] == [5, 0, 0]
        assert (cache.stats().requests, cache.stats().l1_hits) == (5, 5)


async def test_30_two_tiers_are_the_default(valkey: ValkeyServer, namespace: str) -> None:
    """Memory and the server, without naming them."""
    builder = CacheBuilder().with_redis(valkey.url).with_settings(namespace=namespace)
    async with builder.build() as cache:
        await cache.set("k", 1)

        assert await cache.get("k") == 1
        assert [tier.name for tier in cache.tier_stats()] == ["memory", "redis"]
        assert cache.stats().requests == 1


async def test_31_multi_tier_ttl_scaling() -> None:
    """10, 10 and 20 s, measured in distinct stores."""
    clock = FakeClock()
    two, three = SeenTier(clock), SeenTier(clock)
    tiers: list[Any] = [(two, TierConfig.l2()), (three, TierConfig.l3())]
    async with CacheManager(tiers=tiers, redis_url=None, clock=clock, wall=clock) as cache:
        await cache.set("k", 1, 10)
        slot = cache.engine.stack.local.get("k")

        assert slot is not None
        assert slot.entry.fresh_until - clock.now == 10
        assert (two.ttl("k"), three.ttl("k")) == (10, 20)


async def test_32_multi_tier_cache_miss() -> None:
    """Every tier is asked once, and it is one miss."""
    clock = FakeClock()
    stores = [SeenTier(clock), SeenTier(clock)]
    async with over(clock, *stores) as cache:
        assert await cache.get("absent") is None
        assert cache.stats().misses == 1
        assert [store.calls["get"] for store in stores] == [1, 1]


async def test_33_builder_convenience_methods() -> None:
    """`with_l3` and `with_l4` with the others: four tiers."""
    clock = FakeClock()
    stores = [SeenTier(clock) for _ in range(3)]
    builder = CacheBuilder().with_l1(MemoryTier()).with_l2(stores[0]).with_redis(None)
    async with builder.with_l3(stores[1]).with_l4(stores[2]).build() as cache:
        assert [tier.level for tier in cache.tier_stats()] == [1, 2, 3, 4]


async def test_34_multi_tier_stampede_protection() -> None:
    """Fifty callers, one run, and the value is there."""
    clock = FakeClock()
    stores = [SeenTier(clock), SeenTier(clock)]
    async with over(clock, *stores) as cache:
        function = Function(1).close()
        calls = [asyncio.create_task(cache.get_or_compute("k", function)) for _ in range(50)]
        await function.started.wait()
        await idle()
        function.gate.set()

        assert await asyncio.gather(*calls) == [1] * 50
        assert function.runs == 1
        await settled(cache)
        assert all(store.ttl("k") for store in stores)


async def test_35_stampede_retrieves_from_l3() -> None:
    """A value only in L3, thirty callers: nothing computed, one reading, and then it is in L1."""
    clock = FakeClock()
    two, three = SeenTier(clock), SeenTier(clock)
    async with over(clock, two, three) as cache:
        await cache.set("k", {"v": 1})
        cache.engine.stack.local.clear()
        two.items.clear()
        function = Function()
        answers = await asyncio.gather(*(cache.get_or_compute("k", function) for _ in range(30)))

        assert answers == [{"v": 1}] * 30
        assert function.runs == 0
        assert three.calls["get"] == 1
        assert cache.stats().total.hits == {3: 30}
        assert await cache.get("k") == {"v": 1}
        assert cache.stats().l1_hits == 1


async def test_36_memcached_tier_integration(
    memcached: MemcachedServer, valkey: ValkeyServer, namespace: str
) -> None:
    """Memcached below memory."""
    tier = MemcachedTier(memcached.url, namespace=namespace[:40], timeout=10)
    async with CacheManager(l2=tier, redis_url=valkey.url, namespace=namespace) as cache:
        await cache.set("k", 1)
        cache.engine.stack.local.clear()

        assert await cache.get("k") == 1
        assert cache.tier_stats()[1].name == "memcached"
        assert cache.stats().l2_hits == 1


# Parts.


async def test_37_in_flight_cancellation_cleanup() -> None:
    """A run that is cancelled leaves nothing behind, and the next one works."""
    async with in_memory() as cache:
        function = Function(1).close()
        call = asyncio.create_task(cache.get_or_compute("k", function))
        await function.started.wait()
        flight = cache.engine.flights.find("k")
        assert flight is not None
        assert flight.task is not None
        flight.task.cancel()
        with pytest.raises(CacheError):
            await call

        assert len(cache.engine.flights) == cache.stats().in_flight == 0
        function.gate.set()
        assert await cache.get_or_compute("k", function) == 1


@pytest.mark.parametrize(
    "selector",
    [Selector("key", "k"), Selector("glob", "k:*"), Selector("tag", "t"), Selector("all", "")],
    ids=lambda selector: str(selector.kind),
)
def test_38_invalidation_message_round_trip(selector: Selector) -> None:
    """Every kind, many at once, and a value with its lifetime."""
    update = Update("k", b"v", 3_600.0, ("t",))
    operation = Operation("op", Born("g", 1, 1), (selector, Selector("key", "b")), (update,))
    (body,) = bodies("node", operation)
    read = RecordCodec("n").decode("op", *RecordCodec("n").encode("op", body))

    assert read.selectors == (selector, Selector("key", "b"))
    assert Update(*read.updates[0]) == update


def test_39_invalidation_config_default() -> None:
    """The names and the switches."""
    config = InvalidationConfig()

    assert config.channel == "cache:invalidate"
    assert (config.audit_stream, config.audit_stream_maxlen) == ("cache:invalidations", 10_000)
    assert not config.auto_broadcast_on_write
    assert not config.enable_audit_stream


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("user:1", "user:1", True),
        ("user:*", "user:1", True),
        ("user:*:profile", "user:1:profile", True),
        ("user:*:details", "user:1:a:b:details", True),
        ("*", "anything", True),
        ("user:123*", "user:1234", True),
        ("*123", "user:123", True),
        ("user:*", "product:1", False),
        ("user:1234*", "user:123", False),
    ],
)
def test_40_matches_pattern(pattern: str, text: str, matches: bool) -> None:
    """Exact texts, stars at either end and between, and what does not match."""
    assert glob_matches(pattern, text) is matches


def test_41_tests_use_keys_of_their_own(
    namespace: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Every test has its own namespace and directory."""
    assert namespace.startswith("t-")
    assert request.node.name[:10] in str(tmp_path)


def test_42_generated_data_has_its_fields() -> None:
    """What the tests store is what they think they store."""
    profile = Profile(1, "ann")

    assert replace(profile, id=2) == Profile(2, "ann")
    assert not math.isnan(profile.id)
