"""What a cache would have answered, compared with what the application has answered. Pure.

- `observation`: what is told of a request, and of a mutation.
- `ledger`: takes both, keeps a bounded part of them, and makes the report.
- `report`: what was found, per route.
"""

from .ledger import Ledger
from .observation import Answer, Edit, Observation, Traits
from .report import Cause, Finding, Report, RouteReport

__all__ = [
    "Answer",
    "Cause",
    "Edit",
    "Finding",
    "Ledger",
    "Observation",
    "Report",
    "RouteReport",
    "Traits",
]
