"""Spans that tests look at, as lines of text."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import Span, SpanContext

PREFIX = "asgi_multitier."


class Seen:
    """What one provider has exported.

    Args:
        sampler: Of the provider.

    Attributes:
        provider: The provider.
        tracer: For spans of the test's own.
        names: How the test calls spans that it has begun, by their id.
    """

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("test")

    @contextmanager
    def request(self, name: str = "request") -> Iterator[Span]:
        """A server's span, with no other around it."""
        token = attach(Context())
        try:
            with self.tracer.start_as_current_span(name) as span:
                yield span
        finally:
            detach(token)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All spans that have ended, in the order of their ends."""
        return self._exporter.get_finished_spans()

    @property
    def own(self) -> list[ReadableSpan]:
        """Those of caches."""
        return [span for span in self.spans if span.name.startswith("cache ")]

    def one(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span

    def called(self, context: SpanContext | None) -> str:
        """The name of a span; "-" for none."""
        if context is None:
            return "-"
        found = [span.name for span in self.spans if id_of(span.context) == id_of(context)]
        return found[0] if found else "?"

    def lines(self) -> list[str]:
        """Each span of a cache: name, parent, links, and what became of it."""
        return [self._line(span) for span in self.own]

    def _line(self, span: ReadableSpan) -> str:
        line = f"{span.name} < {self.called(span.parent)}"
        links = ", ".join(self.called(link.context) for link in span.links)
        told = attributes(span)
        words = [str(told[name]) for name in ("result", "reason", "error") if name in told]
        return line + (f" ~ {links}" if links else "") + (f": {' '.join(words)}" if words else "")


def id_of(context: SpanContext | None) -> tuple[int, int]:
    """What is the same of a span and of a link to it."""
    return (0, 0) if context is None else (context.trace_id, context.span_id)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """What is told of a span, all of it by the cache, under names without what they begin with."""
    told = dict(span.attributes or {})
    assert all(name.startswith(PREFIX) for name in told), told
    return {name.removeprefix(PREFIX): value for name, value in told.items()}


def events(span: ReadableSpan) -> list[str]:
    """The names of what has happened in a span."""
    return [event.name for event in span.events]


def unsampled() -> Seen:
    """A provider that records no trace whose root is not recorded, and no root."""
    return Seen(ParentBased(ALWAYS_OFF))


def span_here() -> Callable[[], Span]:
    """The current span, wherever it is asked."""
    return trace.get_current_span
