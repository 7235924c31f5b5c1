"""A bounded map with a young and an old generation: full, it forgets the old one."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TwoGenerationCache(Generic[K, V]):
    """A bounded map that forgets its older half when it is full.

    Args:
        max_entries: Entries remembered at most.
        max_bytes: Bytes remembered at most, one entry's more.
        size_of: Bytes that a key counts for.

    Attributes:
        young: Where a key is looked up first; then `recall`.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_entries", "_old", "_size_of", "_young", "young")

    def __init__(self, max_entries: int, max_bytes: int, size_of: Callable[[K], int]) -> None:
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self.young: dict[K, V] = self._young
        self._bytes = 0
        self._max_entries = max_entries // 2
        self._max_bytes = max_bytes // 2
        self._size_of = size_of

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def recall(self, key: K) -> V | None:
        """What is remembered, if it is in the old half; then it is young again."""
        value = self._old.pop(key, None)
        if value is not None:
            self.remember(key, value)
        return value

    def remember(self, key: K, value: V) -> None:
        """Remember a value."""
        if key not in self._young:
            size = self._size_of(key)
            if len(self._young) >= self._max_entries or self._bytes + size > self._max_bytes:
                self._old, self._young, self._bytes = self._young, {}, 0
                self.young = self._young
            self._bytes += size
        self._young[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._young.clear()
        self._old.clear()
        self._bytes = 0
