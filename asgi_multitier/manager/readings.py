"""What a cache tells of itself: counters, the log, and whether its tiers answer."""

from dataclasses import replace

from ..coherence.log import InvalidationStats
from ..engine.health import Health, examine, examine_idle
from ..events import CacheStats, CompressionStats, TierStats
from ..metrics import Metrics
from ..streams import Streams
from .explaining import Explaining
from .home import at_home
from .instances import Instances
from .reporting import Reporting
from .warm_up import WarmUp


class Readings(WarmUp, Explaining, Instances, Reporting):
    """Statistics and health of a cache. See `CacheManager`."""

    @property
    def streams(self) -> Streams:
        """Streams of this namespace.

        Raises:
            ConfigError: If there are neither streams of your own nor a Redis.
        """
        return self._backends.streams(self.namespace)

    def stats(self) -> CacheStats:
        """A frozen reading of all counters."""
        events = self.engine.events
        total = events.total()
        return CacheStats(
            routes=events.routes(),
            total=total,
            tiers=self.engine.stack.statistics(total.hits),
            fills=events.fills,
            refused=dict(events.refused),
            unused=dict(events.unused),
            refreshes=events.refreshes,
            failures=dict(events.failures),
            in_flight=self.engine.flights.running,
            validations=events.validations,
            compression=CompressionStats(
                made=dict(events.encoded),
                skipped=dict(events.not_encoded),
                saved=events.encoded_saved,
            ),
            invalidations=events.invalidations(),
        )

    @property
    def metrics(self) -> Metrics:
        """The figures of this process, for Prometheus and others.

        `app.mount("/metrics", cache.metrics(token=...))` answers a scrape; `cache.metrics.text()`
        is the same text for an endpoint of your own.
        """
        return Metrics(self)

    def tier_stats(self) -> tuple[TierStats, ...]:
        """One reading a tier, first tier first."""
        return self.stats().tiers

    def invalidation_stats(self) -> InvalidationStats:
        """What the log has done."""
        return self.engine.log.stats()

    @at_home
    async def health(self) -> Health:
        """Ask every tier whether it answers. Where the cache is off, nothing is opened for that."""
        if self.mode == "off" and not self.running:
            return examine_idle(self.engine, self.namespace, self.mode)
        await self.start()
        health = await examine(self.engine, self.namespace, self.mode)
        return replace(health, warm=self.warm_up_health)

    async def health_check(self) -> bool:
        """Whether the cache works; a shared tier that does not answer is tolerated."""
        return (await self.health()).healthy
