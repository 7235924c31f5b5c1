"""Collapsed forwarding: one run of the origin for all who ask for the same thing at the same time.

A *flight* is one run. It has a task of its own, so nobody's leaving harms the others, and each
member waits on a future of its own. Invariants:

- A flight is in the table from `open` until it has its answer, and never after.
- A flight is judged as an entry is: by its `born`. A request that arrives after an invalidation
  that selects the flight does not join it, and opens another; the old one goes on for its members.
- An answer is given once: a result, or the exception of the run, to every member as if each had
  called. That the run was cancelled is nobody's exception: its members are told so in another way.
- A run that nobody waits for any more may finish (its result is worth storing), within a limit.
- A run that lets its members wait for too long is joined by nobody else.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

from ._types import Clock
from .coherence.index import Index
from .entry import Entry
from .errors import CacheError

R = TypeVar("R")


class _Run:
    """That some code runs for a key. A task that it leaves behind outlives it, and may wait."""

    __slots__ = ("key", "over")

    def __init__(self, key: str) -> None:
        self.key = key
        self.over = False


_within: ContextVar[tuple[_Run, ...]] = ContextVar("asgi_multitier_within", default=())
"""The runs that the running code is part of."""


@contextmanager
def running_for(key: str) -> Iterator[None]:
    """Mark the code inside as part of the run for a key."""
    run = _Run(key)
    token = _within.set((*_within.get(), run))
    try:
        yield
    finally:
        run.over = True
        _within.reset(token)


def waits_for_itself(key: str) -> bool:
    """Whether the running code is part of a run for this key, so that joining it never ends."""
    return any(run.key == key and not run.over for run in _within.get())


class WaitExpired(Exception):  # noqa: N818  # an outcome, not a fault
    """A member has waited for as long as it may; the flight goes on."""


class RunCancelled(CacheError):  # noqa: N818  # an outcome, not a fault
    """The run was cancelled: the cache was closed, or the origin cancelled itself."""


class Flight(Generic[R]):
    """One run of the origin, and those who wait for it.

    Attributes:
        probe: What is known of the entry before it exists; its `born` is the flight's.
        view: The log view at which the flight was last found valid.
        task: The run, once `launch` was called.
        waiting: Members now waiting.
        led: Whether there is somebody who gets the run's own messages.
        closed: Whether members have waited for too long: nobody else is to wait.
        superseded: Whether something younger was stored for the key while it ran.
    """

    __slots__ = (
        "_error",
        "_futures",
        "_result",
        "_traceback",
        "answered",
        "closed",
        "led",
        "probe",
        "superseded",
        "task",
        "view",
        "waiting",
    )

    def __init__(self, probe: Entry, view: int) -> None:
        self.probe = probe
        self.view = view
        self.task: asyncio.Task[None] | None = None
        self.waiting = 0
        self.led = False
        self.closed = False
        self.superseded = False
        self.answered = False
        self._futures: list[asyncio.Future[None]] = []
        self._result: R | None = None
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for what the run brings."""
        return self.led or self.waiting > 0

    def answer(self, result: R) -> None:
        """Give all members the result. The first answer counts; a later one is ignored."""
        if not self.answered:
            self._result = result
            self._wake()

    def fail(self, error: BaseException) -> None:
        """Give all members the exception."""
        if not self.answered:
            self._error = error
            self._traceback = error.__traceback__
            self._wake()

    def _wake(self) -> None:
        self.answered = True
        for future in self._futures:
            if not future.done():
                future.set_result(None)
        self._futures.clear()

    async def wait(self, timeout: float | None) -> R:
        """Wait for the answer as a member.

        Args:
            timeout: Seconds to wait at most, or None.

        Raises:
            WaitExpired: If the time is over; the flight goes on.
            RunCancelled: If the run was cancelled before it had an answer.
            BaseException: What the run raised.
        """
        if not self.answered:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._futures.append(future)
            self.waiting += 1
            try:
                async with asyncio.timeout(timeout):
                    await future
            except TimeoutError:
                raise WaitExpired from None
            finally:
                self.waiting -= 1
                if not self.answered:
                    self._futures.remove(future)
        if self._error is not None:
            # Each member raises it afresh, as it left the origin: the tracebacks of many members
            # must not pile up on it.
            raise self._error.with_traceback(self._traceback)
        return self._result  # type: ignore[return-value]  # answered without error: a result

    def renew(self, index: Index) -> None:
        """Take a newer birth: nothing of the origin's answer has been asked for yet."""
        self.probe = replace(self.probe, born=index.born())
        self.view = index.view


class _Unbegun:
    """A run that may never be begun: its task may be cancelled before its first step."""

    __slots__ = ("run",)

    def __init__(self, run: Coroutine[Any, Any, None]) -> None:
        self.run = run

    def __del__(self) -> None:
        self.run.close()


class Flights(Generic[R]):
    """The flights in the air, by key, and the keys not worth flying for.

    Args:
        index: What this node knows of the invalidation log.
        max_flights: Flights at once; beyond it requests go alone.
        max_waiters: Members waiting on one flight; beyond it requests go alone.
        fill_timeout: Seconds that a run may go on after everybody left.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        index: Index,
        *,
        max_flights: int = 10_000,
        max_waiters: int = 1_000,
        fill_timeout: float = 30.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self._index = index
        self._flights: dict[str, Flight[R]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[str, list[Flight[R]]] = {}
        self._max_flights = max_flights
        self._max_waiters = max_waiters
        self._fill_timeout = fill_timeout
        self._clock = clock
        self._solo: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._flights)

    def __repr__(self) -> str:
        return f"<Flights {len(self._flights)} in the air, {len(self._tasks)} tasks>"

    @property
    def running(self) -> int:
        """Runs going on, the answered ones that have not returned yet included."""
        return len(self._tasks)

    def find(self, key: str) -> Flight[R] | None:
        """The flight for this key that a request arriving now may join, or None."""
        flight = self._flights.get(key)
        if flight is None:
            return None
        if flight.view != self._index.view:
            if not self._index.permits(flight.probe):
                del self._flights[key]
                return None
            if self._index.settled:
                flight.view = self._index.view
        return flight

    def joinable(self, flight: Flight[R]) -> bool:
        """Whether one more may wait for it without waiting for itself."""
        crowded = flight.closed or flight.waiting >= self._max_waiters
        return not crowded and not waits_for_itself(flight.probe.key)

    def open(self, probe: Entry) -> Flight[R] | None:
        """A new flight in the table; None if there are too many or it would nest in itself."""
        if len(self._flights) >= self._max_flights or waits_for_itself(probe.key):
            return None
        flight: Flight[R] = Flight(probe, self._index.view if self._index.settled else -1)
        self._flights[probe.key] = flight
        return flight

    def launch(self, flight: Flight[R], run: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start the run in a task of its own. Its end, however it comes, lands the flight."""
        task = asyncio.create_task(self._fly(flight, _Unbegun(run)), name="asgi-multitier flight")
        flight.task = task
        self._tasks.add(task)
        self._running.setdefault(flight.probe.key, []).append(flight)
        task.add_done_callback(partial(self._ended, flight))
        return task

    def _ended(self, flight: Flight[R], task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        running = self._running.get(flight.probe.key, [])
        if flight in running:
            running.remove(flight)
        if not running:
            self._running.pop(flight.probe.key, None)
        # The members have the exception; a task that nobody awaits must not complain of it.
        if not task.cancelled():
            task.exception()

    async def _fly(self, flight: Flight[R], unbegun: "_Unbegun") -> None:
        try:
            with running_for(flight.probe.key):
                await unbegun.run
        except asyncio.CancelledError:
            self.land(flight)
            # Deliberate: to a member, a CancelledError would say that he himself was cancelled.
            flight.fail(RunCancelled(f"the run for {flight.probe.key!r} was cancelled"))
            raise
        except BaseException as error:
            self.land(flight)
            flight.fail(error)
            raise
        finally:
            self.land(flight)

    def land(self, flight: Flight[R]) -> None:
        """Take the flight out of the table: later requests do not join it."""
        if self._flights.get(flight.probe.key) is flight:
            del self._flights[flight.probe.key]

    def flies(self, flight: Flight[R]) -> bool:
        """Whether it is still the one that later requests would join."""
        return self._flights.get(flight.probe.key) is flight

    def supersede(self, key: str) -> None:
        """What a run for this key will bring is out of date: later requests do not join it."""
        self._flights.pop(key, None)
        for flight in self._running.get(key, ()):
            flight.superseded = True

    def forget(self) -> None:
        """The event loop that everything here belonged to is gone."""
        self._flights.clear()
        self._running.clear()
        self._tasks.clear()
        self._solo.clear()

    def abandon(self, flight: Flight[R]) -> None:
        """A member left. If it was the last one, the run has `fill_timeout` seconds to answer."""
        task = flight.task
        if task is None or task.done() or flight.wanted:
            return
        timer = asyncio.get_running_loop().call_later(self._fill_timeout, self._give_up, flight)
        task.add_done_callback(lambda _: timer.cancel())

    def _give_up(self, flight: Flight[R]) -> None:
        if flight.task is not None and not flight.answered and not flight.wanted:
            flight.task.cancel()

    def mark_solo(self, key: str, seconds: float) -> None:
        """Remember for a while that this key's answers are not shared (Varnish's hit-for-miss)."""
        self._solo[key] = self._clock() + seconds
        self._solo.move_to_end(key)
        if len(self._solo) > self._max_flights:
            self._solo.popitem(last=False)

    def is_solo(self, key: str) -> bool:
        """Whether requests for this key should not wait for each other."""
        until = self._solo.get(key)
        if until is None:
            return False
        if self._clock() < until:
            return True
        del self._solo[key]
        return False

    def clear_solo(self, key: str) -> None:
        """The key's answers can be shared after all."""
        self._solo.pop(key, None)

    async def close(self, timeout: float) -> None:
        """Let runs finish for up to `timeout` seconds, cancel the rest, leave none behind."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._flights.clear()
        self._solo.clear()
