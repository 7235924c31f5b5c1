"""The figures of a cache for those who collect them: `CacheManager.metrics`."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

from ..engine.engine import Engine
from .collector import MetricsCollector, default_registry
from .endpoint import MetricsEndpoint, credentials_of
from .text import Lines, lines

if TYPE_CHECKING:
    from prometheus_client.registry import CollectorRegistry


class Measured(Protocol):
    """A cache, as far as its figures are concerned."""

    @property
    def engine(self) -> Engine:
        """Its parts."""

    @property
    def namespace(self) -> str:
        """What separates it from others."""


class Metrics:
    """The figures of a cache. See `CacheManager.metrics`.

    Args:
        cache: The cache.
    """

    __slots__ = ("_cache",)

    def __init__(self, cache: Measured) -> None:
        self._cache = cache

    def __call__(self, *, token: str | None = None) -> MetricsEndpoint:
        """An ASGI application that answers a scrape: `app.mount("/metrics", cache.metrics())`.

        It shows routes and counts, and no key, path, tag or user. Its answers are never stored.

        Args:
            token: What a scraper has to send as `Authorization: Bearer ...`, of at least 32
                characters; without it, or with another one, the answer is 404. None: everyone
                who reaches the route may read.

        Raises:
            ConfigError: If the token is too short.
        """
        return MetricsEndpoint(self._lines, credentials_of(token, "CacheManager.metrics"))

    def register(self, registry: "CollectorRegistry | None" = None) -> MetricsCollector:
        """Add the figures to a registry of `prometheus_client`, which then shows them with its own.

        It reads when it is collected, from whichever thread does that.

        Args:
            registry: The registry; None for the default one.

        Returns:
            What was registered, for `registry.unregister`.

        Raises:
            ConfigError: If `prometheus_client` is not installed (extra `prometheus`).
            ValueError: If the registry has figures of a cache already.
        """
        into = default_registry() if registry is None else registry
        collector = MetricsCollector(lambda: self._cache.engine)
        into.register(collector)
        return collector

    def text(self, *, openmetrics: bool = False) -> str:
        """All figures of this process, now.

        Args:
            openmetrics: In the format OpenMetrics 1.0, instead of Prometheus's 0.0.4.
        """
        return "".join(self._lines(openmetrics))

    def _lines(self, openmetrics: bool) -> Lines:
        cache = self._cache
        return lines(
            cache.engine, cache.namespace, version("asgi-multitier"), openmetrics=openmetrics
        )
