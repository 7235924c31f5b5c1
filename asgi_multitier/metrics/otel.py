"""The figures as instruments of OpenTelemetry (extra `otel`): read when they are exported.

They are of the same table as all other figures. There is no histogram that is read when it is
exported, so of each there are its sum and its count; nothing is recorded on a hit, or at any other
time.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from .._about import __version__
from ..engine.engine import Engine
from ..errors import ConfigError
from ..events import Durations, Histogram
from .host import Measured, watched
from .meters import METERS, Meter, Value

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

NAME = "asgi_multitier"

_GROUPS = ("hit", "log", "run", "tier", "wait")
"""First words of names that stand apart."""

_UNITS = {
    "requests_total": "{request}",
    "passes_total": "{request}",
    "shadow_total": "{request}",
    "requests_waiting": "{request}",
    "tier_hits_total": "{request}",
    "invalidations_total": "{change}",
    "fills_total": "{run}",
    "refreshes_total": "{run}",
    "refused_total": "{run}",
    "runs_in_flight": "{run}",
    "validations_total": "{entry}",
    "unused_total": "{entry}",
    "encoded_total": "{response}",
    "not_encoded_total": "{response}",
    "audits_total": "{request}",
    "audits_skipped_total": "{request}",
    "failures_total": "{failure}",
    "tier_writes_total": "{entry}",
    "tier_promotions_total": "{entry}",
    "tier_unreadable_total": "{entry}",
    "tier_entries": "{entry}",
    "tier_limit_entries": "{entry}",
    "tier_evictions_total": "{entry}",
    "tier_refused_total": "{entry}",
    "tier_failures_total": "{operation}",
    "tier_breaker_state": "1",
    "log_records_total": "{record}",
    "log_behind_records": "{record}",
    "log_position": "{record}",
    "log_selectors_total": "{selector}",
    "log_forgotten_total": "{selector}",
    "log_queued": "{selector}",
    "log_index_selectors": "{selector}",
    "log_gaps_total": "{gap}",
    "log_flushes_total": "{flush}",
    "log_errors_total": "{error}",
    "log_overflows_total": "{overflow}",
    "log_trusted": "1",
}
"""Units in UCUM of what is neither seconds nor bytes."""

_ADDS_UP = {
    "runs_in_flight", "requests_waiting", "tier_entries", "tier_bytes", "tier_limit_bytes",
    "tier_limit_entries", "log_queued",
}  # fmt: skip
"""Gauges of which the sum over processes says something."""


def name_of(meter: Meter) -> str:
    """Its name, in groups."""
    name = meter.name.removesuffix("_total").removesuffix("_seconds")
    group, _, rest = name.partition("_")
    name = f"{group}.{rest}" if group in _GROUPS else name
    return f"{NAME}.{name.replace('_duration', '.duration')}"


def unit_of(meter: Meter) -> str:
    """Its unit, in UCUM."""
    if "_bytes" in meter.name:
        return "By"
    return "s" if meter.name.endswith("_seconds") else _UNITS[meter.name]


def instrument(provider: "MeterProvider | None", cache: Measured) -> None:
    """Make the instruments.

    Args:
        provider: Where; None for the global one.
        cache: The cache. Its namespace is an attribute of all that is observed.

    Raises:
        ConfigError: If the API of OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.metrics import get_meter
    except ModuleNotFoundError as error:
        raise ConfigError(
            "CacheManager.instrument needs opentelemetry-api: install asgi-multitier[otel]"
        ) from error
    always = {"namespace": cache.namespace}
    engine = partial(watched, cache)
    # A scope of its own: a second instrument of the same name is not asked.
    made = get_meter(NAME, __version__, meter_provider=provider, attributes=always)
    for meter in METERS:
        name, unit = name_of(meter), unit_of(meter)
        if meter.kind == "histogram":
            seen = _observing(meter, engine, always, _sum)
            made.create_observable_counter(f"{name}.sum", [seen], unit, meter.help)
            seen = _observing(meter, engine, always, _count)
            made.create_observable_counter(f"{name}.count", [seen], "1", meter.help)
        else:
            create: Callable[..., object] = made.create_observable_gauge
            if meter.kind == "counter":
                create = made.create_observable_counter
            elif meter.name in _ADDS_UP:
                create = made.create_observable_up_down_counter
            create(name, [_observing(meter, engine, always, _number)], unit, meter.help)


def _observing(
    meter: Meter,
    engine: Callable[[], Engine],
    always: dict[str, str],
    read: Callable[[Any], float],
) -> "Callable[[CallbackOptions], Iterator[Observation]]":
    from opentelemetry.metrics import Observation

    def observed(_: "CallbackOptions") -> "Iterator[Observation]":
        for labels, value in meter.read(engine()):
            attributes = {**always, **dict(zip(meter.labels, labels, strict=True))}
            yield Observation(read(value), attributes)

    return observed


def _number(value: Value) -> float:
    assert not isinstance(value, Histogram | Durations)  # noqa: S101  # the meter says so
    return int(value) if isinstance(value, bool) else value


def _sum(value: Any) -> float:
    return float(value.seconds)


def _count(value: Any) -> float:
    return float(sum(value.counts))
