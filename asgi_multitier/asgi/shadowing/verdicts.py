"""Whether an answer that differs from what is stored says that the cache would have been wrong.

It does if what is stored was valid until the application had answered, and none of the mutations
that were under way by then drops it: what they change may be visible before they drop anything.
Where other processes write to the log, their records are given a moment to arrive.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ...engine.mutations import UnderWay
from ...entry import Entry
from .store import Selected

MOST: Final = 1_000
"""Verdicts that wait; beyond it, the oldest is given up."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """One verdict.

    Attributes:
        entry: What would have been sent.
        mutations: Those under way that have not ended.
        until: A reading of the clock: until then another process may tell what it has dropped.
        tell: Called with whether it counts.
    """

    entry: Entry
    mutations: list[UnderWay]
    until: float
    tell: Callable[[bool], None]


class Verdicts:
    """The verdicts that wait.

    Attributes:
        given_up: How many were given up, as too many waited.
    """

    __slots__ = ("_waiting", "given_up")

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self.given_up: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(
        self,
        entry: Entry,
        mutations: list[UnderWay],
        until: float,
        now: float,
        tell: Callable[[bool], None],
    ) -> None:
        """Tell whether a difference counts, now or when it is known.

        Args:
            entry: What would have been sent; it was valid when the application had answered.
            mutations: Those that were under way at that time.
            until: A reading of the clock: until then another process may tell what it has dropped.
            now: A reading of the clock.
            tell: Called with whether it counts.
        """
        if any(entry in _dropped(one) for one in mutations if one.ended is not None):
            tell(False)
            return
        running = [one for one in mutations if one.ended is None]
        if not running and now >= until:
            tell(True)
            return
        if len(self._waiting) >= MOST:
            self.given_up += 1
            self._waiting.pop(0).tell(False)
        self._waiting.append(_Waiting(entry, running, until, tell))

    def ended(self, mutation: UnderWay, now: float) -> None:
        """A mutation has ended, or another process has dropped something."""
        waiting, self._waiting = self._waiting, []
        dropped = _dropped(mutation) if waiting else ()
        for one in waiting:
            if (mutation in one.mutations or mutation.elsewhere) and one.entry in dropped:
                one.tell(False)
                continue
            if mutation in one.mutations:
                one.mutations.remove(mutation)
            self._waiting.append(one)
        self.look(now)

    def look(self, now: float) -> None:
        """Tell what is known by now."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if one.mutations or now < one.until:
                self._waiting.append(one)
            else:
                one.tell(True)

    def give_up(self) -> None:
        """Tell of all that they do not count: the cache ends."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.tell(False)


def _dropped(mutation: UnderWay) -> "Selected | tuple[()]":
    """What a mutation drops; to be asked for all entries at once, as it takes a while to make."""
    return Selected(mutation.selectors) if mutation.selectors else ()
