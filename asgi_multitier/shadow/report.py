"""The report: what was found of all routes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .found import Cause, Finding, RouteReport
from .text import text_of

__all__ = ["Cause", "Finding", "Report", "RouteReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found.

    Attributes:
        routes: By route: those with most wrong answers first, then by seconds saved.
    """

    routes: tuple[RouteReport, ...] = ()

    def as_json(self) -> Mapping[str, Any]:
        """It, ready for JSON."""
        return {"routes": [one.as_json() for one in self.routes]}

    def text(self) -> str:
        """It, for a terminal."""
        return text_of(self.routes)
