"""A client of a cluster that knows the owner of a key without a request, and forgets no node.

It differs from redis-py's client, which
- asks one node for the positions of keys in a command, twice a command, and for the list of all
  commands before the first one: a single node that hangs would stop every command to every other.
  The positions of keys in the commands used here are known;
- starts again at the addresses that it was given first, which may all be gone;
- does not look for a new owner of keys where the known one does not answer at all;
- closes every connection and sleeps for a quarter of a second where a node reports that the cluster
  is down: that is the whole time-out of an operation here.
"""

import asyncio
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeAlias, cast

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.cluster import NodesManager as Known
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ClusterDownError, RedisClusterException, ResponseError

from .packing import packing

Address: TypeAlias = tuple[str, int]
Topology: TypeAlias = frozenset[tuple[Any, ...]]

_HEAD_START = 0.03
"""Seconds for one node to describe the cluster, before the next one is asked too."""

_REFRESH_AGAIN = 1.0
"""Seconds between two refreshes of the owners because a node did not answer."""

_READ_STREAMS = ("XREAD", "XREADGROUP")
"""Commands of one stream that end with its key and a position; the key of others comes first."""


class ClusterIsDownError(ResponseError):
    """A node reports that its cluster does not serve this key now. Other keys may be served."""


class Nodes:
    """The addresses of a cluster: those of the user's client, and those learned since.

    Args:
        theirs: The nodes of the user's client, which updates them.
    """

    def __init__(self, theirs: Known) -> None:
        self._theirs = theirs
        self._learned: list[Address] = []
        self._asked = 0

    def known(self) -> list[Address]:
        """Every address, the most recently learned first."""
        theirs = (*self._theirs.nodes_cache.values(), *self._theirs.startup_nodes.values())
        return list(dict.fromkeys([*self._learned, *_addresses(theirs)]))

    def in_turn(self) -> list[Address]:
        """As `known`, starting with another each time, since one may hang."""
        known = self.known()
        self._asked += 1
        # Learned ones first: a node that has left may still describe the cluster as it was.
        count = len(self._learned) or len(known)
        first = self._asked % count
        return known[first:count] + known[:first] + known[count:]

    def learn(self, nodes: Iterable[Any]) -> None:
        """A client has just read these from the cluster."""
        self._learned = _addresses(nodes)


def _addresses(nodes: Iterable[Any]) -> list[Address]:
    return [(str(node.host), int(node.port)) for node in nodes]


class Cluster(RedisCluster):
    """A client of the cluster that `nodes` know.

    Args:
        nodes: The addresses, shared by all clients of this cluster.
        **settings: As `RedisCluster` takes them.
    """

    def __init__(self, nodes: Nodes, **settings: Any) -> None:
        start = [ClusterNode(host, port) for host, port in nodes.known()]
        super().__init__(startup_nodes=start, **settings)
        # For all nodes, including the first ones, which are recreated before they are asked.
        kind = _calm(self.connection_kwargs["connection_class"])
        self.connection_kwargs["connection_class"] = kind
        self.nodes_manager.startup_nodes = {}
        self._nodes = nodes
        self._refreshing = asyncio.Lock()
        self._topology: Topology = frozenset()
        self._refreshed = -float("inf")
        self.commands_parser: Any = _NoQuestions()

    def owner_of(self, key: str) -> str:
        """Name of the node that has the key; "" while none is known."""
        nodes = self.nodes_manager.slots_cache.get(self.keyslot(key))
        return str(nodes[0].name) if nodes else ""

    def owners(self) -> list[str]:
        """Names of the nodes that have keys."""
        return [str(node.name) for node in self.get_primaries()]

    def refresh_owners(self) -> None:
        """A node did not answer: read the owners of keys again before the next command.

        A node that hangs does not report that another one has replaced it, and redis-py reacts to
        reports only.
        """
        now = asyncio.get_running_loop().time()
        if now - self._refreshed >= _REFRESH_AGAIN:
            self._refreshed = now
            self._initialize = True

    async def initialize(self, *args: Any, **options: Any) -> "Cluster":
        """Find the cluster, if it is unknown or was lost."""
        if self._initialize:
            async with self._refreshing:
                if self._initialize:
                    await self._refresh(*args, **options)
        return self

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """As in redis-py, which would send the first command of a client to a random node.

        It chooses the node by the key only once it knows the cluster.
        """
        await self.initialize()
        return await super().execute_command(*args, **options)

    async def _refresh(self, *args: Any, **options: Any) -> None:
        node, topology = await self._first_answer()
        manager = self.nodes_manager
        try:
            if topology == self._topology and manager.default_node is not None:
                # All is as it was: connections that work stay.
                self._initialize = False
                return
            manager.startup_nodes = {node.name: node}
            await super().initialize(*args, **options)
            self._topology = topology
            self._nodes.learn(manager.nodes_cache.values())
        finally:
            manager.startup_nodes = dict(manager.nodes_cache)
            _let_go(node)

    async def _first_answer(self) -> "tuple[ClusterNode, Topology]":
        """Ask one node after another with a short head start each; the first answer wins."""
        left = iter(self._nodes.in_turn())
        asked: set[asyncio.Task[tuple[ClusterNode, Topology]]] = set()
        failure: BaseException | None = None
        try:
            while True:
                address = next(left, None)
                if address is not None:
                    asked.add(asyncio.create_task(self._ask(*address)))
                elif not asked and failure is not None:
                    raise failure
                patience = _HEAD_START if address is not None else None
                done, asked = await asyncio.wait(
                    asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    failure = task.exception()
                    if failure is None:
                        asked |= done - {task}
                        return task.result()
        finally:
            await _dismiss(asked)

    async def _ask(self, host: str, port: int) -> "tuple[ClusterNode, Topology]":
        node = ClusterNode(host, port, **self.connection_kwargs)
        try:
            topology = _topology(await node.execute_command("CLUSTER SLOTS"))
            if not topology:
                raise RedisClusterException(f"{node.name} has left its cluster")
        except BaseException:
            _let_go(node)
            raise
        return node, topology

    async def _determine_slot(self, command: str, *args: Any) -> int:
        if command in ("EVAL", "EVALSHA"):
            return int(await super()._determine_slot(command, *args))
        return int(self.keyslot(args[-2] if command in _READ_STREAMS else args[0]))


async def _dismiss(asked: "set[asyncio.Task[tuple[ClusterNode, Topology]]]") -> None:
    """Cancel the questions that are not needed."""
    for task in asked:
        task.cancel()
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        if not isinstance(answer, BaseException):
            _let_go(answer[0])


def _let_go(node: ClusterNode) -> None:
    """Close the connections of a node that was only asked, without waiting.

    To wait for that may be cancelled, as by a time limit that ends meanwhile, and they would stay
    open.
    """
    for connection in node._connections:
        cast("Any", connection)._close()


def _topology(slots: Any) -> Topology:
    """Ranges of slots with their nodes, the owner and the replicas."""
    ranges = []
    for first, last, owner, *others in slots:
        ranges.append((first, last, tuple(owner[:2]), frozenset(tuple(one[:2]) for one in others)))
    return frozenset(ranges)


class _Calm(AbstractConnection):
    """A mixin for connections: that the cluster is down is an error like any other."""

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """As in redis-py."""
        try:
            return await super().read_response(*args, **options)
        except ClusterDownError as error:
            raise ClusterIsDownError(str(error)) from None


@cache
def _calm(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    return type(kind.__name__, (_Calm, packing(kind)), {})


class _NoQuestions:
    """Replaces the object in which redis-py keeps the server's list of commands."""

    async def initialize(self, node: Any) -> None:
        """Ask nothing."""
