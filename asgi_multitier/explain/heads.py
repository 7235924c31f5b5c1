"""Finding those patterns that may match: by the literal text that they begin with."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class ByHead(Generic[T]):
    """Things by the literal text with which what they select begins.

    Args:
        items: The things, each with its text.
    """

    __slots__ = ("_heads", "_items")

    def __init__(self, items: Iterable[tuple[str, T]]) -> None:
        self._items: dict[str, list[T]] = {}
        for head, item in items:
            self._items.setdefault(head, []).append(item)
        self._heads = sorted(self._items)

    def near(self, head: str) -> Iterator[T]:
        """Those of which one text begins with the other: no other can select the same."""
        items, heads = self._items, self._heads
        for end in range(len(head)):
            yield from items.get(head[:end], ())
        at = bisect_left(heads, head)
        while at < len(heads) and heads[at].startswith(head):
            yield from items[heads[at]]
            at += 1
