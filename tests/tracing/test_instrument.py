"""The door: `CacheManager.instrument`, for figures and spans."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from asgi_multitier import CacheManager
from asgi_multitier.errors import ConfigError
from asgi_multitier.tracing import attributes as names_of
from asgi_multitier.tracing.remote import read, written
from tests.support import Origin, caching, settled
from tests.tracing.support import Seen, attributes


@pytest.mark.parametrize("metrics", [True, False])
@pytest.mark.parametrize("traces", [True, False])
async def test_one_call_for_both(metrics: bool, traces: bool) -> None:
    """Each can be left out, but not both."""
    seen, reader = Seen(), InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    async with caching(Origin()) as cache:

        def instrument() -> None:
            cache.manager.instrument(provider, seen.provider, metrics=metrics, traces=traces)

        if not (metrics or traces):
            with pytest.raises(ConfigError, match="metrics=False is not allowed"):
                instrument()
        else:
            instrument()
        await cache.get("/a")
        await settled()
        assert bool(seen.own) == traces
        assert (reader.get_metrics_data() is not None) == metrics
    provider.shutdown()


async def test_it_may_be_called_before_and_after_the_cache_has_begun() -> None:
    """Also where its parts are replaced afterwards, as tests do."""
    seen = Seen()
    async with caching(Origin()) as cache:
        await cache.get("/a")
        cache.manager.instrument(tracer_provider=seen.provider, metrics=False)
        await cache.get("/b")
        await settled()
        cache.manager.renew(cache.manager._backends, patience=0.0)
        await cache.get("/c")
        await settled()
    assert len(seen.own) == 2


async def test_two_caches_are_told_apart() -> None:
    """By their namespace."""
    seen = Seen()
    for name in ("one", "two"):
        async with caching(Origin(), namespace=name) as cache:
            cache.manager.instrument(tracer_provider=seen.provider, metrics=False)
            await cache.get("/a")
            await settled()
    assert [attributes(span)["namespace"] for span in seen.own] == ["one", "two"]


def test_without_the_package_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for every extra."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    with pytest.raises(ConfigError, match=r"asgi-multitier\[otel\]"):
        CacheManager(redis_url=None, namespace="n").instrument(metrics=False)


_RUN = """
import asyncio, sys
sys.modules["opentelemetry"] = None
from asgi_multitier import CacheManager, CacheMiddleware, Rule

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})

async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}

async def send(message):
    pass

async def main():
    async with CacheManager(redis_url=None, namespace="n", workers=False) as cache:
        asked = CacheMiddleware(app, cache, rules=[Rule("*", 60)])
        for method in ("GET", "GET", "PUT"):
            await asked({
                "type": "http", "method": method, "path": "/", "raw_path": b"/",
                "query_string": b"", "headers": [(b"host", b"a")], "scheme": "http",
                "http_version": "1.1", "root_path": "",
            }, receive, send)
        print(cache.stats().fills)

asyncio.run(main())
print([name for name in sys.modules if "tracing." in name])
"""


@pytest.mark.no_cover
def test_without_a_call_nothing_is_imported() -> None:
    """Neither by a fill, nor a hit, nor a change: they need no OpenTelemetry."""
    told = subprocess.run([sys.executable, "-c", _RUN], capture_output=True, text=True, check=True)
    fills, imported = told.stdout.splitlines()
    assert fills == "1"
    assert "traces" not in imported


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0123456789abcdef",
        TRACEPARENT.upper(),
        TRACEPARENT + "-00",
        TRACEPARENT + "\n",
        " " + TRACEPARENT,
        TRACEPARENT.replace("00-", "01-", 1),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        "\ud800",
        "x" * 1_000_000,
    ],
)
def test_what_is_no_span_of_another_process(text: str) -> None:
    """What lies in Redis is no proof of anything."""
    assert read(text) is None


def test_a_span_of_another_process_is_read_as_written() -> None:
    """In the form of W3C Trace Context."""
    found: Any = read(TRACEPARENT)
    assert found.is_remote
    assert written(found) == TRACEPARENT
    assert written(read(TRACEPARENT[:-1] + "0")) == ""  # type: ignore[arg-type]


def test_the_guide_has_each_attribute() -> None:
    """Its table, and what the code can tell."""
    names = {value for name, value in vars(names_of).items() if name.isupper()}
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "tracing.md").read_text()
    told = set(re.findall(r"^\| `(asgi_multitier\.[\w.]+)` \|", guide, re.MULTILINE))

    assert told == names
