"""A real cluster for tests, whose nodes can be frozen, killed and replaced."""

from contextlib import ExitStack

from tests.patience import until
from tests.servers import ValkeyServer, cluster_node

_SLOTS = 16384


class Nodes:
    """Masters that share the slots evenly, in ranges.

    Args:
        stack: Closes the nodes.
        count: How many masters.
        timeout: Milliseconds after which the nodes give up a silent one.
    """

    def __init__(self, stack: ExitStack, *, count: int = 3, timeout: int = 60_000) -> None:
        self._stack = stack
        self._timeout = timeout
        self.nodes = [self._started() for _ in range(count)]
        self._ends = [_SLOTS * (number + 1) // count for number in range(count)]
        begin = 0
        for number, (node, end) in enumerate(zip(self.nodes, self._ends, strict=True), 1):
            node.command("CLUSTER", "ADDSLOTSRANGE", begin, end - 1)
            node.command("CLUSTER", "SET-CONFIG-EPOCH", number)
            begin = end
        for node in self.nodes[1:]:
            self._meet(node, self.nodes[0])

    def _started(self) -> ValkeyServer:
        return self._stack.enter_context(cluster_node(self._timeout))

    def _meet(self, node: ValkeyServer, other: ValkeyServer) -> None:
        bus = node.options["cluster_port"]
        other.command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)

    async def ready(self) -> None:
        """Wait until all know all."""
        for node in self.nodes:
            await until(lambda n=node: _knows(n, len(self.nodes)), 10.0)  # type: ignore[misc]

    def owner(self, key: str) -> ValkeyServer:
        """Who has the key."""
        slot = self.nodes[0].command("CLUSTER", "KEYSLOT", key)
        return self.nodes[next(i for i, end in enumerate(self._ends) if slot < end)]

    async def replace(self, old: ValkeyServer) -> ValkeyServer:
        """Put another node at another address into a node's place, and shut the old one down."""
        new = self._started()
        keeper = next(node for node in self.nodes if node is not old)
        self._meet(new, keeper)
        await until(lambda: _knows(new, len(self.nodes) + 1), 10.0)
        identity = old.command("CLUSTER", "MYID").decode()
        await until(lambda: new.command("CLUSTER", "REPLICATE", identity) == "OK", 5.0)
        await until(lambda: b"link_status:up" in new.command("INFO", "replication"), 10.0)
        # A master ignores a failover by who is not its replica yet: Redis 8 tells others late.
        for node in self.nodes:
            await until(lambda n=node: _follows(n, new.port, identity), 10.0)  # type: ignore[misc]
        await until(lambda: new.command("CLUSTER", "FAILOVER") == "OK", 5.0)
        await until(lambda: b"role:master" in new.command("INFO", "replication"), 10.0)
        self.nodes[self.nodes.index(old)] = new
        for node in self.nodes:
            place = f":{new.port}@".encode()
            await until(lambda n=node, p=place: _leads(n, p), 10.0)  # type: ignore[misc]
        old.stop()
        for node in self.nodes:
            node.command("CLUSTER", "FORGET", identity)
        return new


def _knows(node: ValkeyServer, count: int) -> bool:
    told = node.command("CLUSTER", "INFO")
    return b"state:ok" in told and b"known_nodes:%d" % count in told


def _follows(node: ValkeyServer, port: int, master: str) -> bool:
    replicas = node.command("CLUSTER", "REPLICAS", master)
    return any(f":{port}@".encode() in line for line in replicas)


def _leads(node: ValkeyServer, place: bytes) -> bool:
    lines = node.command("CLUSTER", "NODES").splitlines()
    return any(place in line and b"master" in line and b"-" in line.split()[-1] for line in lines)
