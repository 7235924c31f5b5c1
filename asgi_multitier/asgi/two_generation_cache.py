"""A bounded map with a young and an old generation: full, it forgets the old one."""

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
K_contra = TypeVar("K_contra", contravariant=True)
V_co = TypeVar("V_co", covariant=True)


class LookUp(Protocol[K_contra, V_co]):
    """What the young half is to those who look something up in it."""

    def get(self, key: K_contra, /) -> V_co | None:
        """The value, or None."""


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
        self.young: LookUp[K, V] = self._young
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

    def overlook(self, count: int) -> None:
        """Let the next look-ups find nothing young: a sample, whose values are made once more.

        A look-up does no work for it; the code that makes the value does.
        """
        self.young = _Overlooking(count, self._see_again) if count else self._young

    def _see_again(self) -> None:
        self.young = self._young

    def clear(self) -> None:
        """Forget everything."""
        self._young.clear()
        self._old.clear()
        self._bytes = 0


class _Overlooking:
    """A young half that finds nothing, so many times."""

    __slots__ = ("_end", "_left")

    def __init__(self, count: int, end: Callable[[], None]) -> None:
        self._left = count
        self._end = end

    def get(self, _key: object, /) -> None:
        """Find nothing; the last time, see to it that the next look-up finds what there is."""
        self._left -= 1
        if self._left <= 0:
            self._end()
