"""How clients are made from what the user gave: an address, or a client of redis-py.

The user's settings decide where the server is, which user connects and how that is encrypted.
Decoding, time-outs and retries are the cache's own: those settings override the user's. Any other
setting is refused at start-up, not by the first request.
"""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import redis.asyncio as aredis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ..errors import ConfigError
from .address import place_of, read_address
from .cluster import Cluster, Nodes
from .fakes import client_of, patience_of
from .packing import packing

RedisClient: TypeAlias = aredis.Redis
"""The type of clients. A cluster's client has the same methods, and is cast to it."""

UrlOrClient: TypeAlias = "str | aredis.Redis | RedisCluster"
"""What a user may give."""

Build: TypeAlias = Callable[[int, float], RedisClient]
"""Makes a client with that many connections and that time-out for connecting."""

TIMEOUT = 0.25
"""Seconds for one operation, and for connecting."""

_DROPPED = frozenset(
    {
        "connection_pool",
        "decode_responses",
        "encoder_class",
        "encoding",
        "encoding_errors",
        "event_dispatcher",
        "himport_registry",
        "legacy_responses",
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
        "single_connection_client",
        "timeout",
    }
)
"""Settings of a user's client that are not taken over."""

_SOCKETS = (Connection, UnixDomainSocketConnection)

_TARGETS = (
    "an address, or a client of redis.asyncio: Redis(...), RedisCluster(...) or a Sentinel's "
    "master_for(...)"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How clients are made.

    Attributes:
        name: The server's address, without credentials.
        build: Makes one.
        cluster: Whether they are clients of a cluster.
        patience: Seconds that an operation may take, where a shorter time-out is asked for.
        multiplexes: Whether callers may share a connection of theirs.
    """

    name: str
    build: Build
    cluster: bool = False
    patience: float = 0.0
    multiplexes: bool = False


def recipe_of(target: UrlOrClient) -> Recipe:
    """The recipe from what a user gave. Nothing is connected.

    Raises:
        ConfigError: If it is not an address or a client of redis.asyncio, or if one of its settings
            could not be used.
    """
    if isinstance(target, str):
        address = read_address(target)
        return _pooled(place_of(target), address.connection_class, address.connection_kwargs)
    if isinstance(target, RedisCluster):
        return _of_cluster(target)
    pool: object = getattr(client_of(target), "connection_pool", None)
    if isinstance(pool, SentinelConnectionPool):
        return _of_sentinel(pool)
    if isinstance(pool, ConnectionPool):
        return _of_pool(pool)
    kind = type(target)
    raise ConfigError.of("redis", f"{kind.__module__}.{kind.__qualname__}", _TARGETS)


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


def _kept(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in _DROPPED}


def _of_pool(pool: ConnectionPool) -> Recipe:
    given = pool.connection_kwargs
    place = given.get("path") or f"{given.get('host', 'localhost')}:{given.get('port', 6379)}"
    return _pooled(f"redis://{place}/{given.get('db', 0)}", pool.connection_class, given)


def _pooled(name: str, kind: Any, settings: Mapping[str, Any]) -> Recipe:
    given = _kept(settings)

    def build(connections: int, timeout: float) -> RedisClient:
        ours = _ours(connections, timeout)
        if "path" in given:
            del ours["socket_keepalive"]
        return _client(ConnectionPool(connection_class=kind, **{**given, **ours}))

    patience = patience_of(kind)
    # A connection of fakeredis has no transport, nor may one have of a user's own kind.
    multiplexes = not patience and issubclass(kind, _SOCKETS)
    return _tried(Recipe(name, build, patience=patience, multiplexes=multiplexes), given)


def _of_sentinel(pool: SentinelConnectionPool) -> Recipe:
    given = _kept(pool.connection_kwargs)
    kind, service = pool.connection_class, pool.service_name

    def build(connections: int, timeout: float) -> RedisClient:
        settings = {**given, **_ours(connections, timeout)}
        make: Callable[..., ConnectionPool] = SentinelConnectionPool
        watchers = _watchers(pool.sentinel_manager)
        return _client(make(service, watchers, connection_class=kind, **settings))

    multiplexes = issubclass(kind, _SOCKETS)
    return _tried(Recipe(f"sentinel://{service}", build, multiplexes=multiplexes), given)


def _watchers(manager: Any) -> Any:
    """The same Sentinels over connections of our own: the user's belong to the user's event loop.

    Their time-outs stay the user's, so that the next Sentinel is asked in time.
    """
    own = copy(manager)
    ours = {"decode_responses": False, "protocol": 2, "retry": Retry(NoBackoff(), 0)}
    own.sentinels = []
    for each in manager.sentinels:
        pool = each.connection_pool
        settings = {**_kept(pool.connection_kwargs), **ours}
        made = ConnectionPool(connection_class=pool.connection_class, **settings)
        own.sentinels.append(aredis.Redis.from_pool(made))
    return own


def _of_cluster(cluster: RedisCluster) -> Recipe:
    settings = cluster.connection_kwargs
    # A cluster's nodes have more settings than its client accepts: keep credentials and encryption.
    given = {
        name: value
        for name, value in settings.items()
        if name in ("username", "password", "credential_provider", "client_name")
        or name.startswith("ssl_")
    }
    if issubclass(settings.get("connection_class", object), SSLConnection):
        given["ssl"] = True
    nodes = Nodes(cluster.nodes_manager)
    # Settings of the cluster itself.
    for name in ("address_remap", "require_full_coverage"):
        given[name] = getattr(cluster.nodes_manager, name)

    def build(connections: int, timeout: float) -> RedisClient:
        # For each node: turns bound them, and commands without a key have turns of their own.
        ours = _ours(2 * connections, timeout)
        return _plain(cast("RedisClient", Cluster(nodes, **given, **ours)))

    name = "cluster://" + ",".join(f"{host}:{port}" for host, port in nodes.known())
    return _tried(Recipe(name, build, cluster=True), given)


def _tried(recipe: Recipe, given: Mapping[str, Any]) -> Recipe:
    """The recipe, after preparing a connection with it, which unfit settings let fail.

    The error does not repeat their values, since they may be credentials.
    """
    try:
        client = recipe.build(1, TIMEOUT)
        if not recipe.cluster:
            pool: Any = client.connection_pool
            connection = pool.make_connection()
            if isinstance(connection, SSLConnection) and any(n.startswith("ssl_") for n in given):
                connection.ssl_context.get()
    except (TypeError, ValueError, AttributeError, OSError, RedisError) as error:
        named = ", ".join(sorted(given))
        raise ConfigError(
            f"{recipe.name}: no connection can be made with these settings ({named}): {error}; "
            "expected settings that redis.asyncio takes"
        ) from error
    return recipe


def _client(pool: ConnectionPool) -> RedisClient:
    pool.connection_class = packing(pool.connection_class)
    alone = pool.max_connections == 1
    client = aredis.Redis(connection_pool=pool, single_connection_client=alone)
    client.auto_close_connection_pool = True
    return _plain(client)


def _plain(client: RedisClient) -> RedisClient:
    """Leave stream replies as lists: redis-py would make dicts of fields that may repeat."""
    for name in ("XRANGE", "XREAD", "XREADGROUP", "XREVRANGE"):
        client.set_response_callback(name, _unchanged)
    return client


def _unchanged(response: Any, **_: Any) -> Any:
    return response
