"""Where OpenTelemetry is imported, once a user wants spans."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from ..errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from .traces import Traces

NAME = "asgi_multitier"

Tracing: TypeAlias = Callable[[str, Callable[[Exception], None]], "Traces"]
"""Makes the spans of a cache of its namespace, and of what counts that OpenTelemetry has failed."""


def tracing(provider: "TracerProvider | None", version: str, *, round_trips: bool) -> Tracing:
    """What makes spans from here on.

    Args:
        provider: Where; None for the global one.
        version: Of this package.
        round_trips: Whether round trips to shared tiers have spans.

    Raises:
        ConfigError: If the API of OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.trace import get_tracer

        from .traces import Traces
    except ModuleNotFoundError as error:
        raise ConfigError(
            "CacheManager.instrument needs opentelemetry-api: install asgi-multitier[otel]"
        ) from error
    return partial(Traces, get_tracer(NAME, version, provider), round_trips=round_trips)
