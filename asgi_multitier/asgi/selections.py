"""What requests that are not plain select, as far as it was found out."""

from collections.abc import Sequence

from .._types import Header
from .kept_plan import KeptPlan
from .layout import Layouts
from .selected import Last, Selected, Selecting
from .selecting import selecting
from .shared_fields import SharedFields
from .two_generation_cache import TwoGenerationCache
from .way import Way

_LONGEST = 4096
"""Bytes of the longest fields of which it is remembered what they select."""

_LONGEST_LAST = 512
"""The same for the fields that each plan has at hand."""


class Selections:
    """Remembers what requests select, within bounds.

    Args:
        max_entries: Entries of the first tier.
        max_bytes: Its bytes.
        layouts: What is known of the names of requests' fields.

    Attributes:
        remembered: What they select, by what counts of them.
    """

    __slots__ = ("_layouts", "_shared", "remembered")

    def __init__(self, max_entries: int, max_bytes: int, layouts: Layouts) -> None:
        self.remembered: TwoGenerationCache[Selecting, Selected] = TwoGenerationCache(
            2 * max_entries, max_bytes // 8, _size_of
        )
        self._shared = SharedFields()
        self._layouts = layouts

    def learn(
        self,
        plan: KeptPlan,
        headers: Sequence[Header],
        partition: bytes | None,
        selected: Selected | None,
    ) -> None:
        """The general way has found out what a request selects.

        Args:
            plan: The plan of its target.
            headers: Its field lines, as it came with them.
            partition: What the rule's `vary_by` has returned, as `partition_part` gives it.
            selected: What it selects; None if nothing in memory has answered it: the first that is
                answered by what was stored for it will find that out (see `first_hit`).
        """
        if selected is None:
            plan.stored = True
            return
        if not plan.common.prompt or (partition is not None) is not plan.common.asks:
            return
        way = Way(plan.chosen_by(selected.fields), self._layouts.of(headers))
        if way.by_target or way.by_coding or not way.at_once:
            return  # it selects what its target does, or nothing that its fields say
        counts = selecting(plan, way, headers, partition)
        size = _text_of(counts)
        if size > _LONGEST:
            return
        self.remembered.remember(counts, selected)
        if size <= _LONGEST_LAST:
            lines = None if way.take is None else self._shared.of(way.take(headers))
            plan.last = Last(lines, partition, counts, selected)


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
