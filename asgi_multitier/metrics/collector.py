"""The figures in a registry of `prometheus_client`, which a user may have (extra `prometheus`)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..engine.engine import Engine
from ..errors import ConfigError
from ..events import Durations, Histogram
from .meters import METERS, PREFIX, Meter

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.registry import CollectorRegistry


class MetricsCollector:
    """Reads all meters when the registry is collected. See `Metrics.register`.

    Args:
        engine: Gives the cache's parts, which are others after a renewal.
    """

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine

    def describe(self) -> "Iterable[Metric]":
        """The families without samples: the registry refuses names that it has already."""
        return [_family(meter) for meter in METERS]

    def collect(self) -> "Iterable[Metric]":
        """All families with their samples, now."""
        engine = self._engine()
        for meter in METERS:
            family: Any = _family(meter)
            for labels, value in meter.read(engine):
                if isinstance(value, Histogram | Durations):
                    family.add_metric(labels, _buckets(value), value.seconds)
                else:
                    family.add_metric(labels, float(value))
            yield family


def _family(meter: Meter) -> "Metric":
    from prometheus_client import core  # only for those who have a registry

    kind: Any = {
        "counter": core.CounterMetricFamily,
        "gauge": core.GaugeMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }[meter.kind]
    family: Metric = kind(PREFIX + meter.name, meter.help, labels=meter.labels)
    return family


def _buckets(value: Histogram | Durations) -> list[tuple[str, float]]:
    found, total = [], 0
    for bound, count in zip((*value.bounds, "+Inf"), value.counts, strict=True):
        total += count
        found.append((str(bound), float(total)))
    return found


def default_registry() -> "CollectorRegistry":
    """The registry that `prometheus_client` uses unless told otherwise.

    Raises:
        ConfigError: If that is not installed.
    """
    try:
        from prometheus_client import REGISTRY
    except ModuleNotFoundError as error:
        raise ConfigError(
            "CacheManager.metrics.register needs prometheus_client: install "
            "asgi-multitier[prometheus], or mount cache.metrics(), which needs nothing"
        ) from error
    return REGISTRY
