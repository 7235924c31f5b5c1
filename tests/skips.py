"""Why tests were skipped: the last line of a run."""

from collections import Counter
from collections.abc import Iterable, Sequence


def reason(where: object) -> str:
    """The reason in a report's `longrepr`, which is the place and the words."""
    words = where[2] if isinstance(where, Sequence) and len(where) == 3 else where
    return str(words).removeprefix("Skipped: ")


def line(reasons: Iterable[str]) -> str:
    """How many were skipped, and for which reasons, the most frequent first."""
    counted = Counter(reasons)
    if not counted:
        return "skipped: 0"
    told = "; ".join(f"{count} x {why}" for why, count in counted.most_common())
    return f"skipped: {counted.total()} ({told})"
