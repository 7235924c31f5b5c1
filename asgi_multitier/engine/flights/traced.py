"""The span of a flight's run, from before any caller waits for it to its end."""

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any

from ...policy.key import storage_key
from ...tracing.attributes import KEY
from .flight import Flight

if TYPE_CHECKING:
    from ...tracing.traces import Traces


def begin_span(
    traces: "Traces | None", flight: Flight[Any], route: str, *, refresh: bool
) -> Context | None:
    """Begin the span, if there are spans.

    Args:
        traces: The spans of the cache; None if there are none.
        flight: The flight, whose span it is from here on.
        route: Its route.
        refresh: Whether it runs in the background.

    Returns:
        What the run's task is to run in; None for the context of its caller.
    """
    trace = None if traces is None else traces.run(route, "refresh" if refresh else "fill")
    if trace is None:
        return None
    if trace.recording:
        trace.tell({KEY: storage_key(flight.seed.key)})
    flight.trace = trace
    return trace.inside


def end_span(flight: Flight[Any], task: "asyncio.Task[None]") -> None:
    """The run has ended as its task has."""
    # The callers have the exception; read, asyncio does not log it as never retrieved.
    error = None if task.cancelled() else task.exception()
    if flight.trace is not None:
        flight.trace.end(error, cancelled=task.cancelled())
