"""Nodes of a cluster fail one by one: only what lies on them is missed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest
from redis.asyncio.cluster import RedisCluster

from asgi_multitier.coherence import outbox
from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.config.process import CacheConfig
from asgi_multitier.engine.formats import Format
from asgi_multitier.engine.placed import Placed
from asgi_multitier.engine.stack import TierStack
from asgi_multitier.entry import Born, Entry
from asgi_multitier.errors import BackendError
from asgi_multitier.events import Events
from asgi_multitier.policy.key import storage_key
from asgi_multitier.redis import Leases, RedisStreams, RedisTier, connect
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers.base import TierConfig
from asgi_multitier.tiers.memory import MemoryTier
from tests.patience import until
from tests.redis.nodes import Nodes
from tests.redis.support import followed, invalidate, permits
from tests.servers import ValkeyServer

KEYS = [f"k{number}" for number in range(180)]


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield Nodes(stack)


class Stacked:
    """A stack over a tier in a cluster, with a clock that is moved by hand.

    Args:
        nodes: The cluster.
        client: A client of it.
        namespace: Separates tests.
        timeout: Seconds for one operation.
    """

    def __init__(
        self, nodes: Nodes, client: RedisCluster, namespace: str, timeout: float = 1.0
    ) -> None:
        self.nodes = nodes
        self.clock = FakeClock()
        self.log = LocalLog(self.clock)
        self.tier = RedisTier(connect(client, timeout=timeout), namespace=namespace)
        events = Events()
        config = CacheConfig(redis_url=None, redis_timeout=timeout)
        self.placed = Placed(self.tier, TierConfig.l2(), events, config, self.clock)
        self.stack = TierStack(
            MemoryTier(clock=self.clock),
            [self.placed],
            self.log,
            events,
            form=Format(namespace=namespace, clock=self.clock, wall=self.clock),
        )

    def on(self, node: ValkeyServer) -> list[str]:
        """The keys that lie on a node."""
        prefix = f"{self.tier.namespace}:e:"
        return [key for key in KEYS if self.nodes.owner(prefix + storage_key(key)) is node]

    def entry(self, key: str) -> Entry:
        """An entry that is filled now."""
        now = self.clock()
        return Entry(
            key=key,
            payload=key.encode(),
            born=self.log.index.born(),
            created=now,
            fresh_until=now + 1000,
            keep_until=now + 1000,
            filled_at=now,
            path="/x",
        )

    async def write(self, keys: Sequence[str] = KEYS) -> bool:
        """Write the keys; whether all of them were taken."""
        taken, _ = await self.stack.write([self.entry(key) for key in keys])
        return taken == 1

    def read(self, keys: Sequence[str] = KEYS) -> "dict[str, asyncio.Task[Any]]":
        """Begin to read the keys, all in one turn."""
        self.stack.local.clear()
        return {key: asyncio.create_task(self.stack.fetch(key)) for key in keys}

    async def found(self, keys: Sequence[str] = KEYS) -> set[str]:
        """The keys that are found."""
        reads = self.read(keys)
        return {key for key, read in reads.items() if await read is not None}


@asynccontextmanager
async def stacked(nodes: Nodes, namespace: str, timeout: float = 1.0) -> AsyncIterator[Stacked]:
    """A stack over a cluster, to which its user gave the address of the first node."""
    await nodes.ready()
    client = RedisCluster(host="127.0.0.1", port=nodes.nodes[0].port)
    built = Stacked(nodes, client, namespace, timeout)
    try:
        assert await built.write(KEYS[:1])
        yield built
    finally:
        await built.stack.close(5.0)
        await built.tier.link.close()
        await client.aclose()


async def test_what_lies_on_other_nodes_is_found_before_one_that_hangs_answers(
    nodes: Nodes, namespace: str
) -> None:
    """All in one turn: no answer waits for that of another node."""
    async with stacked(nodes, namespace, timeout=60.0) as built:
        assert await built.write()
        frozen = nodes.nodes[1]
        lost = built.on(frozen)
        assert 20 < len(lost) < 100
        frozen.freeze()
        # More than there are connections to a node: who waits for it keeps nobody from the others.
        for _ in range(20):
            reads = built.read()
            waiting = [reads.pop(key) for key in lost]
            assert None not in [await read for read in reads.values()]
            assert not any(read.done() for read in waiting)
        deleting = asyncio.create_task(built.stack.drop(KEYS))
        rewriting = [asyncio.create_task(built.write([key])) for key in KEYS if key not in lost]
        assert all(await asyncio.gather(*rewriting))
        assert not deleting.done()
        frozen.thaw()
        assert None not in await asyncio.gather(*waiting)
        await deleting
        assert built.placed.failures == {}


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_node_that_hangs_is_left_out_alone(
    nodes: Nodes, namespace: str, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Two thirds are found all the time, by reads, writes and deletes; one line each way."""
    caplog.set_level(logging.INFO, "asgi_multitier")
    async with stacked(nodes, namespace) as built:
        assert await built.write()
        assert await built.found() == set(KEYS)
        frozen = nodes.nodes[number]
        lost = set(built.on(frozen))
        frozen.freeze()
        for _ in range(5):
            assert await built.found() == set(KEYS) - lost
            assert not await built.write()
            assert await built.found() == set(KEYS) - lost
        assert built.stack.has_shared
        # Three of each kind; then no call is made any more.
        assert built.placed.failures == {"get": 3, "set": 3}
        assert built.placed.state(built.clock()).value == "open"
        kept = sorted(set(KEYS) - lost)[:10]
        await built.stack.drop([*kept, *lost])
        assert await built.found() == set(KEYS) - lost - set(kept)
        built.clock.advance(1.1)
        assert await built.found() == set(KEYS) - lost - set(kept)
        assert built.placed.failures == {"get": 4, "set": 3, "delete": 1}
        assert [f"(127.0.0.1:{frozen.port})" in line for line in caplog.messages] == [True]

        frozen.thaw()
        built.clock.advance(1.1)
        assert await built.write()
        assert await built.found() == set(KEYS)
        assert built.placed.state(built.clock()).value == "closed"
        assert len(caplog.messages) == 2
        assert "answers again" in caplog.messages[1]


async def test_all_nodes_hang_and_none_is_asked(nodes: Nodes, namespace: str) -> None:
    """The tier as a whole is left out then."""
    async with stacked(nodes, namespace) as built:
        assert await built.write()
        for node in nodes.nodes:
            node.freeze()
        for _ in range(3):
            assert await built.found() == set()
        assert not built.stack.has_shared
        assert built.placed.failures == {"get": 9}
        for node in nodes.nodes:
            node.thaw()
        built.clock.advance(1.1)
        assert built.stack.has_shared
        assert await built.found() == set(KEYS)


@pytest.mark.parametrize("fate", ["freeze", "stop"])
async def test_the_log_goes_on_without_the_node_whose_address_was_given(
    nodes: Nodes, namespace: str, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has data, and not the log: new connections find the log's owner all the same."""
    monkeypatch.setattr(outbox, "COMMIT", 10.0)  # other work on the machine is no failure
    await nodes.ready()
    owner = nodes.owner(f"{{{namespace}}}:")
    given = next(node for node in nodes.nodes if node is not owner)
    client = RedisCluster(host="127.0.0.1", port=given.port)
    # What one connection has learned the others know.
    link = connect(client)
    try:
        async with followed(link, namespace) as one, followed(link, namespace) as two:
            assert await two.reached(await invalidate(one) or Born("", 0), 5.0)
            getattr(given, fate)()
            async with followed(link, namespace) as three:
                await until(lambda: three.trusted and three.index.gen == one.index.gen, 5.0)
                for writer, reader in ((one, two), (three, one), (one, three)):
                    position = await invalidate(writer)
                    assert position is not None
                    assert await reader.reached(position, 5.0)
                assert one.trusted
                assert two.trusted
    finally:
        await link.close()
        await client.aclose()


async def test_all_addresses_change_one_by_one(nodes: Nodes, namespace: str) -> None:
    """Another node takes each one's place while the log, leases and streams are in use.

    Each of them has a link of its own, and begins at the address that was given.
    """
    await nodes.ready()
    client = RedisCluster(host="127.0.0.1", port=nodes.nodes[0].port)
    leases = Leases(client, namespace=namespace)
    streams = RedisStreams(client, namespace=namespace)
    first = list(nodes.nodes)
    async with followed(client, namespace) as one, followed(client, namespace) as two:
        await _goes_on(leases, streams)
        for old in first:
            await nodes.replace(old)
            before = Born(two.index.gen, two.index.seq)
            await invalidate(one)
            await until(lambda before=before: not permits(two, before), 10.0)  # type: ignore[misc]
            await until(lambda: one.trusted and two.trusted, 10.0)
            await _goes_on(leases, streams)
    assert not {node.port for node in first} & {node.port for node in nodes.nodes}
    for each in (leases, streams):
        await each.close()
    await client.aclose()


async def _goes_on(leases: Leases, streams: RedisStreams) -> None:
    """Leases can be had and streams written, within a few attempts."""

    async def both() -> bool:
        return await _is_had(leases) and await _is_written(streams)

    await until(both, 10.0)


async def _is_had(leases: Leases) -> bool:
    claim = await leases.claim("k")
    held = claim.held
    await claim.release()
    return held


async def _is_written(streams: RedisStreams) -> bool:
    try:
        await streams.publish("s", {"a": "1"})
    except BackendError:
        return False
    return True
