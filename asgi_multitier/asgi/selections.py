"""What requests that are not plain select, as far as it was found out."""

from collections.abc import Sequence

from .._types import Header, Scope
from ..policy.request import FieldLines, Watch
from .kept_plan import KeptPlan
from .selected import Last, Selected, Selecting
from .selecting import choosing_lines, selecting
from .shared_fields import SharedFields
from .two_generation_cache import TwoGenerationCache

_LONGEST = 4096
"""Bytes of the longest fields of which it is remembered what they select."""

_LONGEST_LAST = 512
"""The same for the fields that each plan has at hand."""


class Selections:
    """Remembers what requests select, within bounds.

    Args:
        max_entries: Entries of the first tier.
        max_bytes: Its bytes.
        watch: Which request fields matter.

    Attributes:
        remembered: What they select, by what counts of them.
    """

    __slots__ = ("_shared", "_watch", "remembered")

    def __init__(self, max_entries: int, max_bytes: int, watch: Watch) -> None:
        self.remembered: TwoGenerationCache[Selecting, Selected] = TwoGenerationCache(
            2 * max_entries, max_bytes // 8, _size_of
        )
        self._shared = SharedFields()
        self._watch = watch

    def learn(
        self,
        plan: KeptPlan,
        found: FieldLines,
        scope: Scope,
        partition: bytes | None,
        selected: Selected | None,
    ) -> None:
        """The general way has found out what a request selects.

        Args:
            plan: The plan of its target.
            found: What the scan found in its fields, with all cookies.
            scope: The request.
            partition: What the rule's `vary_by` has returned, as `partition_part` gives it.
            selected: What it selects; None if nothing in memory has answered it: the first that is
                answered by what was stored for it will find that out (see `first_hit`).
        """
        if selected is None:
            plan.stored = True
            return
        if not plan.common.prompt or (partition is not None) is not plan.common.asks:
            return
        common = plan.chosen_by(selected.fields)
        if (common.alone or common.by_coding) and common.not_selecting.issuperset(found):
            return  # it selects what its target does
        lines: Sequence[Header] = ()
        if plan.common.fields:
            lines = choosing_lines(plan, scope["headers"], spelt=self._watch.spelt)
        counts = selecting(plan, found, lines, partition)
        size = _LONGEST + 1 if counts is None else _text_of(counts)
        if counts is None or size > _LONGEST:
            return
        self.remembered.remember(counts, selected)
        if size <= _LONGEST_LAST:
            given = self._shared.found(found, common.not_selecting)
            plan.last = Last(given, self._shared.lines(lines), partition, counts, selected)


_SELECTED_BYTES = 900
"""Bytes that what is remembered of a request takes besides its texts, with a marker that may be in
the tier no more."""


def _size_of(counts: Selecting) -> int:
    return _SELECTED_BYTES + 3 * _text_of(counts)


def _text_of(counts: object) -> int:
    """Bytes of the texts in it."""
    if isinstance(counts, tuple):
        return sum(map(_text_of, counts))
    return len(counts) if isinstance(counts, str | bytes) else 0
