"""Faults that caches of this kind have had, and that this one has not: F1 to F30, each by name.

Where a whole file of tests stands behind a promise, the test here is the short one that dies first.
"""

import ast
import asyncio
import logging
import math
import pickle
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import asgi_multitier
from asgi_multitier import (
    BackendError,
    CacheBuilder,
    CacheError,
    CacheManager,
    ConfigError,
    InvalidationConfig,
    InvalidationError,
    MemoryTier,
    RedisTier,
    TierConfig,
)
from asgi_multitier.coherence.records import RecordCodec, bodies
from asgi_multitier.policy.key import storage_key
from asgi_multitier.selectors import Selector
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers.codec import FORMAT, MAGIC
from tests.manager.support import Function, SeenTier, idle, in_memory, over, settled
from tests.manager.test_instances import both_hold, caught_up, in_memory_of, pair
from tests.patience import until
from tests.servers import FaultProxy, ValkeyServer, free_port


@dataclass
class Old:
    id: int


@dataclass
class New:
    id: int
    email: str


# Stampede protection.


async def test_f1_gets_and_typed_callers_do_not_break_coalescing() -> None:
    """A plain get in flight, fifty typed callers after it: one run."""
    clock = FakeClock()
    below = SeenTier(clock)
    below.gate = asyncio.Event()
    async with over(clock, below) as cache:
        function = Function(Old(1)).close()
        plain = asyncio.create_task(cache.get("k"))
        await below.entered.wait()
        calls = [
            asyncio.create_task(cache.get_or_compute_typed("k", Old, function)) for _ in range(50)
        ]
        await idle()
        below.gate.set()
        await function.started.wait()
        await idle()
        function.gate.set()

        assert await plain is None
        assert await asyncio.gather(*calls) == [Old(1)] * 50
        assert function.runs == 1


async def test_f2_leader_that_leaves_causes_no_herd() -> None:
    """Fifty wait; the first is cancelled; still one run. A failing run is not repeated."""
    async with in_memory() as cache:
        function = Function(1).close()
        calls = [asyncio.create_task(cache.get_or_compute("k", function)) for _ in range(51)]
        await function.started.wait()
        await idle()
        calls[0].cancel()
        await idle()
        function.gate.set()

        assert await asyncio.gather(*calls[1:]) == [1] * 50
        assert function.runs == 1


async def test_f3_nobody_hangs_on_an_absent_key_or_a_dead_leader() -> None:
    """Concurrent gets return; a run that dies is its opener's error, and its waiters run again."""
    async with in_memory() as cache:
        assert await asyncio.gather(*(cache.get("k") for _ in range(10))) == [None] * 10
        function = Function(1).close()
        calls = [asyncio.create_task(cache.get_or_compute("k", function)) for _ in range(3)]
        await function.started.wait()
        flight = cache.engine.flights.find("k")
        assert flight is not None
        assert flight.task is not None
        flight.task.cancel()
        function.gate.set()
        opener, *others = await asyncio.gather(*calls, return_exceptions=True)

        assert isinstance(opener, CacheError)
        assert others == [1, 1]
        assert function.runs == 2


async def test_f4_failures_are_not_repeated_one_by_one_and_rejects_not_recomputed() -> None:
    """All callers get an error at once; a value that memory refuses still answers all that wait."""
    clock = FakeClock()
    tiers: list[Any] = [(MemoryTier(max_bytes=1), TierConfig.l1())]
    async with CacheManager(tiers=tiers, redis_url=None, clock=clock, wall=clock) as cache:
        for error in (OSError("down"), None):
            function = Function("value").close()
            function.error = error
            calls = [asyncio.create_task(cache.get_or_compute("k", function)) for _ in range(20)]
            await function.started.wait()
            await idle()
            function.gate.set()
            answers = await asyncio.gather(*calls, return_exceptions=True)

            assert answers == [error or "value"] * 20
            assert function.runs == 1


async def test_f5_function_that_waits_for_itself_is_told_so() -> None:
    """No deadlock; the flight is gone afterwards."""
    async with in_memory() as cache:

        async def itself() -> Any:
            assert await cache.get("k") is None
            return await cache.get_or_compute("k", itself)

        with pytest.raises(CacheError, match="asks for"):
            await cache.get_or_compute("k", itself)
        assert len(cache.engine.flights) == 0


async def test_f6_plain_get_does_not_wait_for_a_run() -> None:
    """It says that there is nothing, now."""
    async with in_memory() as cache:
        function = Function(1).close()
        call = asyncio.create_task(cache.get_or_compute("k", function))
        await function.started.wait()
        asking = cache.get("k")

        with pytest.raises(StopIteration) as done:
            asking.send(None)
        assert done.value.value is None
        function.gate.set()
        await call


# Consistency.


@pytest.mark.parametrize("how", ["key", "tag", "pattern", "all"])
async def test_f7_invalidation_during_a_run_is_not_lost(
    valkey: ValkeyServer, namespace: str, how: str
) -> None:
    """The old value is stored nowhere, whichever instance invalidated, by any kind of name."""
    drops = {
        "key": lambda cache: cache.invalidate("k"),
        "tag": lambda cache: cache.invalidate_tags("t"),
        "pattern": lambda cache: cache.invalidate_pattern("k*"),
        "all": lambda cache: cache.clear(),
    }
    async with pair(valkey, namespace) as (one, two):
        for other in (one, two):
            function = Function("old").close()
            call = asyncio.create_task(one.get_or_compute("k", function, tags=["t"]))
            await function.started.wait()
            await drops[how](other)
            await caught_up(one, two)
            function.gate.set()

            assert await call == "old"
            await settled(one)
            assert [await one.get("k"), await two.get("k")] == [None, None]


async def test_f7b_get_during_an_invalidation_does_not_bring_the_old_value_back() -> None:
    """A reading of L2 that was under way is judged when its reply lands."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        await cache.set("k", "old")
        cache.engine.stack.local.clear()
        below.gate = asyncio.Event()
        below.entered.clear()
        asking = asyncio.create_task(cache.get("k"))
        await below.entered.wait()
        dropping = asyncio.create_task(cache.invalidate("k"))
        await idle()
        below.gate.set()

        assert await asking is None
        await dropping
        assert await cache.get("k") is None


async def test_f8_receivers_leave_the_shared_tier_alone(
    valkey: ValkeyServer, namespace: str
) -> None:
    """They write and delete nothing there, whatever records they read."""
    async with pair(valkey, namespace) as (one, two):
        await both_hold(one, two, a=1, b=2)
        written = two.tier_stats()[1].writes
        await one.invalidate("a")
        await two.set("a", "newer")
        await one.update("b", 3)
        await caught_up(one, two)

        assert two.tier_stats()[1].writes == written + 1
        two.engine.stack.local.clear()
        assert await two.get("a") == "newer"


async def test_f9_ones_own_messages_do_not_wipe_what_is_fresh(
    valkey: ValkeyServer, namespace: str
) -> None:
    """The echo of an invalidation says nothing about what was stored after it."""
    async with pair(valkey, namespace) as (one, two):
        await one.invalidate("k")
        await one.set("k", "fresh")
        await caught_up(one, two)

        assert in_memory_of(one, "k") == "fresh"
        assert one.invalidation_stats().echoed >= 1


async def test_f9b_late_update_does_not_overwrite_a_newer_value(
    valkey: ValkeyServer, namespace: str
) -> None:
    """The log's order decides, on every instance alike."""
    async with pair(valkey, namespace) as (one, two):
        await asyncio.gather(*(cache.update("k", n) for n in range(10) for cache in (one, two)))
        await caught_up(one, two)
        for cache in (one, two):
            cache.engine.stack.local.clear()

        assert await one.get("k") == await two.get("k")


async def test_f10_what_was_missed_while_away_is_not_served(
    own_valkey: ValkeyServer, proxy: FaultProxy, namespace: str
) -> None:
    """The connection is cut, something is dropped meanwhile: it is applied after the reconnect."""
    async with (
        CacheManager(redis_url=proxy.url, namespace=namespace) as one,
        CacheManager(redis_url=own_valkey.url, namespace=namespace) as two,
    ):
        await both_hold(two, one, k="old")
        proxy.refuse()
        proxy.reset()
        await two.invalidate("k")
        proxy.refuse(False)
        await until(lambda: one.engine.index.seq == two.engine.index.seq)

        assert await one.get("k") is None


async def test_f11_invalidation_counters_add_up(valkey: ValkeyServer, namespace: str) -> None:
    """One object; what one sends the other receives, patterns too."""
    async with pair(valkey, namespace) as (one, two):
        await caught_up(one, two)
        before = two.invalidation_stats()
        await one.invalidate("a")
        await one.invalidate_pattern("b*")
        await one.update("c", 1)
        await until(lambda: two.invalidation_stats().received == before.received + 3)
        here, there = one.invalidation_stats(), two.invalidation_stats()

        # Each has sent one empty record before, to catch up.
        assert (here.sent, there.sent, there.echoed) == (4, 1, 1)
        assert there.applied == {"key": 1, "glob": 1, "update": 1}


async def test_f12_every_instance_gets_every_record(valkey: ValkeyServer, namespace: str) -> None:
    """The log is one: no group in which each record reaches one reader only."""
    async with pair(valkey, namespace) as (one, two), pair(valkey, namespace) as (three, four):
        position = await one.engine.log.commit(one.engine.log.begin([Selector("key", "k")]))
        for cache in (one, two, three, four):
            assert await cache.engine.log.reached(position, 2)
            assert cache.invalidation_stats().applied == {"key": 1}


async def test_f13_auto_broadcast_is_a_switch_that_does_something(
    valkey: ValkeyServer, namespace: str
) -> None:
    """Every `set` reaches the other's memory."""
    config = InvalidationConfig(auto_broadcast_on_write=True)
    async with pair(valkey, namespace, invalidation=config) as (one, two):
        await both_hold(one, two, k="old")
        await one.set("k", "new")
        await caught_up(one, two)

        assert in_memory_of(two, "k") == "new"


async def test_f14_failures_are_not_hidden(own_valkey: ValkeyServer, namespace: str) -> None:
    """`invalidate` says False, `set` raises where no tier took it, counters tell the rest."""
    tiers: list[Any] = [
        (MemoryTier(max_bytes=1), TierConfig.l1()),
        (RedisTier(own_valkey.url, namespace=namespace), TierConfig.l2()),
    ]
    settings: dict[str, Any] = {"redis_url": own_valkey.url, "namespace": namespace}
    async with CacheManager(tiers=tiers, **settings) as cache:
        own_valkey.stop()

        assert await cache.invalidate("k") is False
        with pytest.raises(BackendError, match="no tier took 'k'"):
            await cache.set("k", 1)
        assert cache.invalidation_stats().queued == 1
        assert cache.tier_stats()[1].failures["set"] == 1
        own_valkey.start()


@pytest.mark.parametrize("pattern", ["user:?", "user:*", "*r:1", "u*:?"])
async def test_f15_patterns_mean_the_same_in_every_tier(
    valkey: ValkeyServer, namespace: str, pattern: str
) -> None:
    """What matches is dropped in memory and below, here and there; brackets are plain text."""
    async with pair(valkey, namespace) as (one, two):
        await both_hold(one, two, **{"user:1": 1, "user:[12]": 2, "other": 3})
        await one.invalidate_pattern("user:[12]")
        await one.invalidate_pattern(pattern)
        await caught_up(one, two)
        for cache in (one, two):
            assert await cache.get_many(["user:1", "user:[12]", "other"]) == {"other": 3}


async def test_f15b_dropping_all_leaves_others_keys_alone(
    valkey: ValkeyServer, namespace: str
) -> None:
    """`*` means everything of this application; patterns are bounded."""
    valkey.command("SET", f"{namespace}-foreign", "kept")
    async with pair(valkey, namespace) as (one, two):
        await one.set("k", 1)
        await one.invalidate_pattern("*")
        await two.clear()

        assert valkey.command("GET", f"{namespace}-foreign") == b"kept"
        for pattern in ("", "x" * 257, "*" * 9):
            with pytest.raises(InvalidationError):
                await one.invalidate_pattern(pattern)


# Lifetimes.


async def test_f16_sub_second_lifetimes_stay_what_they_are(
    valkey: ValkeyServer, namespace: str
) -> None:
    """900 ms are not rounded to nothing, nor to five minutes at a promotion."""
    clock, key = FakeClock(), f"{namespace}:e:{storage_key('k')}"
    async with pair(valkey, namespace, clock=clock, wall=clock) as (one, two):
        await one.set("k", 1, 0.9)
        assert await two.get("k") == 1
        slot = two.engine.stack.local.get("k")
        assert 0 < slot.entry.fresh_until - clock() <= 0.9
        assert 0 < valkey.command("PTTL", key) <= 900
        await until(lambda: not valkey.command("EXISTS", key))
        assert [await one.get("k"), await two.get("k")] == [1, 1]
        clock.advance(0.9)
        assert [await one.get("k"), await two.get("k")] == [None, None]


async def test_f17_promotion_does_not_lengthen_a_life() -> None:
    """Base 10 s, 80 s in L4: promoted, it has what the base would have left."""
    clock = FakeClock()
    four = SeenTier(clock)
    tiers: list[Any] = [(SeenTier(clock), TierConfig.l2()), (four, TierConfig.l4())]
    async with CacheManager(tiers=tiers, redis_url=None, clock=clock, wall=clock) as cache:
        await cache.set("k", 1, 10)
        cache.engine.stack.local.clear()
        tiers[0][0].items.clear()
        await cache.get("k")
        await settled(cache)
        slot = cache.engine.stack.local.get("k")

        assert four.ttl("k") == 80
        assert slot is not None
        assert slot.entry.fresh_until - clock.now <= 10
        assert tiers[0][0].ttl("k") <= 10


async def test_f18_lifetimes_of_updates_are_not_cut_and_bad_ones_refused(
    valkey: ValkeyServer, namespace: str
) -> None:
    """Half a second travels as half a second; nonsense is refused where it is said."""
    async with pair(valkey, namespace) as (one, two):
        await one.update("k", 1, 0.5)
        await caught_up(one, two)
        slot = two.engine.stack.local.get("k")
        assert slot is None or 0 < slot.entry.fresh_until - two._clock() <= 0.5
        for ttl in (0, -1, math.inf, math.nan, 2**40):
            with pytest.raises(ConfigError, match="strategy="):
                await one.update("k", 1, ttl)
    for scale in (-1, 0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="ttl_scale="):
            TierConfig(2, ttl_scale=scale)


# The interface.


def test_f19_builder_drops_nothing_silently() -> None:
    """What it was given is there, or refused by name."""
    clock = FakeClock()
    one, three = MemoryTier(), SeenTier(clock)
    cache = CacheBuilder().with_l1(one).with_l3(three).with_redis(None).build()
    assert [tier.level for tier in cache.tier_stats()] == [1, 3]
    assert cache.engine.stack.local is one
    with pytest.raises(ConfigError, match="at least one"):
        CacheManager(tiers=[])


async def test_f20_streams_go_where_the_cache_goes(
    valkey: ValkeyServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that was given is the address of everything; the environment is left alone."""
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    async with CacheManager(redis_url=valkey.url, namespace=namespace) as cache:
        await cache.streams.publish("s", {"a": "b"})
        assert await cache.invalidate("k")
        assert valkey.command("EXISTS", f"{namespace}:s:s") == 1


async def test_f21_stored_shape_that_no_longer_fits_is_computed_again() -> None:
    """Once; then the new shape is there."""
    async with in_memory() as cache:
        await cache.set("k", Old(1))
        function = Function(New(1, "a@b.c"))
        for _ in range(3):
            assert await cache.get_or_compute_typed("k", New, function) == New(1, "a@b.c")
        assert function.runs == 1
        assert cache.stats().failures == {"value-unreadable": 1}


async def test_f22_statistics_are_exact_whatever_happens() -> None:
    """A long random history of all outcomes: their sum is the number of calls."""
    chance = random.Random(7)
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below, coalesce_timeout=0.001) as cache:
        calls = 0
        for _ in range(300):
            key = f"k{chance.randrange(5)}"
            function = Function(Old(1))
            function.error = OSError("down") if chance.random() < 0.2 else None
            below.broken = chance.random() < 0.1
            clock.advance(chance.random() * 3)
            if chance.random() < 0.2:
                cache.engine.stack.local.clear()
            if chance.random() < 0.1:
                await cache.invalidate(key)
            options: dict[str, Any] = {
                "stale_while_revalidate": 1,
                "stale_if_error": 2,
                "eager_refresh": 0.5,
                "coalesce": chance.random() < 0.8,
            }
            asked: list[Any] = [cache.get(key) for _ in range(chance.randrange(3))]
            asked += [
                cache.get_or_compute(key, function, 2, **options)
                for _ in range(chance.randrange(3))
            ]
            if chance.random() < 0.1:
                asked.append(cache.get_or_compute_typed(key, New, Function(New(1, "")), 2))
            calls += len(asked)
            await asyncio.gather(*asked, return_exceptions=True)
        await settled(cache)
        total = cache.stats().total

        assert total.requests == calls
        assert 0 <= total.hit_ratio <= 1
        assert total.stale
        assert total.coalesced
        assert total.misses
        assert {tier.level: tier.hits for tier in cache.tier_stats()} == {
            1: total.hits[1],
            2: total.hits[2],
        }


async def test_f22b_one_hit_is_one_hit() -> None:
    """In whatever tier, however many share the reading."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        await cache.set("k", 1)
        cache.engine.stack.local.clear()
        await asyncio.gather(*(cache.get("k") for _ in range(10)))

        assert below.calls["get"] == 1
        assert cache.stats().total.hits == {2: 10}
        assert cache.stats().hit_ratio == 1


async def test_f23_health_tells_what_does_not_answer() -> None:
    """By tier, for tiers of one's own too."""
    clock = FakeClock()
    tiers = [SeenTier(clock, "two"), SeenTier(clock, "three")]
    tiers[1].broken = True
    async with over(clock, *tiers) as cache:
        health = await cache.health()

        assert health.degraded
        assert [tier.healthy for tier in health.tiers] == [True, True, False]


async def test_f24_starts_without_its_server_and_attaches_when_it_appears(namespace: str) -> None:
    """Degraded, not dead; and an outage costs a bounded number of tries."""
    with ValkeyServer() as server:
        server.stop()
        options: dict[str, Any] = {"redis_url": server.url, "namespace": namespace}
        async with CacheManager(breaker_reset=0.05, **options) as cache:
            for n in range(10):
                assert await cache.get_or_compute(f"k{n}", lambda: 1) == 1
            failures = sum(cache.tier_stats()[1].failures.values())
            assert failures <= 10 + 3
            server.start()
            await until(lambda: cache.engine.log.trusted)
            await cache.set("k", 1)
            await until(lambda: cache.engine.stack.has_shared)

            async def is_stored() -> Any:
                await cache.set("k", 1)
                return server.command("EXISTS", f"{namespace}:e:{storage_key('k')}")

            await until(is_stored)


async def test_f25_blocking_read_holds_up_nothing_else(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    """It has a connection of its own, and waits as long as it was told."""

    def both_block() -> bool:
        """The log's tail waits at the server, and so does the reading."""
        return bool(own_valkey.command("CLIENT", "LIST").count(b"cmd=xread") == 2)

    async with CacheManager(redis_url=own_valkey.url, namespace=namespace) as cache:
        reading = asyncio.create_task(cache.streams.read("s", "$", block=30))
        await until(both_block)
        await cache.set("k", 1)
        await cache.streams.publish("other", {"a": "b"})
        assert not reading.done()
        await cache.streams.publish("s", {"n": "1"})
        (entry,) = await reading

        assert entry["n"] == "1"


async def test_f26_everything_ends_with_close(valkey: ValkeyServer, namespace: str) -> None:
    """No task is left; concurrent broadcasts do not wait for each other's turn."""
    before = asyncio.all_tasks()
    async with CacheManager(redis_url=valkey.url, namespace=namespace) as cache:
        await asyncio.gather(*(cache.update(f"k{n}", n) for n in range(50)))
        await cache.get_or_compute("c", Function(), coalesce="fleet")
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before


async def test_f27_no_password_in_words_and_no_value_without_the_secret(
    valkey: ValkeyServer, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in `repr` nor in a log line; a forged record plants nothing."""
    caplog.set_level(logging.DEBUG)
    url = f"redis://user:hunter2@127.0.0.1:{free_port()}"
    async with CacheManager(redis_url=url, namespace=namespace) as cache:
        await cache.set("k", 1)
        words = caplog.text + repr(cache) + repr(cache.config) + repr(cache.engine)
        words += str(await cache.health()) + repr(cache.streams)
    assert "hunter2" not in words
    secret = b"0123456789abcdef"
    async with (
        CacheManager(redis_url=valkey.url, namespace=namespace, secret=secret) as ours,
        CacheManager(redis_url=valkey.url, namespace=namespace) as theirs,
    ):
        await theirs.update("k", "planted")
        await until(lambda: ours.invalidation_stats().received >= 1)

        assert await ours.get("k") is None
        assert ours.invalidation_stats().processing_errors == 1


def test_f28_core_needs_no_framework_and_no_extra() -> None:
    """What `import asgi_multitier` runs imports the declared dependencies and the library only."""
    allowed = {"asgi_multitier", "cachetools", "hiredis", "http_sf", "msgspec", "orjson", "redis"}
    optional = {"fastapi.py", "testing.py"}
    import sys

    root = Path(asgi_multitier.__file__).parent
    # Imported by `instrument` alone: see `tracing/test_instrument.py`.
    spans = {root / "tracing" / name for name in ("traces.py", "runs.py", "remote.py")}
    for module in root.rglob("*.py"):
        if module.name in optional or module.parent == root / "uvicorn" or module in spans:
            continue
        for node in ast.parse(module.read_text()).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                assert top in allowed or top in sys.stdlib_module_names, (module.name, name)


async def test_f29_memory_is_bounded_by_bytes_and_keeps_one_copy() -> None:
    """Whatever is stored, by whatever way; there is no second store that could be stale."""
    async with CacheManager(redis_url=None, l1_bytes=50_000) as cache:
        for n in range(100):
            await cache.set(f"k{n}", "x" * 2_000)
        reading = cache.tier_stats()[0]
        assert reading.size is not None
        assert reading.size <= 50_000
        assert reading.evictions["size"] > 0
        await cache.set("k", Old(1))
        assert await cache.get_typed("k", Old) == Old(1)
        await cache.set("k", Old(2))
        assert await cache.get_typed("k", Old) == Old(2)


async def test_f30_formats_carry_their_version(valkey: ValkeyServer, namespace: str) -> None:
    """Stored bytes and records: what is not understood is a miss, counted, never garbage."""
    async with pair(valkey, namespace) as (one, two):
        await one.set("k", 1)
        name = f"{namespace}:e:{storage_key('k')}"
        data = valkey.command("GET", name)
        at = data.index(MAGIC)
        assert data[at + 4] == FORMAT
        valkey.command("SET", name, data[: at + 4] + bytes([99]) + data[at + 5 :], "PX", 60_000)
        assert await two.get("k") is None
        assert sum(two.tier_stats()[1].unreadable.values()) == 1
        valkey.command("SET", name, data[:at] + pickle.dumps({"a": 1}), "PX", 60_000)
        assert await two.get("k") is None
    operation = one.engine.log.begin([Selector("key", "k")])
    (body,) = bodies("node", operation)
    codec = RecordCodec("n")
    with pytest.raises(CacheError, match="unreadable"):
        codec.decode("op", *codec.encode("op", replace_version(body)))


def replace_version(body: Any) -> Any:
    """The body as a later version would write it."""
    import msgspec

    return msgspec.structs.replace(body, version=body.version + 1)


def test_helpers_say_what_they_are() -> None:
    """The shapes above differ in one field, which is what F21 is about."""
    assert replace(New(1, "x"), email="y") == New(1, "y")
