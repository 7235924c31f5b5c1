"""Audits of hits: which hits are chosen, how many runs they take, and the tasks that do them.

What an audit does is known where requests are known: `asgi.auditing`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from random import Random
from typing import Any, Final

from .._types import Clock
from ..events import MANAGER, Events
from .sampling import Doors, Picker

_FIRST = 1 << 40


class Audits:
    """The audits of one cache.

    Args:
        rate: The share of hits that is audited; None for none.
        runs: Runs of the application that begin in a second at most, and that go on at a time.
        events: Where hits are counted.
        doors: Show what answers hits.
        clock: Monotonic seconds.
        chance: Draws lots.

    Attributes:
        tasks: The audits under way.
        numbers: Of what is observed for audits, whichever middleware of the cache observes it;
            what is observed otherwise is numbered from 1 on.
        noted: Whether one of these tells mutations to the ledger of the cache.
    """

    def __init__(
        self,
        rate: float | None,
        runs: int,
        events: Events,
        doors: Doors,
        clock: Clock,
        chance: Random | None = None,
    ) -> None:
        self._events = events
        self._left_out: set[str] = {MANAGER}
        self.tasks: set[asyncio.Task[None]] = set()
        self.numbers: Final = count(_FIRST)
        self.noted = False
        self._picker: Picker | None = None
        if rate is not None:
            self._picker = Picker(rate, runs, self._count, doors, clock, chance)

    def __len__(self) -> int:
        return len(self.tasks)

    @property
    def due(self) -> bool:
        """Whether the next hits are to go the general way, until one of them is chosen."""
        return self._picker is not None and self._picker.armed

    @property
    def skipped(self) -> int:
        """Hits that were due when there was no run left for them."""
        return 0 if self._picker is None else self._picker.skipped

    def leave_out(self, route: str) -> None:
        """Audit no hits of a route; their number is that of the application's routes."""
        self._left_out.add(route)

    def _count(self) -> tuple[int, int]:
        """Hits so far, and of how many routes."""
        tallies = self._events.tallies
        counted = [tallies[route] for route in list(tallies) if route not in self._left_out]
        hits = sum(tally.local + sum(list(tally.hits.values())) for tally in counted)
        return hits, len(counted)

    def begin(self) -> None:
        """Choose hits from here on, in the running event loop."""
        if self._picker is not None:
            self._picker.begin(asyncio.get_running_loop())

    def chooses(self) -> bool:
        """Whether the hit that the general way answers now is audited; then `launch` is called."""
        return self._picker is not None and self._picker.chooses()

    def launch(self, audit: Callable[[], Coroutine[Any, Any, None]], route: str) -> None:
        """Begin the audit of a chosen hit, in the context of its request but a trace of its own.

        It is called in the task: one that is cancelled before its first step leaves no coroutine.

        Args:
            audit: What the task does.
            route: The route, for its span.
        """
        traces = self._events.traces
        trace = None if traces is None else traces.run(route, "audit")
        inside = None if trace is None else trace.inside
        task = asyncio.create_task(self._audit(audit), name="asgi-multitier audit", context=inside)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        if trace is not None:
            task.add_done_callback(lambda ended: trace.end(None, cancelled=ended.cancelled()))

    def release(self) -> None:
        """The run of a chosen hit has ended; what follows needs none."""
        if self._picker is not None:
            self._picker.release()

    async def _audit(self, audit: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await audit()
        except Exception as error:  # noqa: BLE001  # no request waits for it
            self._events.audit_failed(error)

    def forget(self) -> None:
        """The event loop of the tasks is gone."""
        self.tasks = set()

    def end(self) -> None:
        """Choose no more hits, until it begins again."""
        if self._picker is not None:
            self._picker.end()

    async def close(self) -> None:
        """Choose no more hits, cancel the audits under way, and wait until they have ended."""
        self.end()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
