"""When each key of a local tier was last asked for, the longest ago first."""

from collections import OrderedDict


class LastUses:
    """The last uses of keys.

    Args:
        max_idle: Seconds after which an unused key is idle.
    """

    __slots__ = ("_max_idle", "_used")

    def __init__(self, max_idle: float) -> None:
        self._max_idle = max_idle
        self._used: OrderedDict[str, float] = OrderedDict()

    def note(self, key: str, now: float) -> None:
        """A key came in, or was asked for."""
        self._used[key] = now
        self._used.move_to_end(key)

    def forget(self, key: str) -> None:
        """A key has left."""
        del self._used[key]

    def is_idle(self, key: str, now: float) -> bool:
        """Whether a key has not been asked for in time."""
        return now - self._used[key] >= self._max_idle

    def longest_idle(self, now: float) -> str | None:
        """The key that was asked for the longest ago, if it is idle."""
        key = next(iter(self._used), None)
        return key if key is not None and self.is_idle(key, now) else None

    def clear(self) -> "OrderedDict[str, float]":
        """Forget all. Returns what holds the keys."""
        used, self._used = self._used, OrderedDict()
        return used
