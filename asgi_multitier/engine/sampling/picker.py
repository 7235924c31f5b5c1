"""Chooses one hit in so many, and lets that one go the general way, where it is audited.

A hit does nothing for that. Some ten times a second the hits are counted that came since the last
time. When so many came that one of them is due, a watcher stands at the doors from a random moment
on: it lets a few hits pass, and hides what the next one would find. So the general way answers that
request; it takes it here, and the watcher leaves. Which hit is due is drawn by lot (the number of
hits between two is distributed exponentially), so what comes regularly is no likelier than the
rest.

Where all hits are to be chosen, the watcher stays: that is for tests, and for a closer look.

It never chooses more than there are runs for: hits that are due beyond that are counted, and no
other hits take their place.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from random import Random
from typing import Final

from ..._types import Clock
from ...entry import Slot, Variants
from .doors import Doors

EVERY: Final = 0.1
"""Seconds between two looks, on average, while hits come."""

IDLE: Final = 1.0
"""The same, while none come."""

PASS: Final = 8
"""One in so many of all hits pass at the watcher, half of it on average, before one is chosen: what
comes after a pause is not like what follows it."""

_PASS_MOST = 256
_PASS_LEAST = 16

_TALLIES: Final = 200
"""Routes that are counted ten times a second; with more, the looks are rarer."""


class Picker:
    """Chooses hits. It belongs to the event loop that the cache lives in.

    Args:
        rate: The share of hits that is chosen, more than 0 and up to 1.
        runs: Hits that are chosen in a second at most, and that are audited at a time.
        count: Hits so far, and of how many routes they are.
        doors: Show what answers hits.
        clock: Monotonic seconds.
        chance: Draws lots.

    Attributes:
        armed: Whether a hit is due: every hit goes through `chooses` until one is chosen.
        skipped: Hits that were due when there was no run left for them.
    """

    def __init__(
        self,
        rate: float,
        runs: int,
        count: Callable[[], tuple[int, int]],
        doors: Doors,
        clock: Clock,
        chance: Random | None = None,
    ) -> None:
        self._rate = rate
        self._all = rate >= 1
        least, most = min(_PASS_LEAST, int(1 / rate)), min(_PASS_MOST, int(1 / (PASS * rate)))
        self._passes = max(1, least, most)
        self._runs = runs
        self._count = count
        self._doors = doors
        self._clock = clock
        self._chance = Random() if chance is None else chance  # noqa: S311  # nothing is secret
        self._timer: asyncio.TimerHandle | None = None
        self._arming: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._until_next = self._chance.expovariate(rate)
        self._hits = 0
        self._left, self._filled = float(runs), clock()
        self._under_way = 0
        self._due = 0
        self._pass = 0
        self.armed: bool = False
        self.skipped: int = 0

    # When.

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Choose from here on.

        Args:
            loop: The event loop that runs.
        """
        self.end()
        self._loop = loop
        self._hits, tallies = self._count()
        self._under_way = 0
        if self._all:
            self._arm()
        else:
            self._wait(EVERY, tallies)

    def end(self) -> None:
        """Choose nothing more, until it begins again."""
        for timer in (self._timer, self._arming):
            if timer is not None:
                timer.cancel()
        self._timer = self._arming = None
        self._due = 0
        self._disarm()

    def _wait(self, pause: float, tallies: int) -> None:
        assert self._loop is not None  # noqa: S101  # `begin` has set it
        pause *= max(1.0, tallies / _TALLIES)
        pause = self._chance.uniform(0.5 * pause, 1.5 * pause)
        self._timer = self._loop.call_later(pause, self._look, context=Context())
        if self._due and not self.armed and self._arming is None:
            moment = self._chance.uniform(0.0, pause)
            self._arming = self._loop.call_later(moment, self._arm, context=Context())

    def _look(self) -> None:
        self._timer = None
        hits, tallies = self._count()
        came, self._hits = max(0, hits - self._hits), hits
        self._draw(came)
        self._wait(EVERY if came else IDLE, tallies)

    def _draw(self, came: int) -> None:
        """So many hits came: what is due of as many that come now."""
        drawn = 0
        self._until_next -= came
        while self._until_next < 0:
            drawn += 1
            self._until_next += self._chance.expovariate(self._rate)
        chosen = min(drawn, max(0, self._free() - self._due))
        self.skipped += drawn - chosen
        self._due += chosen

    def _free(self) -> int:
        """Runs that may begin now."""
        now = self._clock()
        self._left = min(self._runs, self._left + (now - self._filled) * self._runs)
        self._filled = now
        return min(int(self._left), self._runs - self._under_way)

    # Which.

    def _arm(self) -> None:
        self._arming, self.armed = None, True
        self._pass = self._chance.randrange(self._passes)
        self._doors.watch(self._watch)

    def _disarm(self) -> None:
        self.armed = False
        self._doors.leave(self._watch)

    def _watch(self, slot: Slot) -> bool:
        """Whether a door has this slot: one hit is hidden from it, so that it is chosen."""
        entry = slot.entry
        if self._clock() >= entry.fresh_until or isinstance(entry.payload, Variants):
            return True  # no hit, or not the last that is looked up for it
        if self._pass:
            self._pass -= 1
            return True
        return False

    def chooses(self) -> bool:
        """Whether the hit that the general way answers now is chosen; then `release` ends it."""
        if not self.armed:
            return False
        if self._all:
            if not self._free():
                self.skipped += 1
                return False
            self._due += 1
        elif self._pass:
            self._pass -= 1
            return False
        self._due -= 1
        self._left -= 1.0
        self._under_way += 1
        if self._due:
            self._pass = self._chance.randrange(self._passes)
        elif not self._all:
            self._disarm()
        return True

    def release(self) -> None:
        """What was done with a chosen hit has ended."""
        self._under_way = max(0, self._under_way - 1)
