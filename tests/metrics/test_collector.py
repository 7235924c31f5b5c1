"""The figures in a registry of prometheus_client: the same as in the text."""

import sys

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from asgi_multitier import CacheManager, Rule
from asgi_multitier.errors import ConfigError
from tests.metrics.test_text import figures
from tests.support import Origin, caching


async def test_a_registry_shows_what_the_text_shows() -> None:
    """And its own figures with it; what is taken out again is gone."""
    registry = CollectorRegistry()
    Counter("own", "Of the application.", registry=registry).inc()
    async with caching(Origin(), [Rule("/a*", 60), Rule("/b*", None)]) as cache:
        collector = cache.manager.metrics.register(registry)
        for path in ("/a", "/a", "/b"):
            await cache.get(path)
        text = generate_latest(registry).decode()
        found = figures(text_string_to_metric_families(text))
        own = figures(text_string_to_metric_families(cache.manager.metrics.text()))
        registry.unregister(collector)

    assert found.pop(("own_total", frozenset())) == 1
    found = {key: value for key, value in found.items() if not key[0].endswith("_created")}
    assert found == {key: value for key, value in own.items() if key[0] != "info"}
    assert b"asgi_multitier" not in generate_latest(registry)


async def test_a_second_cache_has_no_place_in_the_same_registry() -> None:
    """Its figures would have the same names."""
    registry = CollectorRegistry()
    async with (
        CacheManager(redis_url=None, namespace="a") as one,
        CacheManager(redis_url=None, namespace="b") as other,
    ):
        one.metrics.register(registry)
        with pytest.raises(ConfigError, match="has figures of a cache"):
            other.metrics.register(registry)


async def test_without_the_package_the_message_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the scrape of one's own needs it not."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with CacheManager(redis_url=None, namespace="a") as manager:
        with pytest.raises(ConfigError, match=r"asgi-multitier\[prometheus\], or mount"):
            manager.metrics.register()
        assert "asgi_multitier_requests_total" in manager.metrics.text()


async def test_the_default_registry_is_that_of_the_package() -> None:
    """As its own metrics take it."""
    import prometheus_client

    async with CacheManager(redis_url=None, namespace="a") as manager:
        collector = manager.metrics.register()
        try:
            assert b"asgi_multitier_log_trusted 1.0" in generate_latest()
        finally:
            prometheus_client.REGISTRY.unregister(collector)


async def test_it_reads_the_cache_as_it_is_when_it_is_asked() -> None:
    """A cache may get other parts, as between tests: the figures are theirs."""
    registry = CollectorRegistry()
    async with CacheManager(redis_url=None, namespace="a") as manager:
        manager.metrics.register(registry)
        manager.engine.events.fills = 1
        other = CacheManager(redis_url=None, namespace="b").engine
        manager._engine = other
        other.events.fills = 7
        assert b"asgi_multitier_fills_total 7.0" in generate_latest(registry)
