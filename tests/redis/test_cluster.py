"""A cluster's client of the cache's own: what it asks of whom, and what it remembers."""

from typing import Any

from redis.asyncio.cluster import ClusterNode, RedisCluster

from asgi_multitier.redis import RedisStreams, connect
from tests.redis.support import followed, invalidate, until
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
