"""A rule's `vary_by`, where it can be asked before a request goes the general way."""

from asyncio.events import _get_running_loop as loop_here
from inspect import isawaitable
from types import CoroutineType
from typing import Any

from .._types import Scope
from ..manager.manager import CacheManager
from ..policy.partition import partition_part
from .kept_plan import KeptPlan
from .lifespan import give_state

_AT_ONCE = frozenset((str, bytes, int, type(None)))
"""Types of most partitions, which are asked sooner than whether they can be awaited."""


class Asked:
    """What a rule's `vary_by` has returned or raised for a request: it is called once for each.

    Called as `vary_by`, it does the same again.
    """

    __slots__ = ("_error", "_value")

    def __init__(self, value: Any, error: Exception | None = None) -> None:
        self._value = value
        self._error = error

    def __call__(self, _request: Any) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    @property
    def partition(self) -> bytes | None:
        """Whose copy the request gets; None if it gets none."""
        return None if self._value is None else partition_part(self._value)


def ask(plan: KeptPlan, scope: Scope, manager: CacheManager) -> Asked | None:
    """Ask the rule's `vary_by`, if it has one that can be asked here."""
    common = plan.common
    kind = common.kind()
    if not common.asks or kind is None or manager.home.place is not loop_here():
        return None
    give_state(scope, manager)
    try:
        value = kind.ask(plan, scope)
    except Exception as error:  # noqa: BLE001  # a callable of the rule
        return Asked(None, error)
    if type(value) not in _AT_ONCE and isawaitable(value):
        common.asks = common.prompt = False  # the general way asks from here on
        if isinstance(value, CoroutineType):
            value.close()
        return None
    return Asked(value)
