"""Of which answers it is read what stands where: that takes longer than all else that is noted."""

from collections import OrderedDict
from typing import Final

from ..._types import Clock

_KEYS: Final = 4_096
"""Keys of which the last digest is known."""

_AT_ONCE: Final = 1_000
_A_SECOND: Final = 50
"""Answers that are read: so many at first, then so many a second."""


class Curiosity:
    """Chooses the answers that are read: those that differ from the last one, and those to compare.

    Args:
        clock: Monotonic seconds.
    """

    __slots__ = ("_clock", "_filled", "_left", "_seen")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._left, self._filled = float(_AT_ONCE), clock()

    def wants(self, key: str, digest: int, *, stored: bool) -> bool:
        """Whether to read an answer.

        Args:
            key: The digest of its key.
            digest: That of the answer.
            stored: Whether later answers are compared with this one.
        """
        last = self._seen.pop(key, None)
        self._seen[key] = digest
        if len(self._seen) > _KEYS:
            self._seen.popitem(last=False)
        differs = last is not None and last != digest
        return (differs or stored) and self._may()

    def _may(self) -> bool:
        now = self._clock()
        self._left = min(float(_AT_ONCE), self._left + _A_SECOND * max(0.0, now - self._filled))
        self._filled = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
