"""A client of a cluster that finds the owner of a key without asking, and forgets no node.

redis-py's own asks one node of the cluster for the places of the keys in a command that it does not
know, twice a command, and for the list of all commands before the first one: a single node that
hangs would stop every command to every other. The commands here have their keys in places that are
known. And it begins again at the addresses that it was given at first, which may all be gone.
"""

from collections.abc import Iterable
from typing import Any

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.cluster import NodesManager as Known

from .packing import packing

Address = tuple[str, int]

_READ_STREAMS = ("XREAD", "XREADGROUP")
"""Commands of one stream that end with its key and a position; the key of others comes first."""


class Nodes:
    """Where a cluster may be found: what its user was told, and what was learned since.

    Args:
        theirs: The nodes of the user's client: they change as that client learns.
    """

    def __init__(self, theirs: Known) -> None:
        self._theirs = theirs
        self._learned: list[Address] = []
        self._asked = 0

    def known(self) -> list[Address]:
        """Every address, the youngest knowledge first."""
        theirs = (*self._theirs.nodes_cache.values(), *self._theirs.startup_nodes.values())
        return list(dict.fromkeys([*self._learned, *_addresses(theirs)]))

    def in_turn(self) -> list[Address]:
        """As `known`, beginning with another each time: one that hangs is not asked for ever."""
        known = self.known()
        self._asked += 1
        first = self._asked % len(known)
        return known[first:] + known[:first]

    def learn(self, nodes: Iterable[Any]) -> None:
        """What a client has just been told of the cluster."""
        self._learned = _addresses(nodes)


def _addresses(nodes: Iterable[Any]) -> list[Address]:
    return [(str(node.host), int(node.port)) for node in nodes]


class Cluster(RedisCluster):
    """A client of the cluster that `nodes` know.

    Args:
        nodes: What all clients of this cluster know together.
        **settings: As `RedisCluster` takes them.
    """

    def __init__(self, nodes: Nodes, **settings: Any) -> None:
        start = [ClusterNode(host, port) for host, port in nodes.known()]
        super().__init__(startup_nodes=start, **settings)
        # For all nodes: those of the start are made anew before they are asked.
        kind = packing(self.connection_kwargs["connection_class"])
        self.connection_kwargs["connection_class"] = kind
        self.nodes_manager.startup_nodes = {}
        self._nodes = nodes
        self.commands_parser: Any = _NoQuestions()

    async def initialize(self, *args: Any, **options: Any) -> "Cluster":
        """Find the cluster, where it is not known or was lost."""
        if self._initialize:
            self._look_everywhere()
            await super().initialize(*args, **options)
            self._nodes.learn(self.nodes_manager.nodes_cache.values())
        return self

    def _look_everywhere(self) -> None:
        present, settings = self.nodes_manager.startup_nodes, self.connection_kwargs
        made = [ClusterNode(host, port, **settings) for host, port in self._nodes.in_turn()]
        known = {node.name: present.get(node.name, node) for node in made}
        self.nodes_manager.startup_nodes = known | {
            name: node for name, node in present.items() if name not in known
        }

    async def _determine_slot(self, command: str, *args: Any) -> int:
        if command in ("EVAL", "EVALSHA"):
            return int(await super()._determine_slot(command, *args))
        return int(self.keyslot(args[-2] if command in _READ_STREAMS else args[0]))


class _NoQuestions:
    """Stands where redis-py keeps what it asked of the server about commands."""

    async def initialize(self, node: Any) -> None:
        """Ask nothing."""
