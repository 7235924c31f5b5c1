"""Servers that stand in for each other: a real Sentinel, and a real cluster of three."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import pytest
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.sentinel import Sentinel

from asgi_multitier.entry import Born
from asgi_multitier.errors import BackendError
from asgi_multitier.redis import Leases, RedisLog, RedisTier
from tests.figures import Figure, seconds
from tests.patience import until
from tests.redis.support import followed, invalidate, permits
from tests.servers import SentinelServer, ValkeyServer, cluster_node

DOWN_AFTER = 500
NODE_TIMEOUT = 1000


@asynccontextmanager
async def edited(one: RedisLog, two: RedisLog) -> AsyncIterator[list[float]]:
    """Edits on one node without end; gives the seconds after which the other knew of each."""
    known_after: list[float] = []
    stop = asyncio.Event()

    async def edit() -> None:
        while not stop.is_set():
            before = Born(two.index.gen, two.index.seq)
            await invalidate(one)
            # The node that issued it serves nothing older, whether the server answers or not.
            assert not permits(one, before)
            known_after.append(await until(lambda b=before: not permits(two, b), 10.0))  # type: ignore[misc]
            await asyncio.sleep(0.01)

    task = asyncio.create_task(edit())
    try:
        yield known_after
    finally:
        stop.set()
        await task


async def recovered(one: RedisLog, two: RedisLog, bound: float) -> float:
    """Wait until both follow one log again and nothing waits to be sent; the seconds it took."""

    def agree() -> bool:
        waiting = one.index.pending_count + two.index.pending_count
        return one.trusted and two.trusted and one.index.gen == two.index.gen and not waiting

    return await until(agree, bound)


async def works(tier: RedisTier, leases: Leases) -> None:
    """Values and leases can be had."""

    async def both() -> bool:
        try:
            await tier.set("k", b"v", 9.0)
            held = await tier.get("k")
        except BackendError:
            return False
        claim = await leases.claim("k")
        had = claim.held
        await claim.release()
        return had and held is not None and held.value == b"v"

    await until(both, 5.0)


async def test_a_sentinels_failover_outdates_nothing(
    own_valkey: ValkeyServer, namespace: str, figure: Figure
) -> None:
    """kill -9 of the master: the replica is found through the Sentinel, and a generation begun."""
    async with AsyncExitStack() as stack:
        replica = stack.enter_context(ValkeyServer(replicaof=f"127.0.0.1 {own_valkey.port}"))
        await until(lambda: b"link_status:up" in replica.command("INFO", "replication"), 5.0)
        watcher = stack.enter_context(SentinelServer(own_valkey, DOWN_AFTER))

        def replicas() -> Any:
            return watcher.command("SENTINEL", "REPLICAS", "mymaster")

        await until(replicas, 5.0)
        make: Any = Sentinel
        sentinel = make([("127.0.0.1", watcher.port)], socket_timeout=0.2)
        client = sentinel.master_for("mymaster")
        tier, leases = RedisTier(client, namespace=namespace), Leases(client, namespace=namespace)
        one = await stack.enter_async_context(followed(client, namespace))
        two = await stack.enter_async_context(followed(client, namespace))
        await works(tier, leases)
        before = Born(two.index.gen, two.index.seq + 1000)
        async with edited(one, two) as known_after:
            await until(lambda: len(known_after) >= 5, 5.0)
            own_valkey.stop()
            taken = await until(lambda: not permits(two, before, "other"), DOWN_AFTER / 1000 + 3)
            await recovered(one, two, 3.0)
        await works(tier, leases)

        bar = f"{DOWN_AFTER / 1000 + 3:g} s"
        figure("Sentinel failover, new generation after", seconds(taken), bar)
        worst = f"{seconds(max(known_after))} of {len(known_after)} edits"
        figure("Sentinel failover, slowest edit known elsewhere after", worst, bar)
        assert one.index.gen == two.index.gen != before.gen
        await tier.close()
        await leases.close()
        await client.aclose()
        for each in sentinel.sentinels:
            await each.aclose()


class Cluster:
    """Three nodes that share the slots, and one that replicates the owner of a key's slot."""

    def __init__(self, stack: ExitStack, key: str) -> None:
        self.nodes = [stack.enter_context(cluster_node(NODE_TIMEOUT)) for _ in range(4)]
        first = self.nodes[0]
        for number, node in enumerate(self.nodes[:3]):
            last = (number + 1) * 5461 - (number < 2)
            node.command("CLUSTER", "ADDSLOTSRANGE", number * 5461, min(last, 16383))
            node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            bus = node.options["cluster_port"]
            first.command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        self.slot = int(first.command("CLUSTER", "KEYSLOT", key))
        self.owner = self.nodes[min(self.slot // 5461, 2)]
        self.replica = self.nodes[3]

    async def ready(self) -> None:
        """Wait until all know all, and the replica follows."""
        for node in self.nodes:
            await until(lambda n=node: _knows(n, 4), 10.0)  # type: ignore[misc]
        identity = self.owner.command("CLUSTER", "MYID").decode()
        await until(lambda: self.replica.command("CLUSTER", "REPLICATE", identity) == "OK", 5.0)
        await until(lambda: b"link_status:up" in self.replica.command("INFO", "replication"), 10.0)
        for node in self.nodes:
            await until(
                lambda n=node: b"slave" in n.command("CLUSTER", "NODES"),  # type: ignore[misc]
                5.0,
            )

    def move(self, target: ValkeyServer) -> None:
        """Move the slot with all its keys, key by key, as operators do."""
        source, slot = self.owner, self.slot
        here, there = (each.command("CLUSTER", "MYID").decode() for each in (source, target))
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", here)
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
        while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            for key in keys:
                reply = source.command("MIGRATE", "127.0.0.1", target.port, key, 0, 2000)
                assert reply in ("OK", "NOKEY"), reply
        for node in (target, source, *self.nodes[:3]):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", there)
        self.owner = target


def _knows(node: ValkeyServer, count: int) -> bool:
    told = node.command("CLUSTER", "INFO")
    return b"state:ok" in told and b"known_nodes:%d" % count in told


@pytest.fixture
def cluster(namespace: str) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack, f"{{{namespace}}}:")


async def test_a_cluster_moves_and_loses_the_logs_slot_and_nothing_is_outdated(
    cluster: Cluster, namespace: str, figure: Figure
) -> None:
    """The slot moves there and back while edits go on; then its owner is killed."""
    await cluster.ready()
    client = RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    tier, leases = RedisTier(client, namespace=namespace), Leases(client, namespace=namespace)
    async with followed(client, namespace) as one, followed(client, namespace) as two:
        await works(tier, leases)
        home = cluster.owner
        away = next(node for node in cluster.nodes[:3] if node is not home)
        async with edited(one, two) as known_after:
            for target in (away, home):
                await asyncio.to_thread(cluster.move, target)
                moved = await recovered(one, two, 3.0)
                enough = len(known_after) + 5
                await until(lambda enough=enough: len(known_after) >= enough, 5.0)  # type: ignore[misc]
        worst = f"{seconds(max(known_after))} of {len(known_after)} edits"
        figure("control slot moved there and back, slowest edit", worst, "2 s")
        figure("control slot moved there and back, healthy after", seconds(moved), "2 s")
        async with edited(one, two) as known_after:
            home.stop()
            before = Born(two.index.gen, two.index.seq + 1000)
            taken = await until(lambda: not permits(two, before, "other"), 8.0)
            await recovered(one, two, 3.0)
        await works(tier, leases)
        worst = f"{seconds(max(known_after))} of {len(known_after)} edits"
        figure("control slot's owner killed, healthy after", seconds(taken), "8 s")
        figure("control slot's owner killed, slowest edit", worst, "8 s")
    await tier.close()
    await leases.close()
    await client.aclose()
