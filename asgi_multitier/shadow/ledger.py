"""Takes observations and edits, and makes the report."""

from dataclasses import replace
from typing import Final

from .observation import Edit, Observation
from .report import Report, RouteReport

BYTES: Final = 32 << 20
"""Bytes that a ledger may take, unless it is told otherwise."""


class Ledger:
    """What was observed, in a bounded number of bytes.

    It has no clock: times come with what it is told. It is not safe in several threads.
    """

    def __init__(self, limit: int = BYTES) -> None:
        """An empty ledger.

        Args:
            limit: Bytes that it may take.
        """
        self._limit = limit
        self._routes: dict[str, RouteReport] = {}

    def observed(self, one: Observation) -> None:
        """A request was answered."""
        served = one.served
        seconds = one.ended - one.began
        before = self._routes.get(one.route) or RouteReport(route=one.route)
        self._routes[one.route] = replace(
            before,
            requests=before.requests + 1,
            hits=before.hits + (served is not None),
            origin_seconds=before.origin_seconds + seconds,
            saved_seconds=before.saved_seconds + (seconds if served is not None else 0.0),
            saved_bytes=before.saved_bytes + (served.size if served is not None else 0),
            wrong=before.wrong + (served is not None and served.digest != one.answer.digest),
        )

    def edited(self, edit: Edit) -> None:
        """A mutation was answered."""

    def report(self) -> Report:
        """What was found so far."""
        ranked = sorted(self._routes.values(), key=lambda one: (-one.wrong, -one.saved_seconds))
        return Report(routes=tuple(ranked))

    def clear(self) -> None:
        """Forget everything."""
        self._routes.clear()
