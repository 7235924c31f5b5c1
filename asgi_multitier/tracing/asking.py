"""Who has asked for what a task of the cache's own does, which belongs to several requests at once.

A round trip to a shared tier reads or writes for all requests of one turn of the event loop. Their
spans are noted when they ask.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span

MOST = 32
"""Spans that are noted for one round trip."""

_askers: ContextVar[Sequence["Span"]] = ContextVar("asgi_multitier_askers", default=())


def asked_by(askers: Sequence["Span"]) -> None:
    """The running task is for those who have these spans."""
    _askers.set(askers)


def askers() -> Sequence["Span"]:
    """The spans of those for whom the running task is."""
    return _askers.get()
