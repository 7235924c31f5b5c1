"""What was slow to make stays: greedy dual size frequency.

A slot's worth is the seconds that its fill took, for each byte that it takes, times its uses. It is
added to the worth of what left last, so that whatever is not asked for leaves in the end.

"Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy", Cherkasova,
1998.
"""

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from typing import Final, TypeAlias

from ..entry import Slot
from .order import Part

_LEAST_COST: Final = 0.001
"""Seconds that every fill counts as: of what a shared tier brought, the fill is not known."""

_STEPS: Final = 100
"""Slots that are ranked again before one leaves whatever its uses."""

_STEP: Final = 16
"""Records that are tidied for one that is left behind."""

_LEAST: Final = 64
"""Records that may be left behind, however few slots there are."""

_Record: TypeAlias = tuple[float, int, str]
"""A worth, the slot's rank, which is the number of the record that counts, and its key."""


class Gdsf:
    """An order of leaving by what it costs to bring a slot back.

    Args:
        slots: The tier's slots by key.
    """

    __slots__ = ("_added", "_heap", "_level", "_rest", "_slots")

    def __init__(self, slots: Mapping[str, Slot]) -> None:
        self._slots = slots
        self._level = 0.0
        self._added = 0
        self._heap: list[_Record] = []
        self._rest: list[_Record] = []  # a heap as well, which is being tidied

    def admits(self, slot: Slot, *, short: bool) -> bool:  # noqa: ARG002  # see `Order`
        """Always: what is large for what it cost leaves soon."""
        return True

    def add(self, slot: Slot) -> bool:
        """Rank it; what it was used before counts."""
        entry = slot.entry
        worth = (1 + slot.uses) * max(entry.cost, _LEAST_COST) / max(slot.size, 1)
        self._added += 1
        slot.uses, slot.rank = 0, self._added
        heappush(self._heap, (self._level + worth, self._added, entry.key))
        return True

    def replace(self, old: Slot, slot: Slot) -> bool:  # noqa: ARG002
        """Rank the new one; the record of the other is left behind."""
        self._tidy()  # first: the tier has the other one still
        return self.add(slot)

    def resize(self, slot: Slot, size: int) -> bool:  # noqa: ARG002
        """It keeps its rank until it is ranked again."""
        return True

    def remove(self, slot: Slot, *, over: bool) -> None:  # noqa: ARG002
        """Its record is left behind."""
        slot.rank = 0
        self._tidy()

    def pop(self) -> str:
        """See `Order.pop`."""
        for _ in range(_STEPS):
            slot = self._lowest()
            if not slot.uses:
                break
            self.add(slot)
        else:
            slot = self._lowest()
        return slot.entry.key

    def clear(self) -> Iterable[Part]:
        """Forget all."""
        parts = self._heap, self._rest
        self._level, self._heap, self._rest = 0.0, [], []
        return parts

    @property
    def records(self) -> int:
        """Records of slots, and of some that are not there any more."""
        return len(self._heap) + len(self._rest)

    def _lowest(self) -> Slot:
        """Take the slot of the lowest rank out of the heaps."""
        while True:
            first = not self._rest or (self._heap and self._heap[0] <= self._rest[0])
            record = heappop(self._heap if first else self._rest)
            if self._stands(record):
                self._level = record[0]
                return self._slots[record[2]]

    def _stands(self, record: _Record) -> bool:
        slot = self._slots.get(record[2])
        return slot is not None and slot.rank == record[1]

    def _tidy(self) -> None:
        """Move some records to the other heap, if many of them are left behind."""
        if not self._rest and self.records > 2 * len(self._slots) + _LEAST:
            self._rest, self._heap = self._heap, self._rest
        for _ in range(min(_STEP, len(self._rest))):
            record = self._rest.pop()  # the last of a heap: the others are a heap still
            if self._stands(record):
                heappush(self._heap, record)
