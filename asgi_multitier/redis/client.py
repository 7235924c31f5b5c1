"""Connections to one server, cluster or master: opened, closed and failing in one place.

- What the user gives (an address, or a client) is used as a *recipe*. Connections are always our
  own: with our time-outs, without retries, and never shared with blocking reads.
- They belong to one event loop of one process. Another loop, or a forked process, gets its own.
- Every failure is raised as `BackendError`, whatever its type: credential providers and hooks of
  the user's client run here too. Neither the error nor a `repr` holds credentials.
"""

import asyncio
import os
from asyncio.events import _get_running_loop as loop_here
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary, WeakValueDictionary

from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from ..errors import BackendError, ConfigError
from ..tracing import background
from .cluster import Cluster, ClusterIsDownError
from .multiplexed import Multiplexed
from .recipe import TIMEOUT, RedisClient, UrlOrClient, recipe_of

T = TypeVar("T")

Work: TypeAlias = Callable[[RedisClient], Awaitable[Any]]
"""What a link is to do with one of its clients."""

DEFAULT_URL = "redis://127.0.0.1:6379"

CONNECTIONS = 16

_OF_A_CLUSTER = (AskError, ClusterCrossSlotError, ClusterDownError, MovedError)
"""Errors that only a node of a cluster returns."""

_GIVE_THE_CLUSTER = (
    "this server is a node of a cluster; instead of its address give the whole cluster, as "
    "CacheManager(redis=redis.asyncio.RedisCluster(host=..., port=...))"
)

_inherited: list[object] = []
"""Connections of a parent process: never closed here, since that would disturb its event loop."""


class Lane:
    """Connections of one event loop, with fair turns.

    The turns are a semaphore, first come first served. A pool that waits by itself gives a returned
    connection to the next caller, and starves those that wait. Each node of a cluster has its own:
    callers that wait for a node that hangs do not block those of other nodes.
    """

    __slots__ = ("_connections", "_keeper", "_of_nodes", "client", "shared", "turns")

    def __init__(
        self, client: RedisClient, connections: int, shared: Multiplexed | None = None
    ) -> None:
        self.client: RedisClient = client
        self.shared: Multiplexed | None = shared
        self.turns: asyncio.Semaphore = asyncio.Semaphore(connections)
        self._connections = connections
        # A node's semaphore lives as long as a caller uses it.
        self._of_nodes: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        # A closing loop cancels it: connections are closed with their loop, not after it.
        self._keeper = asyncio.create_task(
            _keep(client, shared), name="asgi-multitier connections", context=background()
        )

    def turns_at(self, key: str) -> asyncio.Semaphore:
        """The semaphore of the node that has a key."""
        cluster = _cluster(self.client)
        if not key or cluster is None:
            return self.turns
        owner = cluster.owner_of(key)
        turns = self._of_nodes.get(owner)
        if turns is None:
            turns = self._of_nodes[owner] = asyncio.Semaphore(self._connections)
        return turns

    async def close(self) -> None:
        """Close the connections."""
        self._keeper.cancel()
        await asyncio.wait({self._keeper})


class Link:
    """Connections to one server, cluster or master.

    Args:
        target: An address (`redis://`, `rediss://`, `unix://`) or a client of redis-py's asyncio
            kind: `Redis`, a Sentinel's `master_for(...)`, or `RedisCluster`.
        timeout: Seconds for one operation.
        connections: Connections at once, for each event loop.

    Attributes:
        name: The server's address, without credentials.
        cluster: Whether it is a cluster.
        multiplexes: Whether `ask` may be called.

    Raises:
        ConfigError: If the target is none of these.
    """

    def __init__(
        self,
        target: UrlOrClient = DEFAULT_URL,
        *,
        timeout: float = TIMEOUT,
        connections: int = CONNECTIONS,
    ) -> None:
        recipe = recipe_of(target)
        self._patience, self._build = recipe.patience, recipe.build
        self.timeout: float = self.within(timeout)
        self.name: str = recipe.name
        self.cluster: bool = recipe.cluster
        self.multiplexes: bool = recipe.multiplexes
        self._lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, Lane] = WeakKeyDictionary()
        self._connections, self._pid = connections, os.getpid()

    def __repr__(self) -> str:
        return f"<Link {self.name}>"

    def within(self, timeout: float) -> float:
        """The seconds that an operation may take where so many are asked for."""
        return max(timeout, self._patience)

    async def run(
        self,
        work: Callable[[RedisClient], Awaitable[T]],
        *,
        key: str = "",
        timeout: float | None = None,
    ) -> T:
        """Do one piece of work within the time-out.

        Args:
            work: Called with a client; one operation, or a few that belong together.
            key: Its key, or one of several keys of one server; "" for no key.
            timeout: Seconds, instead of the link's own.

        Raises:
            BackendError: If it failed or took too long. It may have been done anyway.
        """
        lane = self._lane()
        limit = self.timeout if timeout is None else self.within(timeout)
        try:
            async with asyncio.timeout(limit), lane.turns_at(key):
                return await _keeping_cancellation(work(lane.client))
        except ReadOnlyError as error:
            # A replica answered: new connections look for the master again.
            await self._disconnect(lane)
            raise self._failed(error) from error
        except Exception as error:
            _refresh_owners(lane.client, error)
            raise self._failed(error) from error

    async def ask(self, commands: bytes, count: int) -> list[Any]:
        """Send packed commands on the connection that all callers share; their replies, in order.

        An error that the server returns stands among them: see `refused`.

        Args:
            commands: Commands that write nothing and block nothing, one after the other.
            count: How many.

        Raises:
            BackendError: If there was no answer in time, or none at all.
        """
        shared = self._lane().shared
        assert shared is not None  # noqa: S101  # asked for only where there is one
        try:
            return await shared.ask(commands, count)
        except Exception as error:
            raise self._failed(error) from error

    def refused(self, reply: Exception) -> BackendError:
        """The error to raise for an error among replies."""
        return self._failed(reply)

    def owner_of(self, key: str) -> str:
        """Name of a cluster's node that has a key; "" without a cluster, or if unknown."""
        cluster = _cluster(self._lane().client)
        return "" if cluster is None else cluster.owner_of(key)

    def owners(self) -> list[str]:
        """Names of a cluster's nodes that have keys; empty if none is known."""
        cluster = _cluster(self._lane().client)
        return [] if cluster is None else cluster.owners()

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator["Dedicated"]:
        """A separate connection, for blocking reads."""
        loop = asyncio.get_running_loop()
        client = self._build(1, self.timeout)
        try:
            yield Dedicated(self, client)
        finally:
            try:
                # The task of a closed loop is ended by the garbage collector, and cannot await.
                if loop_here() is loop:
                    await _close(client)
            finally:
                _let_go(client)

    def _lane(self) -> Lane:
        if os.getpid() != self._pid:
            _inherited.append(self._lanes)
            self._lanes = WeakKeyDictionary()
            self._pid = os.getpid()
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(loop)
        if lane is None:
            client = self._build(self._connections, self.timeout)
            shared = None
            if self.multiplexes:
                shared = Multiplexed(client.connection_pool.make_connection, self.timeout)
            lane = self._lanes[loop] = Lane(client, self._connections, shared)
        return lane

    def _failed(self, error: Exception) -> BackendError:
        reason = str(error) or "no answer in time"
        if not self.cluster and isinstance(error, _OF_A_CLUSTER):
            reason = f"{reason}; {_GIVE_THE_CLUSTER}"
        return BackendError(f"{self.name}: {type(error).__name__}: {reason}")

    async def _disconnect(self, lane: Lane) -> None:
        if lane.shared is not None:
            lane.shared.drop()
        pool = getattr(lane.client, "connection_pool", None)
        if pool is not None:
            # A connection that broke meanwhile need not be closed.
            with suppress(RedisError, OSError, RuntimeError):
                await pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        """Close this event loop's connections. May be called twice; the link may be used again."""
        lane = self._lanes.pop(asyncio.get_running_loop(), None)
        if lane is not None:
            await lane.close()


class Dedicated:
    """A separate connection, for blocking reads. One piece of work at a time."""

    __slots__ = ("_client", "_link")

    def __init__(self, link: Link, client: RedisClient) -> None:
        self._link = link
        self._client = client

    async def run(self, work: Callable[[RedisClient], Awaitable[T]], *, timeout: float) -> T:
        """As `Link.run`, with a deadline of our own: a server that hangs reports no error.

        Raises:
            BackendError: If it failed or took too long.
        """
        try:
            async with asyncio.timeout(self._link.within(timeout)):
                return await _keeping_cancellation(work(self._client))
        except Exception as error:
            _refresh_owners(self._client, error)
            raise self._link._failed(error) from error


def connect(
    target: "UrlOrClient | Link | None" = None,
    *,
    timeout: float = TIMEOUT,
    connections: int = CONNECTIONS,
) -> Link:
    """A link to a server. It connects at its first use.

    Args:
        target: An address, a client of redis-py's asyncio kind, or a link, which is returned.
        timeout: Seconds for one operation.
        connections: Connections at once, for each event loop.

    Raises:
        ConfigError: If the target is none of these.
    """
    if isinstance(target, Link):
        return target
    return Link(target or DEFAULT_URL, timeout=timeout, connections=connections)


def check_namespace(namespace: str) -> str:
    """The namespace, if it is valid.

    Raises:
        ConfigError: If it is not 1 to 64 characters without a special meaning in patterns or keys.
    """
    plain = all(c.isalnum() or c in "-_.:/@" for c in namespace)
    if not plain or not namespace.isascii() or not 0 < len(namespace) <= 64:
        allowed = "1 to 64 ASCII letters, digits or any of - _ . : / @"
        raise ConfigError.of("namespace", namespace, allowed)
    return namespace


def send(client: RedisClient, *command: Any, **options: Any) -> Awaitable[Any]:
    """One command; its reply as the server sent it. Stream replies are lists."""
    execute = cast("Callable[..., Awaitable[Any]]", client.execute_command)
    return execute(*command, **options)


def one_command(*command: Any, **options: Any) -> Work:
    """Work that sends one command. See `send`."""
    return lambda client: send(client, *command, **options)


async def _keeping_cancellation(work: Awaitable[T]) -> T:
    """Await the work, and raise the cancellation afterwards if the work swallowed it.

    redis-py sends with `asyncio.wait_for`, which before Python 3.12 swallows a cancellation that
    arrives in the same turn as the end of what it waits for. A loop around it would never end.
    Where uvloop finds a transport closed, it raises a RuntimeError, which may also replace a
    cancellation, as may errors of hooks of the user's client. The same holds for the end of a task
    whose event loop is closed: a loop around this must not continue, nor wait for anything.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    requests = task.cancelling() if task is not None else 0
    try:
        result = await work
    except Exception as error:
        if task is not None and task.cancelling() > requests:
            raise asyncio.CancelledError from error
        if loop_here() is not loop:
            raise GeneratorExit from error
        raise
    if task is not None and task.cancelling() > requests:
        raise asyncio.CancelledError
    return result


def _refresh_owners(client: RedisClient, error: Exception) -> None:
    """Let a cluster's client read the owners of keys again, if a node did not answer."""
    cluster = _cluster(client)
    says_so = isinstance(error, ResponseError) and not isinstance(error, ClusterIsDownError)
    if cluster is not None and not says_so:
        cluster.refresh_owners()


def _cluster(client: object) -> Cluster | None:
    return client if isinstance(client, Cluster) else None


async def _keep(client: RedisClient, shared: Multiplexed | None) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        await _close(client, shared)
        raise


async def _close(client: RedisClient, shared: Multiplexed | None = None) -> None:
    """Close completely: a caller that is cancelled meanwhile waits for it."""
    closing = asyncio.ensure_future(_close_all(client, shared))
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.gather(closing, return_exceptions=True)
        raise
    except (RedisError, OSError, RuntimeError):
        # A connection that broke before is closed as well; uvloop raises a RuntimeError for it.
        return


def _let_go(client: RedisClient) -> None:
    """Close the connection of a client that has one, without waiting, if it is still there.

    So it is where the event loop has ended, or ends and cancels what was to close it.
    """
    connection: Any = getattr(client, "connection", None)
    if connection is not None:
        cast("Any", client).connection = None
        with suppress(RuntimeError):  # the loop is closed
            connection._close()


async def _close_all(client: RedisClient, shared: Multiplexed | None) -> None:
    if shared is not None:
        await shared.close()
    await client.aclose()
    nodes = getattr(client, "nodes_manager", None)
    if nodes is not None:
        # A cluster's client that lost its cluster counts as never opened, and closes none.
        await nodes.aclose()
        await nodes.aclose("startup_nodes")
    sentinel = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for each in () if sentinel is None else sentinel.sentinels:
        await each.aclose()
