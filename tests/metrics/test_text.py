"""The text of a scrape: what parsers of both formats read in it is what was counted."""

import asyncio
import platform
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as open_parser
from prometheus_client.parser import text_string_to_metric_families

from asgi_multitier import CacheManager, Rule, __version__
from asgi_multitier.metrics import METERS, PREFIX
from asgi_multitier.testing import FakeClock
from tests.asgi.support import gathered
from tests.manager.support import SeenTier, over
from tests.support import Origin, caching

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]

FORMATS = [
    pytest.param(False, text_string_to_metric_families, id="0.0.4"),
    pytest.param(True, open_parser.text_string_to_metric_families, id="OpenMetrics"),
]


def figures(families: Iterable[Any]) -> Figures:
    """All samples, by name and labels; each stands there once."""
    found: Figures = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def figure(found: Figures, name: str, **labels: str) -> float:
    """One of them."""
    return found[name, frozenset(labels.items())]


@pytest.mark.parametrize(("openmetrics", "parse"), FORMATS)
async def test_what_was_counted_is_read(openmetrics: bool, parse: Callable[[str], Any]) -> None:
    """By route and outcome; durations by classes that add up; every meter has its family."""
    async with caching(Origin(), [Rule("/a*", 60), Rule("/b*", None)]) as cache:
        for path in ("/a", "/a", "/a", "/b", "/a2"):
            await cache.get(path)
        await cache.client.request("POST", "/a")
        text = cache.manager.metrics.text(openmetrics=openmetrics)
        families = list(parse(text))
        found = figures(families)

    def requests(route: str, outcome: str, tier: str = "") -> float:
        return figure(found, "requests_total", route=route, outcome=outcome, tier=tier)

    assert (requests("/a*", "hit", "1"), requests("/a*", "miss")) == (2, 2)
    assert (requests("/b*", "pass"), requests("/b*", "miss")) == (1, 0)
    assert figure(found, "passes_total", route="/b*", reason="no-cache-annotation") == 1
    assert figure(found, "run_duration_seconds_count", route="/a*") == 2
    assert figure(found, "run_duration_seconds_bucket", route="/a*", le="+Inf") == 2
    assert figure(found, "invalidations_total", route="/a*", by="url") == 1
    assert figure(found, "tier_hits_total", tier="1") == 2
    assert figure(found, "tier_writes_total", tier="1") == 2
    about = {"namespace": "test", "version": __version__, "release": "", "l2": "none"}
    assert figure(found, "info", python=platform.python_version(), **about) == 1
    names = {family.name for family in families}
    assert names == {PREFIX + meter.name for meter in METERS} | {PREFIX + "info"} or names == {
        PREFIX + meter.name.removesuffix("_total") for meter in METERS
    } | {PREFIX + "info"}


@pytest.mark.parametrize(("openmetrics", "parse"), FORMATS)
async def test_texts_of_the_application_are_escaped(
    openmetrics: bool, parse: Callable[[str], Any]
) -> None:
    """A path template may hold whatever a path may."""
    evil = 'a"} 1\n# EOF\n\\'
    async with CacheManager(redis_url=None, namespace="n") as manager:
        manager.engine.events.tally(f"/{evil}")
        found = figures(parse(manager.metrics.text(openmetrics=openmetrics)))

    assert figure(found, "requests_total", route=f"/{evil}", outcome="miss", tier="") == 0


def test_code_that_cannot_await_has_the_same() -> None:
    """For an endpoint of its own."""
    manager = CacheManager(redis_url=None, namespace="n")
    with manager.sync as cache:
        cache.set("a", 1, 60)
        found = figures(text_string_to_metric_families(cache.metrics.text()))

    assert figure(found, "tier_writes_total", tier="1") == 1


async def test_a_shared_tier_has_its_figures() -> None:
    """Round trips, failures, and whether its circuit breaker is open."""
    tier = SeenTier(clock := FakeClock())
    async with over(clock, tier) as manager:
        await manager.set("a", 1, 60)
        await manager.engine.stack.settle()
        tier.broken = True
        for number in range(3):
            await manager.get(f"absent {number}")
        found = figures(text_string_to_metric_families(manager.metrics.text()))

    assert figure(found, "tier_writes_total", tier="2") == 1
    assert figure(found, "tier_failures_total", tier="2", operation="get") == 3
    assert figure(found, "tier_breaker_state", tier="2") == 2
    count = "tier_operation_duration_seconds_count"
    assert figure(found, count, tier="2", operation="get") == 3
    assert figure(found, "tier_limit_bytes", tier="1") == 64 * 1024 * 1024


async def test_who_waits_for_a_run_is_counted() -> None:
    """The one that has begun it does not; when it is answered, no one waits."""
    origin = Origin()
    async with caching(origin) as cache:
        tasks = await gathered(cache, origin, 2)
        during = figures(text_string_to_metric_families(cache.manager.metrics.text()))
        origin.gate.set()
        await asyncio.gather(*tasks)
        after = figures(text_string_to_metric_families(cache.manager.metrics.text()))

    assert (figure(during, "requests_waiting"), figure(during, "runs_in_flight")) == (2, 1)
    assert (figure(after, "requests_waiting"), figure(after, "runs_in_flight")) == (0, 0)
