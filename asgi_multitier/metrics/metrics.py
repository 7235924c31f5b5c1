"""The figures of a cache for those who collect them: `CacheManager.metrics`."""

from importlib.metadata import version
from typing import Protocol

from ..engine.engine import Engine
from .endpoint import MetricsEndpoint, credentials_of
from .text import Lines, lines


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
