"""Audits of hits: the application answers some of them once more, and the two answers are compared.

- `made`: whether there is an auditor; the rest is loaded if there is.
- `auditor`: one audit from the choice to the verdict, and what follows from it.
- `asking`: the run of the application.
- `fills`: what is remembered of the requests that filled entries.
- `causes`: why a hit was wrong, as far as that can be told.
- `dropping`: what was wrong is dropped, not too often.
"""

from .made import auditor_of

__all__ = ["auditor_of"]
