"""The back ends of a manager: which tiers, which log, which streams, and what they share.

Nothing is opened here; each is made at its first use, over one link to Redis. What Redis and SQLite
need is loaded when a manager is made that uses them, and never by others.
"""

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from .._types import Clock
from ..coherence.local import LocalLog
from ..coherence.log import InvalidationLog
from ..coherence.nearby import NearLog
from ..coherence.nearby import namespaces as nearby_namespaces
from ..config.invalidation import InvalidationConfig
from ..config.process import DEFAULT_REDIS_URL, CacheConfig
from ..engine.engine import Tier
from ..errors import BackendError, ConfigError
from ..streams import Streams
from ..tiers.base import LocalTier, SharedTier, TierConfig
from ..tiers.memory import MemoryTier
from ..tiers.null import NullTier

if TYPE_CHECKING:
    from ..redis import Leases, Link
    from .over_redis import OverRedis
    from .over_sqlite import OverSQLite

_WHERE = "CacheManager"


class Given(msgspec.Struct, frozen=True):
    """What a manager was made with.

    Attributes:
        config: The bounds, and where Redis is.
        tiers: Every tier with its place, as the user gave them; some may be missing.
        log: A log of the user's own.
        redis: A client of redis-py's asyncio kind, instead of `config.redis_url`.
        sqlite: A file for L2 and the log, instead of Redis.
        streams: Streams of the user's own.
        invalidation: Settings of the log.
        clock: Monotonic seconds.
        compress_over: Bytes from which what goes to shared tiers is compressed; None for never.
        nearby: Whether the workers of this machine may find each other.
        private: Whether what was given can be reached by no other application.
    """

    config: CacheConfig
    tiers: Sequence[tuple[Tier, TierConfig]]
    log: InvalidationLog | None
    redis: Any
    sqlite: str | os.PathLike[str] | None
    streams: Streams | None
    invalidation: InvalidationConfig
    clock: Clock
    compress_over: int | None = None
    nearby: bool = True
    private: bool = False

    @property
    def is_attached(self) -> bool:
        """Whether anything in it but an address reaches further than this process."""
        tiers = any(isinstance(tier, SharedTier) for tier, _ in self.tiers)
        return tiers or not (self.log is self.redis is self.sqlite is None)


class Backends:
    """The back ends of one manager.

    Args:
        given: What the manager was made with.

    Raises:
        ConfigError: If a back end cannot stand where it was put.
    """

    def __init__(self, given: Given) -> None:
        self._given = given
        self._config = given.config
        self._tiers = sorted(given.tiers, key=lambda pair: pair[1].level)
        self._streams = given.streams
        self._redis: OverRedis | None = None
        self._sqlite: OverSQLite | None = None
        self._leases: Leases | None = None
        _check_places(self._tiers)
        audited = given.invalidation.enable_audit_stream
        if audited and given.log is None and not self.has_redis:
            allowed = "False without Redis, where there are no streams"
            raise ConfigError.of("enable_audit_stream", True, allowed, where=_WHERE)
        streams = given.streams
        if streams is not None and not isinstance(streams, Streams):
            raise ConfigError.of("streams", streams, "an object with all of Streams", where=_WHERE)
        if given.sqlite is not None:
            self._sqlite = _over_sqlite(given.sqlite)
        elif self.has_redis:
            # Connects nothing: an address that is wrong is refused at once.
            self._redis = _over_redis(given)

    @property
    def has_redis(self) -> bool:
        """Whether Redis is used, reachable or not."""
        if self._given.sqlite is not None:
            return False
        return self._given.redis is not None or self._config.redis_url is not None

    @property
    def uses_default(self) -> bool:
        """Whether Redis is looked for at the default address."""
        default = self._given.redis is None and self._config.redis_url is DEFAULT_REDIS_URL
        return default and self._given.sqlite is None

    @property
    def is_shared(self) -> str:
        """What was configured that other applications may use too; "" if nothing was."""
        if self._given.private:
            return ""
        tiers = [tier for tier, _ in self._tiers if isinstance(tier, SharedTier)]
        if self._given.redis is not None or (self.has_redis and not self.uses_default):
            return "Redis"
        if self._given.sqlite is not None:
            return f"SQLite file {os.fspath(self._given.sqlite)}"
        if any(not isinstance(tier, NullTier) for tier in tiers):
            return "second tier"
        if self._given.log is not None and not isinstance(self._given.log, LocalLog):
            return "log"
        return ""

    @property
    def is_nearby(self) -> bool:
        """Whether the workers of this machine may find each other."""
        return self._given.nearby

    def link(self) -> "Link":
        """The connections to Redis, which all parts share; only where Redis is used."""
        assert self._redis is not None  # noqa: S101  # who asks knows that it is
        return self._redis.link

    def local(self) -> tuple[LocalTier, TierConfig]:
        """The tier in this process, and its place."""
        for tier, place in self._tiers:
            if isinstance(tier, LocalTier) and place.level == 1:
                return tier, place
        config = self._config
        made = MemoryTier(config.l1_bytes, config.l1_entries, clock=self._given.clock)
        return made, TierConfig.l1()

    def shared(self, namespace: str) -> Sequence[tuple[SharedTier, TierConfig]]:
        """The tiers below it, by level; if none was given, one on the server or in the file."""
        given = [(tier, place) for tier, place in self._tiers if isinstance(tier, SharedTier)]
        if given:
            return given
        place = self._sqlite or self._redis
        return [] if place is None else [(place.tier(namespace), TierConfig.l2())]

    def log(self, namespace: str, *, named: bool) -> InvalidationLog:
        """The invalidation log.

        Args:
            namespace: What separates the application from others.
            named: Whether all workers of the application have the same namespace.
        """
        given, config, secret = self._given, self._given.invalidation, self._config.secret
        clock, maxlen = given.clock, config.maxlen
        if given.log is not None:
            return given.log
        if self._sqlite is not None:
            return self._sqlite.log(namespace, maxlen=maxlen, secret=secret, clock=clock)
        if named and self._may_be_near and not config.enable_audit_stream:
            far = None if self._redis is None else self._redis.far(namespace)
            return NearLog(namespace=namespace, maxlen=maxlen, secret=secret, far=far, clock=clock)
        if self._redis is None:
            return LocalLog(clock)
        # Deliberate: the default address may well have no server behind it. Until one was seen
        # there, this process is alone, and what it holds counts as valid.
        return self._redis.log(namespace, optional=self.uses_default)

    @property
    def _may_be_near(self) -> bool:
        """Whether the workers of this machine find each other without a server."""
        return self._given.nearby and (not self.has_redis or self.uses_default)

    def leases(self, namespace: str) -> "Leases | None":
        """Leases across instances; None without Redis."""
        if self._leases is None and self._redis is not None:
            self._leases = self._redis.leases(namespace)
        return self._leases

    def streams(self, namespace: str) -> Streams:
        """The user's streams, or those on Redis.

        Raises:
            ConfigError: If there is no Redis.
        """
        if self._streams is None:
            if self._redis is None:
                raise ConfigError.of(
                    "streams", None, "Streams of your own, or a Redis address", where=_WHERE
                )
            self._streams = self._redis.streams(namespace)
        return self._streams

    async def leave(self) -> None:
        """Release the connections of this event loop, if the cache lives in another one."""
        if self._redis is not None:
            await self._redis.link.close()

    async def namespaces(self) -> set[str]:
        """The applications that can be seen where this manager looks for its log.

        Raises:
            BackendError: If that cannot be found out.
        """
        if self._given.log is not None:
            return set()
        if self._sqlite is not None:
            return await self._sqlite.namespaces()
        near = nearby_namespaces() if self._may_be_near else set()
        if self._redis is None:
            return near
        try:
            return near | await self._redis.namespaces()
        except BackendError:
            if self.uses_default:
                return near
            raise

    async def close(self) -> None:
        """Release all but the tiers and the log. May be called twice."""
        async with AsyncExitStack() as ends:  # one that cannot be closed keeps no other open
            if self._redis is not None:
                ends.push_async_callback(self._redis.link.close)
            if self._streams is not None:
                ends.push_async_callback(self._streams.close)
            if self._leases is not None:
                ends.push_async_callback(self._leases.close)


def _over_redis(given: Given) -> "OverRedis":
    from .over_redis import OverRedis

    return OverRedis(given.redis, given.config, given.invalidation, given.clock)


def _over_sqlite(path: str | os.PathLike[str]) -> "OverSQLite":
    from .over_sqlite import OverSQLite

    return OverSQLite(path)


def _check_places(tiers: Sequence[tuple[Tier, TierConfig]]) -> None:
    """Check that level 1 is a tier in this process, and that all others are shared ones."""
    levels = [place.level for _, place in tiers]
    if len(set(levels)) != len(levels):
        raise ConfigError.of("tiers", levels, "levels that are all different", where=_WHERE)
    for tier, place in tiers:
        # A shared tier that can tell its length has a local tier's methods as well.
        shared = isinstance(tier, SharedTier)
        if place.level == 1 and (shared or not isinstance(tier, LocalTier)):
            allowed = (
                "a LocalTier such as MemoryTier at level 1; an address of Redis goes to "
                "redis_url=, and an application to CacheMiddleware(app, CacheManager())"
            )
            raise ConfigError.of("l1", tier, allowed, where=_WHERE)
        if place.level > 1 and not shared:
            allowed = f"a SharedTier such as RedisTier at level {place.level}"
            raise ConfigError.of("tier", tier, allowed, where=_WHERE)
