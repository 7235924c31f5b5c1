"""What was asked for stays: S3-FIFO, three queues of which none is moved by a hit.

A slot comes into the small queue, which has a tenth of the bytes. If it was asked for by the time
it reaches the end, it goes to the main queue, else it leaves and its key is remembered for a while.
A key that comes back while it is remembered goes to the main queue at once. There, a slot goes
round once more for each use that was counted, up to three. So what is asked for once, as by a
crawler, never displaces what is in use.

"FIFO queues are all you need for cache eviction", Yang and others, SOSP 2023.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from ..entry import Slot
from .ghosts import Ghosts
from .key_queue import KeyQueue
from .order import Part

_SMALL, _MAIN = 0, 1
"""Ranks of slots: the queue that they are in."""

_SHARE: Final = 10
"""The small queue has one in so many bytes."""

_STEPS: Final = 500
"""Slots that go on to the main queue, or round in it, before one leaves whatever its uses: no
caller waits for all slots to go round."""

_LEAST_REMEMBERED: Final = 64
"""Keys that are remembered, however few slots there are."""

LARGE_SHARE: Final = 100
"""A slot that takes more than one in so many bytes is large ..."""

LARGE_BYTES: Final = 64 * 1024
"""... if it takes more than these as well: pages of a usual size are not large in a small tier."""


class S3Fifo:
    """An order of leaving by use. A large slot comes into a full tier the second time only.

    Args:
        slots: The tier's slots by key.
        max_bytes: The tier's bound.
    """

    __slots__ = ("_bytes", "_ghosts", "_large", "_main", "_slots", "_small", "_small_bytes")

    def __init__(self, slots: Mapping[str, Slot], max_bytes: int) -> None:
        self._slots = slots
        self._large = max(max_bytes // LARGE_SHARE, LARGE_BYTES)
        self._bytes = self._small_bytes = 0
        self._small, self._main, self._ghosts = KeyQueue(), KeyQueue(), Ghosts()

    def admits(self, slot: Slot, *, short: bool) -> bool:
        """Whether there is room, or it is not large, or was asked for before."""
        if not short or slot.size <= self._large or slot.uses:
            return True
        if self._ghosts.has(slot.entry.key, self._remembered):
            return True
        self._ghosts.add(slot.entry.key, self._remembered)
        return False

    def add(self, slot: Slot) -> bool:
        """Put it at the end of the queue that its past is for."""
        key = slot.entry.key
        self._bytes += slot.size
        if self._ghosts.has(key, self._remembered):
            slot.rank = _MAIN
            self._main.push(key)
        else:
            slot.rank = _SMALL
            self._small_bytes += slot.size
            self._small.push(key)
        return True

    def replace(self, old: Slot, slot: Slot) -> bool:
        """It stands where the other stood."""
        slot.rank = old.rank
        self._bytes += slot.size - old.size
        if slot.rank == _SMALL:
            self._small_bytes += slot.size - old.size
        return True

    def resize(self, slot: Slot, size: int) -> bool:
        """It keeps its place."""
        self._bytes += size - slot.size
        if slot.rank == _SMALL:
            self._small_bytes += size - slot.size
        return True

    def remove(self, slot: Slot, *, over: bool) -> None:
        """If it was in use until its time was over, it comes back as one that is in use."""
        key = slot.entry.key
        self._forget_bytes(slot)
        (self._small if slot.rank == _SMALL else self._main).take(key)
        if over and (slot.uses or slot.rank == _MAIN):
            self._ghosts.add(key, self._remembered)

    def pop(self) -> str:
        """See `Order.pop`."""
        slots, small, main = self._slots, self._small, self._main
        for _ in range(_STEPS):
            if self._small_bytes * _SHARE > self._bytes or not main:
                key = small.pop()
                slot = slots[key]
                if not slot.uses:
                    self._ghosts.add(key, self._remembered)
                    break
                slot.uses = 0  # from here on, a use counts that comes after the first ones
                slot.rank = _MAIN
                self._small_bytes -= slot.size
            else:
                key = main.pop()
                slot = slots[key]
                if not slot.uses:
                    break
                slot.uses -= 1
            main.push(key)
        else:
            key = (main or small).pop()
            slot = slots[key]
        self._forget_bytes(slot)
        return key

    def clear(self) -> Iterable[Part]:
        """Forget all, the remembered keys too."""
        parts = (*self._small.parts(), *self._main.parts())
        self._bytes = self._small_bytes = 0
        self._small, self._main, self._ghosts = KeyQueue(), KeyQueue(), Ghosts()
        return parts

    @property
    def records(self) -> int:
        """Records of keys in the queues."""
        return self._small.records + self._main.records

    @property
    def _remembered(self) -> int:
        """How many keys are remembered: as many as there are slots."""
        return max(len(self._slots), _LEAST_REMEMBERED)

    def _forget_bytes(self, slot: Slot) -> None:
        self._bytes -= slot.size
        if slot.rank == _SMALL:
            self._small_bytes -= slot.size
