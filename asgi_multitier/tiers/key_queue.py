"""A first-in, first-out queue of keys, from which a key may also be taken in between.

A key that is taken leaves its record behind, to be skipped when its turn comes. There are never
many more such records than keys: the queue is tidied a few records at a time, so that no call does
the work of many others. A key that is taken and comes again meanwhile may get its former place.
"""

from collections import deque

_STEP = 16
"""Records that are looked at for one that is left behind."""

_LEAST = 16
"""Records that may be left behind in a queue of any length."""


class KeyQueue:
    """Keys in the order in which they came. Each key is in it once at most."""

    __slots__ = ("_back", "_front", "_taken", "_taken_count")

    def __init__(self) -> None:
        self._front: deque[str] = deque()  # what was tidied already; older than all in `_back`
        self._back: deque[str] = deque()
        self._taken: dict[str, int] = {}
        self._taken_count = 0

    def __len__(self) -> int:
        return len(self._front) + len(self._back) - self._taken_count

    @property
    def records(self) -> int:
        """Keys, and records of keys that were taken."""
        return len(self._front) + len(self._back)

    def push(self, key: str) -> None:
        """Add a key at the end."""
        self._back.append(key)

    def pop(self) -> str:
        """Remove the oldest key.

        Raises:
            IndexError: If there is none.
        """
        while True:
            key = self._front.popleft() if self._front else self._back.popleft()
            if not (self._taken_count and self._was_taken(key)):
                return key

    def take(self, key: str) -> None:
        """Remove a key that is in the queue, wherever it is."""
        self._taken[key] = self._taken.get(key, 0) + 1
        self._taken_count += 1
        if self.records > 2 * len(self) + _LEAST:
            self._tidy()

    def parts(self) -> tuple["deque[str]", ...]:
        """What holds the records, to be freed in steps by who throws the queue away."""
        return self._front, self._back

    def _was_taken(self, key: str) -> bool:
        """Whether a record, the oldest of its key, was left behind; it is no more."""
        count = self._taken.get(key, 0)
        if not count:
            return False
        if count == 1:
            del self._taken[key]
        else:
            self._taken[key] = count - 1
        self._taken_count -= 1
        return True

    def _tidy(self) -> None:
        """Move the next records to the front part, without those that were left behind."""
        for _ in range(_STEP):
            if not self._back:  # all was looked at: from the oldest on again
                self._front, self._back = self._back, self._front
                return
            key = self._back.popleft()
            if not self._was_taken(key):
                self._front.append(key)
