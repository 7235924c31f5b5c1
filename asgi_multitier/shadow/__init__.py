"""What a cache would have answered, compared with what the application has answered. Pure.

- `observation`: what is told of a request, and of a mutation.
- `ledger`: takes both and keeps a bounded part of them: `record`, `keeping`, `edits`, `sums`.
- `judging`: the cause of each wrong answer. `explaining` looks for attributes of requests, `places`
  for what is never the same, `times` for mutations and lifetimes, `tags` for misspelt tags; `rows`
  is what they compare, and `bits` how evidence is counted.
- `findings`: what is told of it, with what to do: `remedies`, `annotations`, `proposals`.
- `found`: what was found of a route; `report`: of all, made by `reporting`, as `text` too.
"""

from .found import Cause, Finding, RouteReport
from .ledger import Ledger
from .observation import Answer, Edit, Observation, Traits
from .report import Report
from .reporting import Snapshot

__all__ = [
    "Answer",
    "Cause",
    "Edit",
    "Finding",
    "Ledger",
    "Observation",
    "Report",
    "RouteReport",
    "Snapshot",
    "Traits",
]
