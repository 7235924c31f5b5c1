"""Traces with OpenTelemetry: what a cache says of itself in spans, where a user has asked for it.

OpenTelemetry is imported by `instrument` and by nothing else, so what begins spans is None until
`CacheManager.instrument` was called. No call in this folder raises: where OpenTelemetry fails, that
is counted.

    instrument  imports OpenTelemetry
    attributes  the names of all attributes
    traces      spans, and attributes of a request's own span
    runs        the span of one run of an origin
    remote      how a span is named to another process
    asking      for whom a task is that belongs to several requests
    quiet       the context of tasks that belong to no request
"""

from .instrument import Tracing, tracing
from .quiet import background, silence

__all__ = ["Tracing", "background", "silence", "tracing"]
