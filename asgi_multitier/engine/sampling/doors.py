"""The functions by which doors look keys up for hits, and who looks at what they find.

While nothing watches, each door has the function of its tier, and a hit does nothing for this.
"""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias

from ...entry import Slot

Find: TypeAlias = Callable[[str], Slot | None]

Watcher: TypeAlias = Callable[[Slot], bool]
"""Gets each slot that a door finds; whether the door has it, or is to find nothing: then the
request goes the general way."""


class Door(Protocol):
    """Looks keys up for hits."""

    find: Find


class Doors:
    """All doors of one cache."""

    def __init__(self) -> None:
        self._doors: weakref.WeakSet[Door] = weakref.WeakSet()
        self._watchers: tuple[Watcher, ...] = ()
        self._watched: list[tuple[Door, Find, Find]] = []

    @property
    def watched(self) -> bool:
        """Whether something looks at what they find."""
        return bool(self._watchers)

    def take(self, door: Door) -> None:
        """A door that has the function of its tier, from here on one of these."""
        self._doors.add(door)
        self._watched = [each for each in self._watched if each[0] is not door]
        if self._watchers:
            self._watch(door)

    def watch(self, watcher: Watcher) -> None:
        """Let this see what is found, from the next look-up on."""
        if watcher in self._watchers:
            return
        self._watchers = (*self._watchers, watcher)
        if not self._watched:
            for door in list(self._doors):
                self._watch(door)

    def leave(self, watcher: Watcher) -> None:
        """Show nothing more to this; with the last of them, the functions are put back."""
        self._watchers = tuple(each for each in self._watchers if each != watcher)
        if self._watchers:
            return
        for door, found, watching in self._watched:
            if door.find is watching:  # else it has taken another tier meanwhile
                door.find = found
        self._watched = []

    def _watch(self, door: Door) -> None:
        found = door.find
        door.find = watching = partial(self._found, found)
        self._watched.append((door, found, watching))

    def _found(self, find: Find, key: str) -> Slot | None:
        slot = find(key)
        if slot is not None:
            for watcher in self._watchers:
                if not watcher(slot):
                    return None
        return slot
