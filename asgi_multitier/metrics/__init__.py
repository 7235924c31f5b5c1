"""Figures for those who watch: one table of meters, and what reads it.

`meters` is the table, `text` writes it in the formats of Prometheus, `endpoint` answers a scrape,
`collector` is for a registry of the user's own, `otel` for OpenTelemetry, `report` makes JSON of
the same counters, `hot` tells the keys that are asked for most, `host` asks the other
workers of the machine, `metrics` is what a manager has of all this.
"""

from .endpoint import MetricsEndpoint
from .host import answer_workers
from .meters import METERS, PREFIX, Meter
from .metrics import Metrics
from .otel import instrument

__all__ = [
    "METERS",
    "PREFIX",
    "Meter",
    "Metrics",
    "MetricsEndpoint",
    "answer_workers",
    "instrument",
]
