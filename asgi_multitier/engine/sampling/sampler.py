"""Looks at a hit about ten times a second, while somebody wants to know.

A hit does nothing for that. At a random moment the function by which a door looks keys up is
replaced by one that lets a few hits pass, notes the next, and puts the function back. So each hit
is as likely to be seen as any other, and keys come up in proportion to their hits.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import Context
from random import Random
from typing import Protocol

import msgspec

from ..._types import Clock
from ...entry import Entry, Slot, StoredResponse, Variants
from ...events import MANAGER, MAX_ROUTES, UNROUTED, Histogram
from .doors import Doors
from .frequent import Frequent

EVERY = 0.1
"""Seconds between two looks, on average."""

WANTED = 120.0
"""Seconds for which it goes on after it was asked for: longer than between two scrapes."""

_PASS = 16
"""Hits, less one, that pass at most before one is noted: after a pause, the first request of a
client is not like those that follow it."""

TIMES = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 604_800.0)
"""Upper ends, in seconds, of the classes of ages and of times that are left."""

SIZES = (256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0)
"""Upper ends, in bytes, of the classes of sizes."""


class Reader(Protocol):
    """Reads slots for requests and calls that no door answers at once."""

    told: Callable[[Slot], None] | None


class Key(msgspec.Struct, frozen=True):
    """What was seen of a key.

    Attributes:
        route: The route of its entry; `"manager"` for a value, `"-"` for none.
        path: The path of its request; "" for a value.
        size: Bytes of its content.
    """

    route: str
    path: str
    size: int


class Shapes:
    """The hits of one route that were seen.

    Attributes:
        ages: Seconds since the entry's age was 0.
        left: Seconds for which it is still fresh.
        sizes: Bytes of its content.
    """

    __slots__ = ("ages", "left", "sizes")

    def __init__(self) -> None:
        self.ages: Histogram = Histogram(TIMES)
        self.left: Histogram = Histogram(TIMES)
        self.sizes: Histogram = Histogram(SIZES)


class Sampler:
    """Looks at hits. It belongs to the event loop that the cache lives in.

    Args:
        doors: Show what answers hits.
        reader: Tells of what no door has answered.
        clock: Monotonic seconds.
        chance: Chooses moments.

    Attributes:
        keys: Which keys came most often.
    """

    def __init__(
        self, doors: Doors, reader: Reader, clock: Clock, chance: Random | None = None
    ) -> None:
        self.keys: Frequent[Key] = Frequent()
        self._doors = doors
        self._reader = reader
        self._clock = clock
        self._chance = Random() if chance is None else chance  # noqa: S311  # nothing is secret
        self._watches = False
        self._pass = 0
        self._shapes: dict[str, Shapes] = {}
        self._until = -float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def shapes(self) -> Mapping[str, Shapes]:
        """What was seen, by route."""
        return self._shapes

    @property
    def is_on(self) -> bool:
        """Whether it looks at hits now and then."""
        return self._timer is not None

    def want(self) -> None:
        """Go on for two minutes from now, in the running event loop."""
        self._until = self._clock() + WANTED
        loop = asyncio.get_running_loop()
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._wait()

    def end(self) -> None:
        """Look at no more hits, until it is asked for again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._leave()

    # When.

    def _wait(self) -> None:
        assert self._loop is not None  # noqa: S101  # `want` has set it
        pause = self._chance.uniform(0.0, 2 * EVERY)
        self._timer = self._loop.call_later(pause, self._look, context=Context())

    def _look(self) -> None:
        self._timer = None
        if self._clock() >= self._until:
            self.end()
            return
        if not self._watches:  # nothing came since the last time
            self._watch()
        self._wait()

    def _watch(self) -> None:
        self._pass = self._chance.randrange(_PASS)
        self._watches, self._reader.told = True, self._seen
        self._doors.watch(self._found)

    def _leave(self) -> None:
        self._watches, self._reader.told = False, None
        self._doors.leave(self._found)

    # What.

    def _found(self, slot: Slot) -> bool:
        self._seen(slot)
        return True

    def _seen(self, slot: Slot) -> None:
        entry, now = slot.entry, self._clock()
        if now >= entry.fresh_until or isinstance(entry.payload, Variants):
            return  # no hit, or not the last that is looked up for it
        if self._pass:
            self._pass -= 1
            return
        self._leave()
        self._note(entry, now)

    def _note(self, entry: Entry, now: float) -> None:
        payload = entry.payload
        is_response = isinstance(payload, StoredResponse)
        content = payload.body if isinstance(payload, StoredResponse) else payload
        size = len(content) if isinstance(content, bytes) else 0
        route = (entry.route or UNROUTED) if is_response else MANAGER
        self.keys.add(entry.key, Key(route, entry.path, size), now)
        shapes = self._shapes_of(route)
        shapes.ages.add(now - entry.created)
        shapes.left.add(entry.fresh_until - now)
        shapes.sizes.add(size)

    def _shapes_of(self, route: str) -> Shapes:
        if route not in self._shapes and len(self._shapes) >= MAX_ROUTES:
            route = UNROUTED
        return self._shapes.setdefault(route, Shapes())
