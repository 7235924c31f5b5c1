"""What a manager has on a Redis server, over one link. Loaded by those managers that use one."""

from typing import Any

from .._types import Clock
from ..config.invalidation import InvalidationConfig
from ..config.process import CacheConfig
from ..redis import Leases, Link, RedisLog, RedisStreams, RedisTier, StreamStore, connect
from ..redis import namespaces as redis_namespaces


class OverRedis:
    """The parts of one manager that are on a server. Making it connects nothing.

    Args:
        target: A client of redis-py's asyncio kind; None for the address in `config`.
        config: The address and the bounds.
        invalidation: Settings of the log.
        clock: Monotonic seconds.

    Raises:
        ConfigError: If the address is wrong.
    """

    def __init__(
        self, target: Any, config: CacheConfig, invalidation: InvalidationConfig, clock: Clock
    ) -> None:
        self._config = config
        self._invalidation = invalidation
        self._clock = clock
        given = config.redis_url if target is None else target
        self.link: Link = connect(given, timeout=config.redis_timeout)

    def tier(self, namespace: str) -> RedisTier:
        """The tier on the server."""
        return RedisTier(self.link, namespace=namespace)

    def log(self, namespace: str, *, optional: bool) -> RedisLog:
        """The log on the server.

        Args:
            namespace: What separates the application from others.
            optional: Whether there may be no server.
        """
        return RedisLog(
            self.link,
            namespace=namespace,
            config=self._invalidation,
            secret=self._config.secret,
            optional=optional,
            clock=self._clock,
        )

    def far(self, namespace: str) -> StreamStore:
        """Where the log of one machine's workers goes on when a server appears."""
        config, clock = self._invalidation, self._clock
        return StreamStore(self.link, namespace, config, flush_on_failover=True, clock=clock)

    def leases(self, namespace: str) -> Leases:
        """Leases across instances."""
        return Leases(self.link, namespace=namespace)

    def streams(self, namespace: str) -> RedisStreams:
        """Streams of the application."""
        return RedisStreams(self.link, namespace=namespace)

    async def namespaces(self) -> set[str]:
        """The applications that have a log there.

        Raises:
            BackendError: If that cannot be found out.
        """
        return await redis_namespaces(self.link, self._invalidation.channel)
