"""The figures as instruments of OpenTelemetry: the same as in the text."""

import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families

from asgi_multitier import CacheManager, Rule, __version__
from asgi_multitier.errors import ConfigError
from asgi_multitier.metrics import METERS, Meter
from asgi_multitier.metrics.otel import name_of, unit_of
from tests.metrics.test_text import figures
from tests.support import Origin, caching


def exported(reader: InMemoryMetricReader) -> dict[str, dict[str, Any]]:
    """What a reader is given, by namespace and name."""
    data = reader.get_metrics_data()
    assert data is not None
    (of_resource,) = data.resource_metrics
    found: dict[str, dict[str, Any]] = {}
    for one in of_resource.scope_metrics:
        assert (one.scope.name, one.scope.version) == ("asgi_multitier", __version__)
        namespace = str((one.scope.attributes or {})["namespace"])
        found[namespace] = {metric.name: metric for metric in one.metrics}
    return found


def points(metric: Any) -> dict[frozenset[tuple[str, str]], float]:
    """Values by attributes, without the namespace that all have."""
    found = {}
    for point in metric.data.data_points:
        attributes = dict(point.attributes)
        assert attributes.pop("namespace") == "test"
        found[frozenset(attributes.items())] = point.value
    return found


async def test_instruments_show_what_the_text_shows() -> None:
    """Of a histogram, its sum and its count."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    async with caching(Origin(), [Rule("/a*", 60), Rule("/b*", None)]) as cache:
        cache.manager.instrument(provider)
        for path in ("/a", "/a", "/b"):
            await cache.get(path)
        found = exported(reader)["test"]
        text = figures(text_string_to_metric_families(cache.manager.metrics.text()))
        assert cache.manager.engine.sampler.is_on
    provider.shutdown()

    for meter in METERS:
        suffixes = {"_sum": ".sum", "_count": ".count"} if meter.kind == "histogram" else {"": ""}
        for ours, theirs in suffixes.items():
            name = meter.name + ours
            expected = {labels: value for (told, labels), value in text.items() if told == name}
            metric = found.get(name_of(meter) + theirs)
            assert (points(metric) if metric is not None else {}) == expected, meter.name
    assert found["asgi_multitier.run.duration.sum"].unit == "s"
    assert found["asgi_multitier.tier.bytes"].data.is_monotonic is False
    assert found["asgi_multitier.requests"].data.is_monotonic is True


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.name)
def test_each_has_a_unit_and_a_name_of_its_own(meter: Meter) -> None:
    """The unit is not a part of the name, as it is with Prometheus."""
    assert unit_of(meter)
    assert name_of(meter).startswith("asgi_multitier.")
    assert not name_of(meter).endswith(("_total", "_seconds"))
    assert [name_of(other) for other in METERS].count(name_of(meter)) == 1


async def test_two_caches_are_told_apart() -> None:
    """By their namespace."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    for name in ("a", "b"):
        CacheManager(redis_url=None, namespace=name).instrument(provider)
    found = exported(reader)
    provider.shutdown()

    assert set(found) == {"a", "b"}
    for namespace, metrics in found.items():
        (point,) = metrics["asgi_multitier.fills"].data.data_points
        assert point.attributes == {"namespace": namespace}


def test_without_a_provider_it_is_the_global_one() -> None:
    """Which does nothing until an application sets one."""
    CacheManager(redis_url=None, namespace="n").instrument()


def test_without_the_package_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for every extra."""
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    with pytest.raises(ConfigError, match=r"asgi-multitier\[otel\]"):
        CacheManager(redis_url=None, namespace="n").instrument()


@pytest.mark.no_cover
def test_it_needs_neither_package() -> None:
    """Each is for those who use it."""
    code = (
        "import sys; sys.modules |= dict.fromkeys(('opentelemetry', 'prometheus_client'));"
        "from asgi_multitier import __version__, CacheManager;"
        "print('requests_total' in CacheManager(redis_url=None, namespace='n').metrics.text())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout == "True\n"
