"""Numbers in a file that several processes have in their memory: the probe's origin of truth."""

import mmap
from pathlib import Path

ROOM = 65_536
"""Numbers in a file."""


class Versions:
    """The numbers; aligned, so that a read never sees half a write.

    Args:
        file: Made with all numbers 0 where it does not exist.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        if not file.exists():
            file.write_bytes(bytes(8 * ROOM))
        with file.open("r+b") as opened:
            self._numbers = memoryview(mmap.mmap(opened.fileno(), 0)).cast("Q")

    def __getitem__(self, key: int) -> int:
        return self._numbers[key]

    def __setitem__(self, key: int, number: int) -> None:
        self._numbers[key] = number

    def raise_by_one(self, key: int) -> int:
        """The next number. One process at a time edits a key."""
        self._numbers[key] += 1
        return self._numbers[key]
