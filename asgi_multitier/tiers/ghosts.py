"""Keys that have left not long ago, remembered by 8 bytes each.

A table of numbers: half of each is the hash of a key, half is when it was added. Adding one
overwrites the older of the two places that its hash chooses. A wrong answer is possible, once in
billions of questions, and does no harm: it decides where a slot waits.
"""

from array import array
from typing import Final

_LEAST: Final = 1024
_HASH: Final = 0xFFFF_FFFF_0000_0000
_TIME: Final = 0x0000_0000_FFFF_FFFF


class Ghosts:
    """A memory of the hashes of keys, bounded by how many were added since."""

    __slots__ = ("_added", "_former", "_former_left", "_table")

    def __init__(self) -> None:
        self._table = array("Q", bytes(8 * _LEAST))
        self._former: array[int] | None = None  # the smaller table before, until its keys are old
        self._former_left = 0
        self._added = 0

    @property
    def bytes(self) -> int:
        """Bytes of the tables."""
        return 8 * (len(self._table) + len(self._former or ()))

    def add(self, key: str, bound: int) -> None:
        """Remember a key.

        Args:
            key: The key.
            bound: How many keys are to be remembered; more than before makes the table larger.
        """
        if 2 * bound > len(self._table):
            self._former, self._former_left = self._table, len(self._table)
            self._table = array("Q", bytes(16 * len(self._table)))
        elif self._former is not None:
            self._former_left -= 1
            if not self._former_left:
                self._former = None
        number = hash(key)
        self._added = now = (self._added + 1) & _TIME
        table, place = self._table, number & (len(self._table) - 1)
        if (now - table[place]) & _TIME < (now - table[place ^ 1]) & _TIME:
            place ^= 1
        table[place] = number & _HASH | now

    def has(self, key: str, bound: int) -> bool:
        """Whether a key was added, and at most `bound` keys were added since."""
        number = hash(key)
        if self._is_in(self._table, number, bound):
            return True
        return self._former is not None and self._is_in(self._former, number, bound)

    def _is_in(self, table: "array[int]", number: int, bound: int) -> bool:
        place = number & (len(table) - 1)
        record = table[place]
        if (record ^ number) & _HASH:
            record = table[place ^ 1]
            if (record ^ number) & _HASH:
                return False
        return record != 0 and (self._added - record) & _TIME < bound
