"""Figures as text: the exposition formats of Prometheus 0.0.4 and OpenMetrics 1.0."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from ..engine.engine import Engine
from ..events import Durations, Histogram
from .meters import METERS, PREFIX, Labels, Meter, Value

Lines: TypeAlias = Iterator[str]

PLAIN = b"text/plain; version=0.0.4; charset=utf-8"
OPEN = b"application/openmetrics-text; version=1.0.0; charset=utf-8"


def lines(engine: Engine, namespace: str, version: str, *, openmetrics: bool) -> Lines:
    """The lines of all meters, made one after the other: the caller may pause between two.

    Args:
        engine: The cache.
        namespace: Its namespace.
        version: Of this package.
        openmetrics: Whether they are OpenMetrics.
    """
    yield from _head("info", "gauge", "What runs.", openmetrics=openmetrics)
    yield _line("info", ("namespace", "version"), (namespace, version), 1)
    for meter in METERS:
        yield from _head(meter.name, meter.kind, meter.help, openmetrics=openmetrics)
        for labels, value in meter.read(engine):
            yield from _sample(meter, labels, value)
    if openmetrics:
        yield "# EOF\n"


def _head(name: str, kind: str, text: str, *, openmetrics: bool) -> Iterator[str]:
    # In OpenMetrics the family of a counter has no suffix.
    family = PREFIX + (name.removesuffix("_total") if openmetrics else name)
    yield f"# HELP {family} {text}\n"
    yield f"# TYPE {family} {kind}\n"


def _sample(meter: Meter, labels: Labels, value: Value) -> Iterator[str]:
    if isinstance(value, Histogram | Durations):
        yield from _histogram(meter, labels, value)
    else:
        yield _line(meter.name, meter.labels, labels, value)


def _histogram(meter: Meter, labels: Labels, value: Histogram | Durations) -> Iterator[str]:
    names, total = (*meter.labels, "le"), 0
    for bound, count in zip((*value.bounds, "+Inf"), value.counts, strict=True):
        total += count
        yield _line(f"{meter.name}_bucket", names, (*labels, str(bound)), total)
    yield _line(f"{meter.name}_sum", meter.labels, labels, value.seconds)
    yield _line(f"{meter.name}_count", meter.labels, labels, total)


def _line(name: str, names: Iterable[str], labels: Labels, value: float) -> str:
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in zip(names, labels, strict=True))
    shown = int(value) if isinstance(value, bool) else value
    return f"{PREFIX}{name}{{{pairs}}} {shown}\n" if pairs else f"{PREFIX}{name} {shown}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
