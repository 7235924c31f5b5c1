"""What the span of a request is told of its answer, where it is no plain hit."""

from typing import TYPE_CHECKING

from ..engine.engine import Engine
from ..entry import Entry
from ..policy.key import storage_key
from ..tracing.attributes import AGE, KEY, OUTCOME, REASON, TIER, TTL

if TYPE_CHECKING:
    from ..tracing.runs import Told


def note(
    engine: Engine,
    outcome: str,
    entry: Entry | None = None,
    *,
    tier: int | None = None,
    reason: str | None = None,
) -> None:
    """Tell the current span, if it is recorded, how its request is answered.

    Args:
        engine: The cache.
        outcome: `"hit"`, `"pass"` or a value of `events.Outcome`.
        entry: What is stored of the answer.
        tier: The level of the tier that had it.
        reason: Why it passes by the cache, or why something stale is used.
    """
    traces = engine.events.traces
    if traces is None:
        return

    def told() -> "Told":
        known: dict[str, str | int | float | bool | None] = {
            OUTCOME: outcome,
            REASON: reason,
            TIER: tier,
        }
        if entry is not None:
            now = engine.clock()
            known[TTL] = round(entry.fresh_until - now, 3)
            known[AGE] = round(now - entry.created, 3)
            known[KEY] = storage_key(entry.key)
        return known

    traces.note(told)
