"""What was cleared from a local tier and is not freed yet.

Freeing 50,000 entries at once would stop the event loop for 85 ms.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from ..entry import LEFT, Slot
from .order import Part


class Leaving:
    """Slots to be freed, and after them what else holds their keys.

    Attributes:
        bytes: Accounted for the slots.
    """

    __slots__ = ("_parts", "_slots", "bytes")

    def __init__(self) -> None:
        self.bytes: int = 0
        self._slots: deque[list[Slot]] = deque()
        self._parts: deque[Part] = deque()

    def __len__(self) -> int:
        return sum(map(len, self._slots))

    def __bool__(self) -> bool:
        return bool(self._slots or self._parts)

    def add(self, slots: list[Slot], size: int, parts: Iterable[Part]) -> None:
        """Take over all that a tier holds."""
        self.bytes += size
        if slots:
            self._slots.append(slots)
        self._parts.extend(part for part in parts if part)

    def free(self, least: int, enough: int) -> None:
        """Free some.

        Args:
            least: How many slots or keys.
            enough: More of them, until no more bytes than this are held.
        """
        for count, _ in enumerate(self._freed(), 1):
            if count >= least and self.bytes <= enough:
                return

    def _freed(self) -> Iterator[None]:
        while self._slots:
            slots = self._slots[0]
            while slots:
                slot = slots.pop()
                slot.view = LEFT
                self.bytes -= slot.size
                if not slots:
                    self._slots.popleft()
                yield
        while self._parts:
            part = self._parts[0]
            while part:
                if isinstance(part, dict):
                    part.popitem()
                else:
                    part.pop()
                if not part:
                    self._parts.popleft()
                yield
