"""What a cache tells of itself: counters, the log, and whether its tiers answer."""

from dataclasses import replace
from typing import TYPE_CHECKING

from .._about import __version__
from ..coherence.log import InvalidationStats
from ..engine.health import Health, examine, examine_idle
from ..errors import ConfigError
from ..events import CacheStats, CompressionStats, TierStats
from ..metrics import Metrics, instrument
from ..streams import Streams
from ..tracing import tracing
from .explaining import Explaining
from .home import at_home
from .instances import Instances
from .reporting import Reporting
from .warm_up import WarmUp

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


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

    def instrument(
        self,
        meter_provider: "MeterProvider | None" = None,
        tracer_provider: "TracerProvider | None" = None,
        *,
        metrics: bool = True,
        traces: bool = True,
        round_trips: bool = False,
    ) -> None:
        """Have OpenTelemetry show what the cache does (extra `otel`): its figures, and spans.

        For each figure there is an observable instrument, which is read when it is exported. Spans
        are made of runs of the application, of waits for them and of invalidations, and none of
        hits.

        Args:
            meter_provider: Where figures are shown; None for the global one.
            tracer_provider: Where spans are made; None for the global one.
            metrics: Whether figures are shown; once for each cache.
            traces: Whether spans are made.
            round_trips: Whether each round trip to a shared tier has a span too, of those that are
                made for requests. Where redis-py is instrumented, it makes none of these itself.

        Raises:
            ConfigError: If the API of OpenTelemetry is not installed, or nothing is wanted.
        """
        if not (metrics or traces):
            allowed = "True for metrics= or traces=, or both"
            raise ConfigError.of("metrics", metrics, allowed, where="CacheManager.instrument")
        if traces:
            self._tracing = tracing(tracer_provider, __version__, round_trips=round_trips)
            if self._engine is not None:
                self._trace(self._engine)
        if metrics:
            instrument(meter_provider, self)

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
