"""What the first hit of a stored response selects: found out as the general way does, at once.

The general way has stored something for a target, and it is not known yet what selects it: to
remember that of each response that was ever stored would cost memory for those that are not asked
for again.
"""

from collections.abc import Callable
from typing import Any

from .._types import Scope
from ..entry import Slot, Variants
from ..policy.request import FieldLines
from ..routing import RouteTable
from .admission import refusal_of
from .plan import Plan
from .request import Request
from .request_key import request_key, visible
from .selected import Selected


def first_selected(
    plan: Plan,
    found: FieldLines | None,
    scope: Scope,
    partition: bytes | None,
    table: RouteTable,
    valid: Callable[[str], Slot | None],
) -> Selected | None:
    """What a request selects; None if it selects nothing in memory, or does not meet the cache.

    Args:
        plan: The plan of its target; it is `prompt`.
        found: What the scan found in its fields; `selecting` says what counts of that.
        scope: The request.
        partition: What the rule's `vary_by` has returned, as `partition_part` gives it.
        table: The routes and their rules.
        valid: What is stored under a key, if the log has not invalidated it.
    """
    seen = visible(plan.policy, found or {})
    if refusal_of(plan, seen, scope) is not None:
        return None
    request = Request(scope, seen, plan, table, _asks_nothing, _asks_nothing)
    request.primary = request_key(plan, request.headers, seen, partition)
    slot = valid(request.primary)
    payload = None if slot is None else slot.entry.payload
    if isinstance(payload, Variants):
        key = request.variant_key(payload.fields)
        selected = Selected(key, request.primary, payload.fields, request.accepts)
        slot = valid(key)
    else:
        selected = Selected(request.primary, codings=request.accepts)
    return None if slot is None else selected


def _asks_nothing(*_: Any) -> Any:
    """In place of the application: a hit does not ask it."""
    raise AssertionError("a hit asks nothing of the application")
