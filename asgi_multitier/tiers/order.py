"""Which slot of a local tier leaves next: what an order decides, and what it is told for that."""

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Protocol, TypeAlias

from ..entry import Slot

Part: TypeAlias = (
    deque[str] | list[tuple[float, int, str]] | dict[str, None] | OrderedDict[str, float]
)
"""Something that holds many keys, and is freed a few at a time."""


class Order(Protocol):
    """An order of leaving. It is told all that happens to the slots; only the tier holds them."""

    def admits(self, slot: Slot, *, short: bool) -> bool:
        """Whether a slot is worth its room.

        Args:
            slot: A slot whose key is not there, no larger than the tier.
            short: Others would have to leave for it.
        """

    def add(self, slot: Slot) -> bool:
        """A slot comes in whose key is not there. False if it cannot."""

    def replace(self, old: Slot, slot: Slot) -> bool:
        """A slot takes the place of another of its key. False if it has to come in as a new one."""

    def resize(self, slot: Slot, size: int) -> bool:
        """A slot that is there is to have another size. False if it cannot."""

    def remove(self, slot: Slot, *, over: bool) -> None:
        """A slot leaves for another reason than room; `over`: its time is over."""

    def pop(self) -> str:
        """The key of the slot that is to make room, which is in the order no more.

        Called only while there are slots.
        """

    def clear(self) -> Iterable[Part]:
        """All leave. Returns what holds their keys."""
