"""All runs under way: found by key, begun, ended, and given up when no caller wants them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cachetools import TTLCache

from ..._types import Clock
from ...coherence.index import Index
from ...entry import Entry
from ...errors import CacheError
from ...events import UNROUTED
from ...selectors import shortened
from .flight import Flight
from .nesting import running_for, waits_for_itself
from .traced import begin_span, end_span
from .waiting_list import RunCancelled

if TYPE_CHECKING:
    from ...tracing.traces import Traces

R = TypeVar("R")

_TASK = "asgi-multitier flight"

_STREAM_GRACE = 5.0
"""Seconds that a response which is sent on while it comes may still take without any client."""


class Flights(Generic[R]):
    """The flights in the air, by key, and the keys not worth flying for.

    Args:
        index: What this process knows of the invalidation log.
        max_flights: Flights at once; beyond it a run ends as soon as no caller wants it.
        max_waiters: Members waiting for one key, beyond which others are turned away; None for no
            such bound.
        max_refreshes: Runs at once that no request waits for when they begin.
        fill_timeout: Seconds that a run may go on after all callers left.
        hit_for_miss: Seconds for which a key is remembered whose answers are not shared.
        clock: Monotonic seconds.

    Attributes:
        tasks: The tasks of the runs.
        traces: Gives each run a span; None for none.
    """

    def __init__(
        self,
        index: Index,
        *,
        max_flights: int = 10_000,
        max_waiters: int | None = None,
        max_refreshes: int = 16,
        fill_timeout: float = 30.0,
        hit_for_miss: float = 2.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self._index = index
        self._flights: dict[str, Flight[R]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.traces: Traces | None = None
        self._running: dict[str, list[Flight[R]]] = {}
        self._max_flights = max_flights
        self._max_waiters = max_waiters
        self._max_refreshes = max_refreshes
        self._refreshing: set[Flight[R]] = set()
        self._fill_timeout = fill_timeout
        self._hit_for_miss: TTLCache[str, None] = TTLCache(max_flights, hit_for_miss, clock)
        self._closing = False

    def __len__(self) -> int:
        return len(self._flights)

    def __repr__(self) -> str:
        return f"<Flights {len(self._flights)} in the air, {len(self.tasks)} tasks>"

    @property
    def running(self) -> int:
        """Runs going on, also those that have answered and not returned yet."""
        return len(self.tasks)

    def current(self) -> list[Flight[R]]:
        """All flights of which the run goes on, the oldest first."""
        return [flight for running in self._running.values() for flight in running]

    def find(self, key: str) -> Flight[R] | None:
        """The newest flight for this key, if a request arriving now may join it, or None."""
        flight = self._flights.get(key)
        if flight is None:
            return None
        if flight.waiting_list.answered:
            # By another run: a caller that comes now may need something younger.
            del self._flights[key]
            return None
        if flight.view != self._index.view:
            if not self._index.permits(flight.seed):
                del self._flights[key]
                return None
            if self._index.settled:
                flight.view = self._index.view
        return flight

    def running_for(self, key: str) -> AbstractContextManager[None]:
        """Mark the code inside as part of a run for this key."""
        return running_for(self, key)

    def nests(self, key: str) -> bool:
        """Whether the running code is part of a run for this key, and must not wait for it."""
        return waits_for_itself(self, key)

    def is_crowded(self, flight: Flight[R]) -> bool:
        """Whether so many wait for it that a further one is turned away."""
        return self._max_waiters is not None and flight.joined >= self._max_waiters

    def follows(self, flight: Flight[R]) -> bool:
        """Whether one more run is for the same waiting list; else there is something younger."""
        newest = self.find(flight.seed.key)
        if newest is None:
            return not flight.superseded
        return newest.waiting_list is flight.waiting_list

    def open(self, seed: Entry, after: Flight[R] | None = None) -> Flight[R]:
        """A new flight in the table.

        Args:
            seed: What is known of the entry to come.
            after: A flight that takes too long, and whose waiting list waits for this one as well.
        """
        flight = self.apart(seed, after)
        self._flights[seed.key] = flight
        return flight

    def apart(self, seed: Entry, after: Flight[R] | None = None) -> Flight[R]:
        """A new flight that is not in the table: no caller joins it."""
        view = self._index.view if self._index.settled else -1
        if after is not None and (after.superseded or not self._index.permits(after.seed)):
            # A caller that comes now must not get what that run brings.
            after = None
        return Flight(seed, view, after)

    def refresh(self, seed: Entry) -> Flight[R] | None:
        """A new flight in the background; None if there is one for the key, or too many others.

        On None the caller is answered without a refresh; a later request begins it.
        """
        full = len(self._refreshing) >= self._max_refreshes
        full = full or len(self._flights) >= self._max_flights
        if full or self.find(seed.key) is not None or self.nests(seed.key):
            return None
        flight = self.open(seed)
        self._refreshing.add(flight)
        return flight

    def launch(
        self, flight: Flight[R], run: Callable[[], Awaitable[object]], route: str = UNROUTED
    ) -> "asyncio.Task[None]":
        """Start the run in a task of its own. Its end, however it comes, lands the flight.

        It is called in the task: one that is cancelled before its first step leaves no coroutine.
        The route is told to its span.
        """
        inside = begin_span(self.traces, flight, route, refresh=flight in self._refreshing)
        task = asyncio.create_task(self._fly(flight, run), name=_TASK, context=inside)
        flight.task = task
        self.tasks.add(task)
        self._running.setdefault(flight.seed.key, []).append(flight)
        task.add_done_callback(partial(self._ended, flight))
        return task

    def _ended(self, flight: Flight[R], task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        self._refreshing.discard(flight)
        self.land(flight)
        # Deliberate: to a member, a CancelledError would say that it was cancelled itself.
        told = f"the run for {flight.seed.key!r} was cancelled"
        flight.fail(RunCancelled(told, closed=self._closing))
        running = self._running.get(flight.seed.key, [])
        if flight in running:
            running.remove(flight)
        if not running:
            self._running.pop(flight.seed.key, None)
        end_span(flight, task)

    async def _fly(self, flight: Flight[R], run: Callable[[], Awaitable[object]]) -> None:
        try:
            with self.running_for(flight.seed.key):
                await run()
        except asyncio.CancelledError:
            raise
        except GeneratorExit:
            # The event loop is gone, with the callers that waited in it.
            raise
        except SystemExit as error:
            # Raised in a task it ends the event loop; raised in a request it is that one's failure.
            failure = _failure(flight, error)
            self.land(flight)
            flight.fail(failure)
            raise failure from error
        except BaseException as error:
            self.land(flight)
            flight.fail(error)
            raise

    def land(self, flight: Flight[R]) -> None:
        """Take the flight out of the table: later requests do not join it."""
        if self._flights.get(flight.seed.key) is flight:
            del self._flights[flight.seed.key]

    def flies(self, flight: Flight[R]) -> bool:
        """Whether it is still the one that later requests would join."""
        return self._flights.get(flight.seed.key) is flight

    def supersede(self, key: str) -> None:
        """What a run for this key will bring is out of date: later requests do not join it."""
        self._flights.pop(key, None)
        for flight in self._running.get(key, ()):
            flight.superseded = True

    def overtake(self, flight: Flight[R]) -> None:
        """What this flight brings is younger than what runs begun before it will bring."""
        running = self._running.get(flight.seed.key, [])
        if flight in running:
            for other in running[: running.index(flight)]:
                other.superseded = True

    def forget(self) -> None:
        """The event loop that everything here belonged to is gone."""
        self._flights.clear()
        self._running.clear()
        self.tasks.clear()
        self._refreshing.clear()
        self._hit_for_miss.clear()

    def abandon(self, flight: Flight[R]) -> None:
        """A member left. If it was the last one, the run has some seconds to bring its answer."""
        task = flight.task
        if task is None or task.done() or flight.wanted:
            return
        grace = min(self._fill_timeout, _STREAM_GRACE) if flight.streams else self._fill_timeout
        if len(self._flights) > self._max_flights:
            grace = 0.0
        timer = asyncio.get_running_loop().call_later(grace, self._give_up, flight)
        task.add_done_callback(lambda _: timer.cancel())

    def _give_up(self, flight: Flight[R]) -> None:
        if flight.task is not None and not flight.answered and not flight.wanted:
            flight.task.cancel()

    def mark_hit_for_miss(self, key: str) -> None:
        """Remember for a while that this key's answers are not shared (Varnish's hit-for-miss)."""
        self._hit_for_miss[shortened(key)] = None

    def is_hit_for_miss(self, key: str) -> bool:
        """Whether requests for this key should not wait for each other."""
        return shortened(key) in self._hit_for_miss

    def clear_hit_for_miss(self, key: str) -> None:
        """The key's answers can be shared after all."""
        self._hit_for_miss.pop(shortened(key), None)

    async def close(self, timeout: float) -> None:
        """Let runs finish for up to `timeout` seconds, cancel the rest, leave none behind."""
        for running in list(self._running.values()):
            for flight in running:
                if flight.streams:
                    # It may have no end: it has no client any more, or its client sees it end.
                    self._give_up(flight)
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=timeout)
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        self._closing = True
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._closing = False
        self._flights.clear()
        self._hit_for_miss.clear()


def _failure(flight: Flight[Any], error: SystemExit) -> CacheError:
    """What the callers of a run get that wanted to end the process."""
    what = flight.seed.path or flight.seed.key
    failure = CacheError(f"the run for {what!r} raised {error!r}")
    failure.__cause__ = error
    return failure


def waiting_in(flights: Flights[Any]) -> int:
    """Members that wait for a run that another one has begun."""
    runs = [run for running in list(flights._running.values()) for run in running]
    return sum({id(run.waiting_list): run.joined for run in runs}.values())
