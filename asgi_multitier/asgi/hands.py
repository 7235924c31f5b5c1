"""Slots that plans have in the hand: a hit of one is answered without a look-up in the tier.

That a slot has left its tier is seen by its view, but its content stays in memory while it is in a
hand. So the bytes in all hands are bounded, and a tier need not know of hands.
"""

from collections import deque
from typing import Final, Protocol, TypeAlias

from ..entry import LEFT, Slot

_LARGEST: Final = 64
"""A slot is held that takes at most so small a part of all: of larger ones few would fit."""

_TRIES: Final = 16
"""Of so many slots for which there is no room, one takes the place of others. So where more is hot
than there is room for, a hit does not do the work of exchanging them."""

_TIDIED: Final = 2
"""Of so many hands it is seen, with each slot that is taken, whether they hold it in vain."""


class Holder(Protocol):
    """What knows the key of a stored response.

    Attributes:
        slot: The slot in its hand, which counts while its view is the index's.
    """

    slot: Slot | None


Held: TypeAlias = deque[tuple[Holder, Slot, int]]
"""What is in hands, and its bytes; the first was looked at or taken before all others."""


class Hands:
    """Bounds what holders have in the hand.

    Args:
        max_bytes: Bytes of all slots in hands, as accounted when they were taken.
    """

    __slots__ = ("_bytes", "_held", "_max_bytes", "_tries")

    def __init__(self, max_bytes: int) -> None:
        self._held: Held = deque()
        self._bytes = 0
        self._max_bytes = max_bytes
        self._tries = 0

    def __len__(self) -> int:
        return len(self._held)

    def take(self, holder: Holder, slot: Slot) -> None:
        """Let a holder hold a slot from here on, if there is room."""
        held, size = self._held, slot.size
        holder.slot = None
        try:
            if not self._has_room(held, size):
                return
        except IndexError:  # another thread lets all go at this moment
            return
        held.append((holder, slot, size))
        self._bytes += size
        holder.slot = slot
        if held is not self._held:  # that thread may have been here before this was held
            holder.slot = None

    def clear(self) -> None:
        """Let everything go. In another thread it is to be done once more in the holders' own."""
        held, self._held, self._bytes = self._held, deque(), 0
        while held:
            _let_go(held)

    def _has_room(self, held: Held, size: int) -> bool:
        """Whether so many bytes may be held; others are let go for them, in vain held ones first.

        Raises:
            IndexError: If another thread has let all go meanwhile.
        """
        for _ in range(min(_TIDIED, len(held))):
            self._tidy(held)
        if size * _LARGEST > self._max_bytes:
            return False
        if self._bytes + size > self._max_bytes:
            self._tries = (self._tries + 1) % _TRIES
            if self._tries:
                return False
            while self._bytes + size > self._max_bytes:
                self._bytes -= _let_go(held)
        return True

    def _tidy(self, held: Held) -> None:
        """Let the first go if it holds its slot in vain, else make it the last."""
        holder, slot, _ = held[0]
        if slot.view == LEFT or holder.slot is not slot:
            self._bytes -= _let_go(held)
        else:
            held.rotate(-1)


def _let_go(held: Held) -> int:
    """Let the first go; how many bytes that is."""
    holder, slot, size = held.popleft()
    if holder.slot is slot:  # else it holds another by now
        holder.slot = None
    return size
