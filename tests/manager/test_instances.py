"""Two instances on one server: what one does, the other's memory follows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio as aredis

from asgi_multitier import CacheManager, InvalidationConfig
from asgi_multitier.coherence.log import MAX_RIDE
from asgi_multitier.entry import Born
from asgi_multitier.policy.key import storage_key
from asgi_multitier.testing import FakeClock
from tests.fakeredis_server import Server
from tests.manager.support import Function, settled
from tests.patience import PATIENCE, until
from tests.servers import FaultProxy, ValkeyServer


@asynccontextmanager
async def pair(server: Server, namespace: str, **options: Any) -> AsyncIterator[Any]:
    """Two managers of one application."""
    # What a busy machine is late with must not count as a server that does not answer.
    options = {"redis": server.target, "namespace": namespace, "redis_timeout": PATIENCE} | options
    async with CacheManager(**options) as one, CacheManager(**options) as two:
        await until(lambda: both_follow(one, two))
        yield one, two


def both_follow(one: CacheManager, two: CacheManager) -> bool:
    """Whether both follow the log: one that does not asks no shared tier, and writes to none.

    A cache starts after 2 s at the latest, and on a busy machine it may not follow then.
    """
    return one.engine.log.trusted and two.engine.log.trusted


async def caught_up(one: CacheManager, two: CacheManager) -> None:
    """Each has applied all that the other has sent.

    On a busy machine a record may take longer than its 250 ms: then it is queued and sent later,
    and other records may come before it.
    """
    for cache in (one, two):
        position: Born | None = None

        async def is_taken(cache: CacheManager = cache) -> bool:
            nonlocal position
            if cache.invalidation_stats().queued == 0:
                position = await cache.engine.log.commit(cache.engine.log.begin([]))
            return position is not None

        await until(is_taken)
        assert position is not None
        for each in (one, two):
            assert await each.engine.log.reached(position, 2 * PATIENCE)
    await until(lambda: both_follow(one, two))


def in_memory_of(cache: CacheManager, key: str) -> Any:
    """What a key has in a manager's first tier, if it is valid."""
    slot = cache.engine.stack.peek(key)
    return None if slot is None else cache.serializer.loads(slot.entry.payload)  # type: ignore[arg-type]


async def both_hold(one: CacheManager, two: CacheManager, **values: Any) -> None:
    """Put values into the memory of both."""
    await one.set_many(values, tags=["t"])
    await caught_up(one, two)
    for key, value in values.items():
        assert await two.get(key) == value
        assert in_memory_of(two, key) == value


async def test_set_is_found_by_the_other(server: Server, namespace: str) -> None:
    """In the second tier, and promoted with what is left of its life."""
    async with pair(server, namespace) as (one, two):
        await one.set("k", {"a": 1}, 60)

        assert await two.get("k") == {"a": 1}
        slot = two.engine.stack.local.get("k")
        assert 58 < slot.entry.fresh_until - two._clock() <= 60
        assert two.stats().total.hits == {2: 1}


DROPS: dict[str, Callable[[CacheManager], Awaitable[bool]]] = {
    "key": lambda cache: cache.invalidate("u:1"),
    "many": lambda cache: cache.invalidate_many(["u:1", "x"]),
    "tag": lambda cache: cache.invalidate_tags("t"),
    "pattern": lambda cache: cache.invalidate_pattern("u:*"),
    "all": lambda cache: cache.clear(),
}


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
async def test_what_one_drops_the_others_memory_drops(
    server: Server, namespace: str, drop: Callable[[CacheManager], Awaitable[bool]]
) -> None:
    """By key, tag, pattern and altogether; and it does not come back from below."""
    async with pair(server, namespace) as (one, two):
        await both_hold(one, two, **{"u:1": 1})

        assert await drop(one)
        assert await one.get("u:1") is None
        await caught_up(one, two)
        assert in_memory_of(two, "u:1") is None
        assert await two.get("u:1") is None


@pytest.mark.parametrize(
    "write",
    [
        lambda cache, value: cache.update("k", value),
        lambda cache, value: cache.set_with_broadcast("k", value, 300),
        lambda cache, value: cache.set("k", value, broadcast=True),
        lambda cache, value: cache.set_many({"k": value}, broadcast=True),
    ],
    ids=["update", "set_with_broadcast", "set", "set_many"],
)
async def test_new_value_travels_into_the_others_memory(
    server: Server, namespace: str, write: Callable[[CacheManager, Any], Awaitable[None]]
) -> None:
    """Without a look-up; the second tier has it too, for instances that come later."""
    async with pair(server, namespace) as (one, two):
        await both_hold(one, two, k="old")
        asked = two.tier_stats()[1].hits
        await write(one, "new")
        await caught_up(one, two)

        assert in_memory_of(one, "k") == in_memory_of(two, "k") == "new"
        assert two.tier_stats()[1].hits == asked
        for cache in (one, two):
            cache.engine.stack.local.clear()
            assert await cache.get("k") == "new"
        stats = two.invalidation_stats()
        assert stats.applied["update"] == 1


async def test_large_value_is_fetched_rather_than_sent(server: Server, namespace: str) -> None:
    """Beyond 64 KiB only the news travels."""
    async with pair(server, namespace) as (one, two):
        await both_hold(one, two, k="old")
        large = "x" * MAX_RIDE
        await one.update("k", large)
        await caught_up(one, two)

        assert in_memory_of(two, "k") is None
        assert await two.get("k") == large


async def test_plain_set_leaves_the_others_memory_unless_told_otherwise(
    server: Server, namespace: str
) -> None:
    """`auto_broadcast_on_write` makes every `set` a broadcast; a call's own word is stronger."""
    async with pair(server, namespace) as (one, two):
        await both_hold(one, two, k="old")
        await one.set("k", "new")
        await caught_up(one, two)
        assert in_memory_of(two, "k") == "old"
    everywhere = InvalidationConfig(auto_broadcast_on_write=True)
    async with pair(server, namespace + "2", invalidation=everywhere) as (one, two):
        await both_hold(one, two, k="old", other="old")
        await one.set("k", "new")
        await one.set("other", "new", broadcast=False)
        await caught_up(one, two)

        assert in_memory_of(two, "k") == "new"
        assert in_memory_of(two, "other") == "old"


async def test_updated_value_keeps_its_tags(server: Server, namespace: str) -> None:
    """On every instance it is found by them."""
    async with pair(server, namespace) as (one, two):
        await one.set_with_broadcast("k", 1, tags=["t"])
        await caught_up(one, two)
        assert in_memory_of(two, "k") == 1
        await two.invalidate_tags("t")
        await caught_up(one, two)

        assert in_memory_of(one, "k") is None
        assert await two.get("k") is None


async def test_update_that_an_invalidation_overtook_is_not_written_below(
    server: Server, namespace: str
) -> None:
    """Between the record and the write something else was dropped: the value is not put back."""
    async with pair(server, namespace) as (one, two):
        reached = one.engine.log.reached

        async def late(position: Any, timeout: float) -> bool:
            there: bool = await reached(position, timeout)
            await two.invalidate("k")
            await until(lambda: one.engine.index.seq > position.seq)
            return there

        one.engine.log.reached = late
        await one.update("k", "old")
        one.engine.stack.local.clear()

        assert await one.get("k") is None
        assert one.tier_stats()[1].writes == 0


async def test_update_begun_before_an_invalidation_is_not_written_below(
    server: Server, namespace: str
) -> None:
    """Its record comes later in the log, but its value may be older than what was dropped."""
    async with pair(server, namespace) as (one, two):
        commit = one.engine.log.commit

        async def late(operation: Any) -> Any:
            if operation.updates:
                one.engine.log.commit = commit
                await two.invalidate("k")
                await caught_up(one, two)
            return await commit(operation)

        one.engine.log.commit = late
        await one.update("k", "old")
        one.engine.stack.local.clear()

        assert await one.get("k") is None
        assert one.tier_stats()[1].writes == 0


async def test_invalidation_says_whether_everybody_will_hear_of_it(
    own_valkey: ValkeyServer, proxy: FaultProxy, namespace: str
) -> None:
    """Without the server it is in force here, and sent when the server is back."""
    options: dict[str, Any] = {"namespace": namespace}
    async with (
        CacheManager(redis_url=proxy.url, **options) as one,
        CacheManager(redis_url=own_valkey.url, **options) as two,
    ):
        await both_hold(one, two, k="old")
        proxy.refuse()
        proxy.reset()

        assert await one.invalidate("k") is False
        assert await one.get("k") is None
        assert await two.get("k") == "old"
        await one.update("other", "kept here")
        assert await one.get("other") == "kept here"
        proxy.refuse(False)
        await until(lambda: in_memory_of(two, "k") is None)
        assert await two.get("k") is None


async def test_set_after_an_invalidation_is_not_deleted_by_it(
    server: Server, namespace: str
) -> None:
    """The delete that frees room is over when `invalidate` returns."""
    async with pair(server, namespace) as (one, two):
        for number in range(20):
            await one.invalidate("k")
            await one.set("k", number)
            assert in_memory_of(one, "k") == number
            two.engine.stack.local.clear()
            assert await two.get("k") == number


async def test_two_namespaces_never_meet(server: Server, namespace: str) -> None:
    """Neither values nor invalidations."""
    async with (
        CacheManager(redis=server.target, namespace=namespace) as ours,
        CacheManager(redis=server.target, namespace=namespace + "x") as theirs,
    ):
        await ours.set("k", "ours")
        assert await theirs.get("k") is None
        await theirs.set("k", "theirs")
        await theirs.clear()

        assert await ours.get("k") == "ours"


async def test_another_version_gets_no_old_shape(server: Server, namespace: str) -> None:
    """A rolling deploy: values stay apart, invalidations reach both."""
    options: dict[str, Any] = {"redis": server.target, "namespace": namespace}
    async with (
        CacheManager(version="1", **options) as old,
        CacheManager(version="2", **options) as new,
    ):
        await old.set("k", 1)
        assert await new.get("k") is None
        await new.set("k", 2, tags=["t"])
        await old.invalidate_tags("t")
        await caught_up(old, new)

        assert in_memory_of(new, "k") is None


# One of all computes.


async def test_one_instance_computes_for_the_fleet(server: Server, namespace: str) -> None:
    """The others wait for the lease, and find the value below."""
    async with pair(server, namespace) as (one, two):
        await both_hold(one, two, warm=1)
        function, other = Function("value").close(), Function("other")
        options: dict[str, Any] = {"coalesce": "fleet"}
        leading = [
            asyncio.create_task(one.get_or_compute("k", function, **options)) for _ in range(5)
        ]
        await function.started.wait()
        waiting = [asyncio.create_task(two.get_or_compute("k", other, **options)) for _ in range(5)]
        await until(lambda: bool(two._backends.leases(namespace)._waiting))
        function.gate.set()

        assert await asyncio.gather(*leading, *waiting) == ["value"] * 10
        assert (function.runs, other.runs) == (1, 0)
        assert (one.stats().misses, one.stats().total.coalesced) == (1, 4)
        assert two.stats().total.coalesced == 5


async def test_another_takes_over_when_the_holder_fails(server: Server, namespace: str) -> None:
    """An exception is its own caller's; callers on other instances run the function themselves."""
    async with pair(server, namespace) as (one, two):
        await both_hold(one, two, warm=1)
        function, other = Function().close(), Function("other")
        function.error = OSError("down")
        leading = asyncio.create_task(one.get_or_compute("k", function, coalesce="fleet"))
        await function.started.wait()
        waiting = asyncio.create_task(two.get_or_compute("k", other, coalesce="fleet"))
        await until(lambda: bool(two._backends.leases(namespace)._waiting))
        function.gate.set()

        with pytest.raises(OSError, match="down"):
            await leading
        assert await waiting == "other"


async def test_another_takes_over_when_the_holder_dies(server: Server, namespace: str) -> None:
    """Its lease ends by itself."""
    async with pair(server, namespace) as (one, two):
        await both_hold(one, two, warm=1)
        leases = one._backends.leases(namespace)
        leases.ttl = 0.2
        claim = await leases.claim(storage_key("k"))
        claim._renewal.cancel()
        function = Function("taken over")

        assert claim.held
        assert await two.get_or_compute("k", function, coalesce="fleet") == "taken over"
        claim.held = False


async def test_fleet_wait_ends_with_coalesce_timeout(server: Server, namespace: str) -> None:
    """A holder that takes too long is not waited for any longer."""
    async with pair(server, namespace) as (one, two):
        await both_hold(one, two, warm=1)
        function, other = Function("value").close(), Function("other")
        leading = asyncio.create_task(one.get_or_compute("k", function, coalesce="fleet"))
        await function.started.wait()

        answer = await two.get_or_compute("k", other, coalesce="fleet", coalesce_timeout=0.05)
        assert answer == "other"
        function.gate.set()
        await leading


async def test_without_the_server_each_instance_computes_once(
    own_valkey: ValkeyServer, namespace: str
) -> None:
    """Losing Redis degrades the fleet to one run a process."""
    async with pair(own_valkey, namespace) as (one, two):
        await both_hold(one, two, warm=1)
        own_valkey.stop()
        for cache in (one, two):
            function = Function("value").close()
            calls = [
                asyncio.create_task(cache.get_or_compute("k", function, coalesce="fleet"))
                for _ in range(20)
            ]
            await function.started.wait()
            function.gate.set()

            assert await asyncio.gather(*calls) == ["value"] * 20
            assert function.runs == 1


async def test_one_instance_renews_a_value_that_both_hold(server: Server, namespace: str) -> None:
    """Eager refresh: the other finds what the first has stored."""
    clock = FakeClock()
    async with pair(server, namespace, clock=clock, wall=clock) as (one, two):
        function = Function("old")
        options: dict[str, Any] = {"strategy": 300, "eager_refresh": 0.5}
        await one.get_or_compute("k", function, **options)
        await settled(one)
        assert await two.get_or_compute("k", function, **options) == "old"
        # Past the share after which both want a new one, for the server as well.
        clock.advance(151)
        server.command("PEXPIRE", f"{namespace}:e:{storage_key('k')}", 149_000)
        function.value = "new"
        function.close()
        function.started.clear()

        assert await one.get_or_compute("k", function, **options) == "old"
        await function.started.wait()
        assert await two.get_or_compute("k", function, **options) == "old"
        await until(lambda: bool(two._backends.leases(namespace)._waiting))
        function.gate.set()
        for cache in (one, two):
            await settled(cache)
            assert await cache.get("k") == "new"
        assert function.runs == 2


# Streams.


async def test_streams_of_the_manager(server: Server, namespace: str) -> None:
    """Publish, read, follow, and groups, over the manager's own server."""
    async with pair(server, namespace) as (one, two):
        first = await one.streams.publish("s", {"n": "1"})
        second = await one.streams.publish("s", [("n", "2"), ("n", "two")])
        latest = await two.streams.read_latest("s", 1)
        both = await two.streams.read("s", "0")
        tail = two.streams.tail("s", first)

        assert [entry.id for entry in latest] == [second]
        assert latest[0].fields == (("n", "2"), ("n", "two"))
        assert [entry.id for entry in both] == [first, second]
        assert (await anext(tail)).id == second
        await tail.aclose()
        assert await one.streams.create_group("s", "g", start="0")
        taken = await two.streams.read_group("s", "g", "me")
        assert await two.streams.ack("s", "g", *(entry.id for entry in taken)) == 2


async def test_client_of_ones_own_does_as_well_as_an_address(
    valkey: ValkeyServer, namespace: str
) -> None:
    """Connections are made as that client makes them."""
    client = aredis.Redis.from_url(valkey.url)
    async with CacheManager(redis=client, namespace=namespace) as one:
        await one.set("k", 1)
        one.engine.stack.local.clear()

        assert await one.get("k") == 1
    await client.aclose()
