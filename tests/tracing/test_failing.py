"""Where OpenTelemetry fails, requests are answered as if it were not there, and it is counted."""

import asyncio
import logging
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import NoOpTracerProvider, TracerProvider

from asgi_multitier import Rule
from asgi_multitier.tracing.traces import Traces
from tests.support import Cache, Origin, caching, settled
from tests.tracing.support import Seen

RULES = (Rule("/swr", 10, stale_while_revalidate=60), Rule("/*", 60))


class Broken(SpanProcessor):
    """A processor that raises at the beginning or the end of each span of a cache."""

    def __init__(self, when: str) -> None:
        self._when = when

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if self._when == "start" and span.name.startswith("cache "):
            raise RuntimeError("on_start")

    def on_end(self, span: ReadableSpan) -> None:
        if self._when == "end" and span.name.startswith("cache "):
            raise RuntimeError("on_end")


class Refusing:
    """A provider whose tracers begin no span."""

    def get_tracer(self, *_: object, **__: object) -> "Refusing":
        return self

    def start_span(self, *_: object, **__: object) -> Any:
        raise RuntimeError("start_span")


async def everything(cache: Cache, origin: Origin, seen: Seen) -> list[str]:
    """Fills, a wait, a refresh and an invalidation; what clients are answered."""
    origin.gate.clear()

    async def get(path: str) -> str:
        with seen.request():
            return (await cache.get(path)).body.decode()

    tasks = [asyncio.create_task(get("/swr")) for _ in range(2)]
    await settled()
    cache.clock.advance(1)
    origin.gate.set()
    answers = await asyncio.gather(*tasks)
    cache.clock.advance(20)
    answers.append(await get("/swr"))
    await settled()
    answers.append(await get("/swr"))
    await cache.client.request("PUT", "/swr")
    answers.append(await get("/swr"))
    await settled()
    return answers


EXPECTED = ["1", "1", "1", "2", "4"]


@pytest.mark.parametrize("when", ["start", "end", "never"])
async def test_a_processor_that_raises(when: str, caplog: pytest.LogCaptureFixture) -> None:
    """What clients are answered does not depend on it; one line says so, a counter how often."""
    origin, seen = Origin(), Seen()
    seen.provider.add_span_processor(Broken(when))
    async with caching(origin, RULES) as cache:
        cache.manager.instrument(tracer_provider=seen.provider, metrics=False)
        assert await everything(cache, origin, seen) == EXPECTED
        counted = cache.manager.stats().failures.get("tracing", 0)

    assert counted == (0 if when == "never" else 6)
    lines = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines == (
        []
        if when == "never"
        else [f"tracing: RuntimeError: on_{when}; traces are without some spans of the cache"]
    )


async def test_a_provider_that_begins_no_span() -> None:
    """As above."""
    origin, seen = Origin(), Seen()
    provider: Any = Refusing()
    async with caching(origin, RULES) as cache:
        cache.manager.instrument(tracer_provider=provider, metrics=False)
        assert await everything(cache, origin, seen) == EXPECTED
        assert cache.manager.stats().failures["tracing"] == 6


@pytest.mark.parametrize("provider", [None, NoOpTracerProvider()], ids=["none", "no-op"])
async def test_without_an_sdk(provider: TracerProvider | None) -> None:
    """Nothing is shown, and nothing fails."""
    origin, seen = Origin(), Seen()
    async with caching(origin, RULES) as cache:
        cache.manager.instrument(tracer_provider=provider, metrics=False)
        assert await everything(cache, origin, seen) == EXPECTED
        assert "tracing" not in cache.manager.stats().failures
    assert seen.own == []


async def test_a_span_that_takes_nothing() -> None:
    """One that raises at each attribute and event: the run ends all the same."""
    origin, seen = Origin(), Seen()

    class Mute(Broken):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            span.set_attributes = span.add_event = span.set_status = fail

    def fail(*_: object) -> None:
        raise RuntimeError("no more")

    seen.provider.add_span_processor(Mute("never"))
    async with caching(origin, RULES) as cache:
        cache.manager.instrument(tracer_provider=seen.provider, metrics=False)
        assert await everything(cache, origin, seen) == EXPECTED
        assert cache.manager.stats().failures["tracing"] > 6
    assert len([span for span in seen.own if span.name.startswith("cache fill")]) == 2


@pytest.mark.parametrize("call", ["get_span_context", "is_recording", "set_attributes"])
async def test_a_span_of_which_something_raises_is_ended(call: str) -> None:
    """None is left open, whatever of it has failed."""
    origin, seen = Origin(), Seen()
    begun: list[Any] = []

    class Failing(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if span.name.startswith("cache "):
                begun.append(span)
                setattr(span, call, fail)

    def fail(*_: object) -> Any:
        raise RuntimeError("no more")

    seen.provider.add_span_processor(Failing())
    async with caching(origin, RULES) as cache:
        cache.manager.instrument(tracer_provider=seen.provider, metrics=False)
        assert await everything(cache, origin, seen) == EXPECTED
    assert len(begun) > 3
    assert all(span.end_time is not None for span in begun)
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("call", ["is_recording", "set_attributes"])
async def test_a_wait_and_a_round_trip_end_too(call: str) -> None:
    """Also where what went wrong is to be told."""
    seen = Seen()
    begun: list[Any] = []

    class Failing(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            begun.append(span)
            setattr(span, call, fail)

    def fail(*_: object) -> Any:
        raise RuntimeError("no more")

    failures: list[Exception] = []
    with seen.request():
        seen.provider.add_span_processor(Failing())
        tracer = seen.provider.get_tracer("t")
        traces = Traces(tracer, "test", failures.append, round_trips=True)
        traces.joined("/a", None, 1.0, "error")
        with pytest.raises(KeyError), traces.trip("get", "redis", 2):
            raise KeyError("a")

    assert [span.name for span in begun] == ["cache wait /a", "cache get redis"]
    assert all(span.end_time is not None for span in begun)
    assert len(failures) == 2
