"""Connections to one server, cluster or master: made here, closed here, and failing here.

- Whatever the user gives (an address, or a client of his own) is taken as a *recipe*. Connections
  are always our own: with our time-outs, without retries, and never shared with blocking reads.
- They belong to one event loop in one process. Another loop, or a forked process, gets its own.
- Every failure leaves as `BackendError`. Neither that nor a `repr` holds credentials.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import redis.asyncio as aredis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import ConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisClusterException, RedisError

from ..errors import BackendError, ConfigError
from .packing import packing

T = TypeVar("T")
Client: TypeAlias = aredis.Redis
"""What the commands are called on. A cluster client has the same methods, and is cast to it."""

Target: TypeAlias = "str | aredis.Redis | RedisCluster"
"""What a user may give."""

DEFAULT_URL = "redis://127.0.0.1:6379"
TIMEOUT = 0.25
"""Seconds for one operation, and for connecting."""

CONNECTIONS = 16

_SCHEMES = ("redis", "rediss", "unix")
_DROPPED = frozenset(
    {
        "connection_pool",
        "event_dispatcher",
        "himport_registry",
        "maint_notifications_config",
        "maint_notifications_pool_handler",
        "maintenance_notification_hash",
        "maintenance_state",
        "orig_host_address",
        "orig_socket_connect_timeout",
        "orig_socket_timeout",
        "oss_cluster_maint_notifications_handler",
        "parser_class",
        "response_callbacks",
        "retry_on_error",
        "retry_on_timeout",
    }
)
"""Settings of a user's client that are its own affair."""

_FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What a server that is away, or refuses, raises. A cluster's own errors are a family apart."""

_inherited: list[object] = []
"""Connections of a parent process: kept, since closing them would disturb its event loop."""


class Lane:
    """Connections of one event loop, and fair turns at them.

    The turns are a semaphore, first come first served. A pool that waits by itself hands a returned
    connection to whoever asks next, and starves the rest.
    """

    __slots__ = ("client", "turns")

    def __init__(self, client: Client, connections: int) -> None:
        self.client = client
        self.turns = asyncio.Semaphore(connections)


class Link:
    """A way to one server, cluster or master.

    Args:
        target: An address (`redis://`, `rediss://`, `unix://`) or a client of redis-py's asyncio
            kind: `Redis`, a Sentinel's `master_for(...)`, or `RedisCluster`.
        timeout: Seconds for one operation.
        connections: Connections at once, for each event loop.

    Raises:
        ConfigError: If the target is none of these.
    """

    def __init__(
        self,
        target: Target = DEFAULT_URL,
        *,
        timeout: float = TIMEOUT,
        connections: int = CONNECTIONS,
    ) -> None:
        self.timeout = timeout
        self._connections = connections
        self._name, self._build = _recipe(target)
        self.cluster = isinstance(target, RedisCluster)
        self._lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, Lane] = WeakKeyDictionary()
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"<Link {self._name}>"

    @property
    def name(self) -> str:
        """Where it leads, without credentials."""
        return self._name

    async def run(
        self, work: Callable[[Client], Awaitable[T]], *, timeout: float | None = None
    ) -> T:
        """Do one piece of work within the time allowed.

        Args:
            work: Called with a client; one operation, or a few that belong together.
            timeout: Seconds, instead of the link's own.

        Raises:
            BackendError: If it failed or took too long. It may have been done all the same.
        """
        lane = self._lane()
        try:
            async with asyncio.timeout(timeout or self.timeout), lane.turns:
                return await _heeding_cancellation(work(lane.client))
        except ReadOnlyError as error:
            # A replica answered: the next connections are to look for the master again.
            await self._disconnect(lane)
            raise self._failed(error) from error
        except _FAILURES as error:
            raise self._failed(error) from error

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator["Dedicated"]:
        """Connections apart, for reads that block."""
        client = self._build(1, self.timeout)
        try:
            yield Dedicated(self, client)
        finally:
            await _close(client)

    def _lane(self) -> Lane:
        if os.getpid() != self._pid:
            _inherited.append(self._lanes)
            self._lanes = WeakKeyDictionary()
            self._pid = os.getpid()
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(loop)
        if lane is None:
            client = self._build(self._connections, self.timeout)
            lane = self._lanes[loop] = Lane(client, self._connections)
        return lane

    def _failed(self, error: Exception) -> BackendError:
        reason = str(error) or "no answer in time"
        return BackendError(f"{self._name}: {type(error).__name__}: {reason}")

    async def _disconnect(self, lane: Lane) -> None:
        pool = getattr(lane.client, "connection_pool", None)
        if pool is not None:
            # What broke meanwhile needs no closing any more.
            with suppress(RedisError, OSError, RuntimeError):
                await pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        """Close this event loop's connections. May be called twice; the link may be used again."""
        lane = self._lanes.pop(asyncio.get_running_loop(), None)
        if lane is not None:
            await _close(lane.client)


class Dedicated:
    """A connection of its own, for reads that block. One piece of work at a time."""

    __slots__ = ("_client", "_link")

    def __init__(self, link: Link, client: Client) -> None:
        self._link = link
        self._client = client

    async def run(self, work: Callable[[Client], Awaitable[T]], *, timeout: float) -> T:
        """As `Link.run`; the deadline is ours, since a server that hangs says nothing.

        Raises:
            BackendError: If it failed or took too long.
        """
        try:
            async with asyncio.timeout(timeout):
                return await _heeding_cancellation(work(self._client))
        except _FAILURES as error:
            raise self._link._failed(error) from error


def connect(
    target: "Target | Link | None" = None,
    *,
    timeout: float = TIMEOUT,
    connections: int = CONNECTIONS,
) -> Link:
    """A link to a server. Nothing is connected before the first use.

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


Recipe: TypeAlias = Callable[[int, float], Client]
"""Makes a client with so many connections and that time-out for connecting."""


def _recipe(target: Target) -> tuple[str, Recipe]:
    if isinstance(target, str):
        return _recipe_of_url(target)
    if isinstance(target, RedisCluster):
        return _recipe_of_cluster(target)
    pool: object = getattr(target, "connection_pool", None)
    if isinstance(pool, ConnectionPool):
        return _recipe_of_pool(pool)
    raise ConfigError.of("redis", type(target).__name__, "an address or a client of redis.asyncio")


def _ours(connections: int, timeout: float) -> dict[str, Any]:
    # No time-out for answers: each piece of work has one deadline, and it is the link's.
    return {
        "decode_responses": False,
        "health_check_interval": 0,
        "max_connections": connections,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "socket_timeout": None,
    }


def _recipe_of_url(url: str) -> tuple[str, Recipe]:
    try:
        parts = urlsplit(url)
        name = f"{parts.scheme}://{parts.hostname or ''}"
        name += f":{parts.port}" if parts.port else ""
        name += parts.path
        if parts.scheme not in _SCHEMES:
            raise ValueError
        ConnectionPool.from_url(url)
    except ValueError:
        # The address may hold a password: it is not repeated.
        allowed = "redis://[user:password@]host[:port][/db], rediss://... or unix://path"
        raise ConfigError(f"redis_url is not an address; expected {allowed}") from None

    def build(connections: int, timeout: float) -> Client:
        ours = _ours(connections, timeout)
        if parts.scheme == "unix":
            del ours["socket_keepalive"]
        return _client(ConnectionPool.from_url(url, **ours))

    return name, build


def _recipe_of_pool(pool: ConnectionPool) -> tuple[str, Recipe]:
    given = _kept(pool.connection_kwargs)
    if isinstance(pool, SentinelConnectionPool):
        sentinel, service = pool.sentinel_manager, pool.service_name

        def build_sentinel(connections: int, timeout: float) -> Client:
            settings = {**given, **_ours(connections, timeout)}
            kind = pool.connection_class
            make: Callable[..., ConnectionPool] = SentinelConnectionPool
            return _client(make(service, sentinel, connection_class=kind, **settings))

        return f"sentinel://{service}", build_sentinel

    place = given.get("path") or f"{given.get('host', 'localhost')}:{given.get('port', 6379)}"

    def build(connections: int, timeout: float) -> Client:
        ours = _ours(connections, timeout)
        if "path" in given:
            del ours["socket_keepalive"]
        kind = pool.connection_class
        return _client(ConnectionPool(connection_class=kind, **{**given, **ours}))

    return f"redis://{place}/{given.get('db', 0)}", build


def _recipe_of_cluster(cluster: RedisCluster) -> tuple[str, Recipe]:
    settings = cluster.connection_kwargs
    # A cluster's nodes get more settings than its client takes: only who, and how it is encrypted.
    given = {
        name: value
        for name, value in settings.items()
        if name in ("username", "password", "credential_provider", "client_name")
        or name.startswith("ssl_")
    }
    if issubclass(settings.get("connection_class", object), SSLConnection):
        given["ssl"] = True
    nodes = [(node.host, node.port) for node in cluster.nodes_manager.startup_nodes.values()]

    def build(connections: int, timeout: float) -> Client:
        ours = _ours(connections, timeout)
        start = [ClusterNode(host, port) for host, port in nodes]
        made = RedisCluster(
            startup_nodes=start,
            **{**given, **ours},
        )
        return _plain(cast("Client", made))

    return "cluster://" + ",".join(f"{host}:{port}" for host, port in nodes), build


def _kept(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in _DROPPED}


def _client(pool: ConnectionPool) -> Client:
    pool.connection_class = packing(pool.connection_class)
    alone = pool.max_connections == 1
    client = aredis.Redis(connection_pool=pool, single_connection_client=alone)
    client.auto_close_connection_pool = True
    return _plain(client)


def _plain(client: Client) -> Client:
    """Leave stream replies as they come: redis-py would make dicts of fields that may repeat."""
    for name in ("XRANGE", "XREAD", "XREADGROUP", "XREVRANGE"):
        client.set_response_callback(name, _as_it_came)
    return client


def _as_it_came(response: Any, **_: Any) -> Any:
    return response


def send(client: Client, *command: Any, **options: Any) -> Awaitable[Any]:
    """One command; its reply is what the server said. Stream replies are lists."""
    execute = cast("Callable[..., Awaitable[Any]]", client.execute_command)
    return execute(*command, **options)


async def _heeding_cancellation(work: Awaitable[T]) -> T:
    """Await the work, and be cancelled after it where the work lost a cancellation.

    redis-py sends with `asyncio.wait_for`, which before Python 3.12 swallows a cancellation that
    arrives in the same turn as the end of what it waits for. A loop around it would go on for ever.
    And where uvloop finds a transport closed, it raises a RuntimeError, which may take the place of
    a cancellation as well; asyncio's own, from Python 3.12 on, asks None for `_add_writer`.
    """
    task = asyncio.current_task()
    requests = task.cancelling() if task is not None else 0
    try:
        result = await work
    except (RuntimeError, AttributeError) as error:
        if isinstance(error, AttributeError) and error.name != "_add_writer":
            raise
        if task is not None and task.cancelling() > requests:
            raise asyncio.CancelledError from error
        raise ConnectionError(str(error)) from error
    if task is not None and task.cancelling() > requests:
        raise asyncio.CancelledError
    return result


async def _close(client: Client) -> None:
    """Close for certain: whoever is cancelled meanwhile leaves when it is done."""
    closing = asyncio.ensure_future(_close_all(client))
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.gather(closing, return_exceptions=True)
        raise
    except (RedisError, OSError, RuntimeError):
        # A connection that broke before it was closed is closed as well; uvloop says so with a
        # RuntimeError.
        return


async def _close_all(client: Client) -> None:
    await client.aclose()
    nodes = getattr(client, "nodes_manager", None)
    if nodes is not None:
        # A cluster's client that lost its cluster thinks that it was never opened, and closes none.
        await nodes.aclose()
        await nodes.aclose("startup_nodes")
