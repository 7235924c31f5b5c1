"""A cluster's client of the cache's own: what it asks of whom, and what it remembers."""

import asyncio
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from redis.asyncio.cluster import ClusterNode, RedisCluster

from asgi_multitier.entry import Born
from asgi_multitier.errors import BackendError
from asgi_multitier.redis import RedisStreams, RedisTier, cluster, connect
from asgi_multitier.redis.client import _close, send
from asgi_multitier.redis.scripts import Script
from tests.patience import until
from tests.redis.nodes import Nodes
from tests.redis.support import followed, invalidate, set_born
from tests.servers import ValkeyServer, free_port


async def test_no_node_is_asked_where_keys_are_and_learned_addresses_are_kept(
    namespace: str,
) -> None:
    """The owner of a slot is addressed at once; what one client has learned, the next begins at."""
    gone = free_port()
    with ValkeyServer(cluster_enabled="yes", cluster_port=free_port()) as server:
        server.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await until(lambda: b"state:ok" in server.command("CLUSTER", "INFO"), 5.0)
        theirs = RedisCluster(host="127.0.0.1", port=server.port)
        link = connect(theirs)
        async with followed(link, namespace) as log:
            position = await invalidate(log)
            assert position is not None
            assert await log.reached(position, 2.0)
        streams = RedisStreams(link, namespace=namespace)
        await streams.publish("s", {"a": "1"})
        assert [entry["a"] for entry in await streams.read("s", "0", block=0.1)] == ["1"]
        assert b"cmdstat_command" not in server.command("INFO", "commandstats")

        # The address that the user gave is gone; the cluster is where it was learned to be.
        manager: Any = theirs.nodes_manager
        manager.startup_nodes = {"gone": ClusterNode("127.0.0.1", gone)}
        await link.close()
        assert await streams.publish("s", {"a": "2"})
        await link.close()
        await theirs.aclose()


async def test_a_refresh_that_is_cut_off_at_any_moment_leaves_no_connection() -> None:
    """As by a time limit, which may end while what was asked is closed."""
    connections: set[asyncio.StreamWriter] = set()

    async def node(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """It has all keys."""
        connections.add(writer)
        while data := await reader.read(1024):
            if b"SLOTS" in data:
                owner = b"*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % port
                writer.write(b"*1\r\n*3\r\n:0\r\n:16383\r\n" + owner)
            else:
                writer.write(b"+OK\r\n" * data.count(b"*"))
        writer.close()
        connections.discard(writer)

    async with await asyncio.start_server(node, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for turns in range(60):
            theirs = RedisCluster(host="127.0.0.1", port=port)
            client = cluster.Cluster(cluster.Nodes(theirs.nodes_manager), protocol=2)
            refresh = asyncio.create_task(client.initialize())
            for _ in range(turns):
                await asyncio.sleep(0)
            refresh.cancel()
            await asyncio.gather(refresh, return_exceptions=True)
            await _close(client)
            await until(lambda: not connections)


async def test_the_first_command_of_a_client_goes_to_the_owner_of_its_key(namespace: str) -> None:
    """Sent to any other node it would wait for one that hangs, and fail where that one is dead."""
    with ExitStack() as stack:
        nodes = Nodes(stack)
        await nodes.ready()
        keys = [f"{{{namespace}}}:log"]
        client = RedisCluster(host="127.0.0.1", port=nodes.nodes[0].port)
        for _ in range(12):
            link = connect(client)
            await link.run(partial(Script("return 1", "no-writes").run, keys=keys), key=keys[0])
            await link.run(lambda one: send(one, "XLEN", keys[0]), key=keys[0])
            await link.close()
        await client.aclose()
        owner = nodes.owner(keys[0])
        for node in nodes.nodes:
            told = node.command("INFO", "commandstats")
            assert (b"cmdstat_eval" in told or b"cmdstat_xlen" in told) == (node is owner)


async def test_a_cluster_that_is_down_is_asked_over_the_same_connections(
    namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that others miss keeps its slots: the one that answers says that all is down."""
    monkeypatch.setattr(cluster, "_REFRESH_AGAIN", float("inf"))
    with ExitStack() as stack:
        nodes = Nodes(stack, timeout=500)
        await nodes.ready()
        key = f"{{{namespace}}}:log"
        owner = nodes.owner(key)
        client = RedisCluster(host="127.0.0.1", port=owner.port)
        link = connect(client, timeout=10.0)
        await link.run(lambda one: send(one, "XLEN", key), key=key)
        next(node for node in nodes.nodes if node is not owner).stop()
        await until(lambda: str(owner.command("XLEN", key)).startswith("-CLUSTERDOWN"), 20.0)
        before = _connections(owner)
        for _ in range(5):
            with pytest.raises(BackendError, match="cluster is down"):
                await link.run(lambda one: send(one, "XLEN", key), key=key)
        # One to count them, and one look at the cluster.
        assert _connections(owner) - before <= 2
        await link.close()
        await client.aclose()


def _connections(server: ValkeyServer) -> int:
    told = server.command("INFO", "stats").decode()
    return int(told.split("total_connections_received:")[1].split()[0])


async def test_a_key_of_another_type_is_a_miss_alone(namespace: str) -> None:
    """As on a single server; what may not be read is an error."""
    with ValkeyServer(cluster_enabled="yes", cluster_port=free_port()) as server:
        server.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await until(lambda: b"state:ok" in server.command("CLUSTER", "INFO"), 5.0)
        client = RedisCluster(host="127.0.0.1", port=server.port)
        tier = RedisTier(connect(client), namespace=namespace)
        await tier.set("good", b"v", 10.0)
        server.command("RPUSH", f"{namespace}:e:list", "x")
        found = await tier.get_many(["list", "good"])
        assert [held and held.value for held in found] == [None, b"v"]
        assert await set_born(tier, "list", b"w", 10.0, Born("a" * 32, 1))
        held = await tier.get("list")
        assert held is not None
        assert held.value == b"w"
        server.command("ACL", "SETUSER", "default", "-get")
        with pytest.raises(BackendError, match="permission"):
            await tier.get("good")
        await tier.link.close()
        await client.aclose()
