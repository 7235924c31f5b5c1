"""The figures of a cache for those who collect them: `CacheManager.metrics`."""

from functools import partial
from typing import TYPE_CHECKING, Any

from ..config.tokens import credentials_of
from ..errors import ConfigError
from .collector import MetricsCollector, default_registry
from .endpoint import MetricsEndpoint
from .host import (
    Measured,
    all_written,
    host_hot,
    host_json,
    lines_of,
    look_at_hits,
    process_hot,
    process_json,
    watched,
    written,
)

if TYPE_CHECKING:
    from prometheus_client.registry import CollectorRegistry


class Metrics:
    """The figures of a cache. See `CacheManager.metrics`.

    Args:
        cache: The cache.
    """

    __slots__ = ("_cache",)

    def __init__(self, cache: Measured) -> None:
        self._cache = cache

    def __call__(self, *, token: str | None = None, workers: bool = True) -> MetricsEndpoint:
        """An ASGI application that answers a scrape: `app.mount("/metrics", cache.metrics())`.

        It shows routes and counts, and no key, path, tag or user. Its answers are never stored.

        Args:
            workers: Whether the figures are those of all workers of this machine, with the label
                `worker`; otherwise those of the process that answers.
            token: What a scraper has to send as `Authorization: Bearer ...`, of at least 32
                characters; without it, or with another one, the answer is 404. None: everyone
                who reaches the route may read.

        Raises:
            ConfigError: If the token is too short.
        """
        credentials = credentials_of(token, "CacheManager.metrics")
        if workers:
            self._cache.workers.is_wanted = True
        pieces = all_written if workers else written
        return MetricsEndpoint(lambda form: pieces(self._cache, openmetrics=form), credentials)

    def register(self, registry: "CollectorRegistry | None" = None) -> MetricsCollector:
        """Add the figures to a registry of `prometheus_client`, which then shows them with its own.

        It reads when it is collected, from whichever thread does that.

        Args:
            registry: The registry; None for the default one.

        Returns:
            What was registered, for `registry.unregister`.

        Raises:
            ConfigError: If `prometheus_client` is not installed (extra `prometheus`), or the
                registry has figures of a cache already.
        """
        into = default_registry() if registry is None else registry
        collector = MetricsCollector(partial(watched, self._cache))
        try:
            into.register(collector)
        except ValueError:
            raise ConfigError(
                "metrics.register(): the registry has figures of a cache, whose names are the same;"
                " unregister that one, or give this cache a CollectorRegistry() of its own"
            ) from None
        return collector

    def text(self, *, openmetrics: bool = False) -> str:
        """All figures of this process, now.

        Args:
            openmetrics: In the format OpenMetrics 1.0, instead of Prometheus's 0.0.4.
        """
        look_at_hits(self._cache)
        return "".join(lines_of(self._cache, openmetrics=openmetrics, worker=None))

    def json(self, route: str | None = None) -> dict[str, Any]:
        """The statistics of this process, as JSON can express them.

        `total` and each of `routes` have numbers by outcome, durations with their mean and
        quantiles, and what hits have saved; `tiers`, `log` and the rest are as in `CacheStats` and
        `InvalidationStats`.

        Args:
            route: The only route that is wanted; None for all.
        """
        return process_json(self._cache, route)

    async def host_json(self, route: str | None = None) -> dict[str, Any]:
        """The same, summed over the workers of this machine.

        Of what has no sum, the worst counts (lag, trust, circuit breakers); the log's position is
        this process's. `workers` says which have answered.

        Args:
            route: The only route that is wanted; None for all.
        """
        return await host_json(self._cache, route)

    def hot(self, limit: int = 20, *, reveal: bool = False) -> dict[str, Any]:
        """The keys of this process that are asked for most, of a few hits that were looked at.

        Looking begins with the first call and ends two minutes after the last one, or after the
        last scrape.

        Args:
            limit: How many.
            reveal: Whether their paths are told, which may name users.

        Returns:
            `samples`, how many hits were looked at lately (0: ask again in a second), and `keys`:
            of each its `digest`, which is its name in shared tiers, its `route`, the `share` of
            hits that it has at least, the `size` of its content in bytes, and its `path` or None.
        """
        return process_hot(self._cache, limit, reveal=reveal)

    async def host_hot(self, limit: int = 20, *, reveal: bool = False) -> dict[str, Any]:
        """The same of all workers of this machine. Of a share, a busy worker's hits weigh more.

        Args:
            limit: How many.
            reveal: Whether their paths are told, which may name users.
        """
        return await host_hot(self._cache, limit, reveal=reveal)
