"""A real cluster for tests, whose nodes can be frozen and killed."""

from contextlib import ExitStack

from tests.redis.support import until
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


def _knows(node: ValkeyServer, count: int) -> bool:
    told = node.command("CLUSTER", "INFO")
    return b"state:ok" in told and b"known_nodes:%d" % count in told
