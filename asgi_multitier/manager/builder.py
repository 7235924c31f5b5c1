"""CacheBuilder: builds a manager step by step."""

import os
from typing import Any, Self, Unpack

from .._types import Clock
from ..coherence.log import InvalidationLog
from ..config.invalidation import InvalidationConfig
from ..config.process import CacheConfig, Settings
from ..engine.engine import Tier
from ..errors import ConfigError
from ..serializers import Serializer
from ..streams import Streams
from ..tiers.base import TierConfig
from .manager import CacheManager


class ManagerSettings(Settings, total=False):
    """What the builder has no method for: settings, and other arguments of `CacheManager`."""

    log: InvalidationLog | None
    redis: Any
    sqlite: str | os.PathLike[str] | None
    streams: Streams | None
    serializer: Serializer | None
    invalidation: InvalidationConfig | None
    compress_over: int | None
    config: CacheConfig | None
    clock: Clock
    wall: Clock


class CacheBuilder:
    """Collects the parts of a `CacheManager`. A setting that is given twice is refused."""

    def __init__(self) -> None:
        self._tiers: list[tuple[Tier, TierConfig]] = []
        self._settings: dict[str, Any] = {}

    def with_l1(self, tier: Tier) -> Self:
        """The first tier."""
        return self.with_tier(tier, TierConfig.l1())

    def with_l2(self, tier: Tier) -> Self:
        """The second tier."""
        return self.with_tier(tier, TierConfig.l2())

    def with_l3(self, tier: Tier) -> Self:
        """The third tier: lifetimes doubled."""
        return self.with_tier(tier, TierConfig.l3())

    def with_l4(self, tier: Tier) -> Self:
        """The fourth tier: lifetimes times eight."""
        return self.with_tier(tier, TierConfig.l4())

    def with_tier(self, tier: Tier, config: TierConfig) -> Self:
        """A tier in its place.

        Raises:
            ConfigError: If the place is no `TierConfig`, or taken.
        """
        if not isinstance(config, TierConfig):
            raise ConfigError.of("config", config, "a TierConfig", where="CacheBuilder.with_tier")
        if any(config.level == taken.level for _, taken in self._tiers):
            free = "a level that is not taken yet"
            raise ConfigError.of("level", config.level, free, where="CacheBuilder.with_tier")
        self._tiers.append((tier, config))
        return self

    def with_redis(self, target: Any) -> Self:
        """Where Redis is: an address, or a client of redis-py's asyncio kind; None for memory only.

        The log and the streams use it, and so does the second tier unless another is given.
        """
        named = "redis_url" if target is None or isinstance(target, str) else "redis"
        return self._once(named, target)

    def with_sqlite(self, path: str | os.PathLike[str]) -> Self:
        """A file in place of Redis: the second tier and the log for all workers of one machine."""
        return self._once("sqlite", path)

    def with_streams(self, streams: Streams) -> Self:
        """Streams of your own, in place of those on the manager's Redis."""
        return self._once("streams", streams)

    def with_invalidation(self, config: InvalidationConfig) -> Self:
        """Settings of the invalidation log."""
        return self._once("invalidation", config)

    def with_serializer(self, serializer: Serializer) -> Self:
        """How values become bytes."""
        return self._once("serializer", serializer)

    def with_settings(self, **settings: Unpack[ManagerSettings]) -> Self:
        """Attributes of `CacheConfig`, and other arguments of `CacheManager`."""
        for name, value in settings.items():
            self._once(name, value)
        return self

    def _once(self, name: str, value: Any) -> Self:
        if name in self._settings:
            raise ConfigError(f"CacheBuilder: {name} was given twice")
        self._settings[name] = value
        return self

    def build(self) -> CacheManager:
        """Make the manager. It is started by `async with`, `start()` or the middleware.

        Raises:
            ConfigError: If a setting is wrong, or two contradict.
        """
        return CacheManager(tiers=self._tiers or None, **self._settings)
