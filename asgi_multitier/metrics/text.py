"""Figures as text: the exposition formats of Prometheus 0.0.4 and OpenMetrics 1.0."""

from collections.abc import AsyncIterator, Iterable, Iterator
from platform import python_version
from typing import TypeAlias

from ..engine.engine import Engine
from ..events import Durations, Histogram
from .meters import METERS, PREFIX, Labels, Meter, Value

Lines: TypeAlias = Iterator[str]

PLAIN = b"text/plain; version=0.0.4; charset=utf-8"

INFO_LABELS = ("namespace", "version", "release", "python", "l2")

_HELP = "# HELP "
_END = "# EOF\n"
_PIECE = 128 * 1024
"""Characters from which on a piece is sent: what is much longer is slow to copy."""

_UNANSWERED = "workers_unanswered"
_UNANSWERED_HELP = "Workers of this machine that did not answer this scrape."
OPEN = b"application/openmetrics-text; version=1.0.0; charset=utf-8"


def lines(
    engine: Engine, namespace: str, version: str, *, openmetrics: bool, worker: int | None = None
) -> Lines:
    """The lines of all meters, made one after the other: the caller may pause between two.

    Args:
        engine: The cache.
        namespace: Its namespace.
        version: Of this package.
        openmetrics: Whether they are OpenMetrics.
        worker: The number of this process among those of its machine, a label of all meters; None
            for no such label.
    """
    always = "" if worker is None else f'worker="{worker}"'
    yield _head("info", "gauge", "What runs.", openmetrics=openmetrics)
    l2 = next((placed.tier.name for placed in engine.stack.shared), "none")
    about = (namespace, version, engine.config.version, python_version(), l2)
    yield _line("info", INFO_LABELS, about, 1, always)
    for meter in METERS:
        yield _head(meter.name, meter.kind, meter.help, openmetrics=openmetrics)
        for labels, value in meter.read(engine):
            yield from _sample(meter, labels, value, always)
    if openmetrics:
        yield _END


async def in_pieces(made: AsyncIterator[str]) -> AsyncIterator[str]:
    """Lines as longer texts; heads, and the end, are texts of their own."""
    waiting: list[str] = []
    length = 0
    async for line in made:
        is_sample = not line.startswith("#")
        if waiting and (not is_sample or length >= _PIECE):
            yield "".join(waiting)
            waiting, length = [], 0
        if not is_sample:
            yield line
        else:
            waiting.append(line)
            length += len(line)
    if waiting:
        yield "".join(waiting)


def joined(texts: Iterable[Iterable[str]], unanswered: int, *, openmetrics: bool) -> Lines:
    """The text of several workers, each family with its head once.

    Args:
        texts: What each worker has written, in pieces, of the same format.
        unanswered: How many did not answer.
        openmetrics: Whether they are OpenMetrics.
    """
    families: dict[str, list[str]] = {}
    for text in texts:
        family: list[str] = []
        for piece in text:
            if piece.startswith(_HELP):
                # By its name: another release may say something else of the same family.
                family = families.setdefault(piece.split(" ", 3)[2], [piece])
            elif piece != _END:
                family.append(piece)
    for pieces in families.values():
        yield from pieces
    yield _head(_UNANSWERED, "gauge", _UNANSWERED_HELP, openmetrics=openmetrics)
    yield _line(_UNANSWERED, (), (), unanswered, "")
    if openmetrics:
        yield _END


def _head(name: str, kind: str, text: str, *, openmetrics: bool) -> str:
    # In OpenMetrics the family of a counter has no suffix.
    family = PREFIX + (name.removesuffix("_total") if openmetrics else name)
    return f"{_HELP}{family} {text}\n# TYPE {family} {kind}\n"


def _sample(meter: Meter, labels: Labels, value: Value, always: str) -> Iterator[str]:
    if isinstance(value, Histogram | Durations):
        yield from _histogram(meter, labels, value, always)
    else:
        yield _line(meter.name, meter.labels, labels, value, always)


def _histogram(
    meter: Meter, labels: Labels, value: Histogram | Durations, always: str
) -> Iterator[str]:
    name, pairs, total = f"{PREFIX}{meter.name}", _pairs(meter.labels, labels, always), 0
    inside = f"{pairs}," if pairs else ""
    for bound, count in zip((*value.bounds, "+Inf"), value.counts, strict=True):
        total += count
        yield f'{name}_bucket{{{inside}le="{bound}"}} {total}\n'
    around = f"{{{pairs}}}" if pairs else ""
    yield f"{name}_sum{around} {value.seconds}\n{name}_count{around} {total}\n"


def _line(name: str, names: Iterable[str], labels: Labels, value: float, always: str) -> str:
    pairs = _pairs(names, labels, always)
    shown = int(value) if isinstance(value, bool) else value
    return f"{PREFIX}{name}{{{pairs}}} {shown}\n" if pairs else f"{PREFIX}{name} {shown}\n"


def _pairs(names: Iterable[str], labels: Labels, always: str) -> str:
    pairs = [f'{key}="{_escaped(text)}"' for key, text in zip(names, labels, strict=True)]
    return ",".join([*pairs, always] if always else pairs)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
