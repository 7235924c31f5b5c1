"""How a span is named to another process: a `traceparent` of W3C Trace Context, version 00."""

import re

from opentelemetry.trace import SpanContext, TraceFlags

_FORM = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def written(context: SpanContext) -> str:
    """The text that names a span; "" for one that no trace shows."""
    if not (context.is_valid and context.trace_flags.sampled):
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def read(text: str) -> SpanContext | None:
    """The span that a text names; None if it names none."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid else None
