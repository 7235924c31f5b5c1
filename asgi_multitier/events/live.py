"""What happens in a cache, for those who watch while it happens.

Nothing is noted while there is no listener, so an event costs one `if` then. Plain hits are no
events. With listeners, the last events are kept in a ring, from which a listener that was cut off
goes on; each listener has a queue, of which the oldest events are dropped when it is slow.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

Seconds: TypeAlias = Callable[[], float]

Event: TypeAlias = Mapping[str, Any]
"""`id`, `at` (Unix seconds), `kind`, and what the kind tells."""

KINDS: Final = (
    "act",
    "breaker",
    "bypass",
    "callback",
    "fill",
    "flush",
    "gap",
    "invalidation",
    "record",
    "refresh",
    "refused",
    "stale",
    "trust",
    "wrong",
)

MAX_KEPT = 1_000
"""Events in the ring."""

MAX_QUEUED = 256
"""Events that wait for one listener."""

MAX_LISTENERS = 8
MAX_SELECTORS = 16
"""Selectors that one event names."""

MAX_TEXT = 256
"""Characters of a text in an event."""

_KEPT_FOR = 60.0
"""Seconds for which the ring is kept after the last listener has left."""

_BYPASS_EVERY = 1.0
"""Seconds between two events about bypasses of one route for one reason."""

_MAX_SAMPLED = 1_000


class TooManyListeners(Exception):  # noqa: N818  # an outcome, not a fault
    """There are as many listeners as there may be."""


class Listener:
    """One who watches, in its own event loop.

    Attributes:
        lost: Events that were dropped since `take` was last called.
    """

    def __init__(self) -> None:
        self._queue: deque[Event] = deque()
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._called = False
        self._lost = 0

    def add(self, event: Event) -> None:
        """Queue an event, from any thread; the oldest goes if there are too many."""
        if len(self._queue) >= MAX_QUEUED:
            self._queue.popleft()
            self._lost += 1
        self._queue.append(event)
        if not self._called:
            # Once until it takes them: its loop may be another one, and blocked.
            self._called = True
            with suppress(RuntimeError):  # that was closed just now
                self._loop.call_soon_threadsafe(self._woken.set)

    def take(self) -> tuple[list[Event], int]:
        """The events that are queued, and how many before them were dropped."""
        self._called = False  # before the queue is read: what is added from here on calls again
        self._woken.clear()
        events: list[Event] = []
        with suppress(IndexError):  # another thread may drop the oldest meanwhile
            events.extend(self._queue.popleft() for _ in range(len(self._queue)))
        lost, self._lost = self._lost, 0
        return events, lost

    def wake(self) -> None:
        """Let `wait` return."""
        self._woken.set()

    async def wait(self, timeout: float) -> None:
        """Return when there is an event, or after so many seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._woken.wait()
        except TimeoutError:
            return


class Live:
    """The events of one cache, for its listeners.

    Args:
        clock: Monotonic seconds.
        wall: Unix seconds.

    Attributes:
        on: Whether events are to be emitted.
        last: The number of the last event.
    """

    def __init__(self, clock: Seconds = time.monotonic, wall: Seconds = time.time) -> None:
        self.on: bool = False
        self.last: int = 0
        self._clock = clock
        self._wall = wall
        self._kept: deque[Event] = deque(maxlen=MAX_KEPT)
        self._listeners: list[Listener] = []
        self._left = 0.0
        self._sampled: dict[tuple[str, str], tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._listeners)

    def listen(self, after: int | None = None) -> Listener:
        """A new listener; `leave` ends it.

        Args:
            after: The number of the last event that it has had; later ones come again as far as
                they are kept. None for a listener that begins now.

        Raises:
            TooManyListeners: If there are `MAX_LISTENERS` already.
        """
        if len(self._listeners) >= MAX_LISTENERS:
            raise TooManyListeners
        listener = Listener()
        if after is not None:
            for event in self._kept:
                if event["id"] > after:
                    listener.add(event)
        self._listeners.append(listener)
        self.on = True
        return listener

    def leave(self, listener: Listener) -> None:
        """The listener watches no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._left = self._clock()

    def emit(self, kind: str, **told: Any) -> None:
        """Tell the listeners. To be called if `on` is True."""
        if not self._listeners and self._clock() - self._left > _KEPT_FOR:
            self.on = False
            self._kept.clear()
            self._sampled.clear()
            return
        self.last += 1
        event = {"id": self.last, "at": self._wall(), "kind": kind, **told}
        self._kept.append(event)
        for listener in list(self._listeners):
            listener.add(event)

    def bypassed(self, route: str, reason: str) -> None:
        """A request met no cache: one event a second for a route and a reason, with the count."""
        name = (route, reason)
        now = self._clock()
        told, count = self._sampled.pop(name, (-_BYPASS_EVERY, 0))
        if now - told >= _BYPASS_EVERY:
            self.emit("bypass", route=route, reason=reason, count=count + 1)
            told, count = now, 0
        else:
            count += 1
        if len(self._sampled) >= _MAX_SAMPLED:
            del self._sampled[next(iter(self._sampled))]
        self._sampled[name] = told, count


def shown_selectors(selectors: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Selectors as an event has them: not too many, none too long."""
    found: list[tuple[str, str]] = []
    for kind, text in selectors:
        if len(found) == MAX_SELECTORS:
            break
        found.append((kind, text[:MAX_TEXT]))
    return found
