"""The machine that an application of the corpus runs on: its time, its jobs, its chance."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from random import Random

from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from asgi_multitier.testing import FakeClock

EPOCH = 1_767_225_600.0
"""What the clock's zero is in Unix seconds: 1 January 2026."""

Job = Callable[[], object]


class Gate:
    """A place in an endpoint where requests wait while a drive keeps it closed."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()

    def close(self) -> None:
        """Let requests wait from here on."""
        self._opened.clear()

    def open(self) -> None:
        """Let them go on."""
        self._opened.set()

    async def passed(self) -> None:
        """Wait until it is open."""
        await self._opened.wait()


class World:
    """Time, jobs that become due, chance, and gates.

    Args:
        clock: The clock of the cache too.
        seed: What chance begins with, that of the traffic too.

    Attributes:
        clock: The clock.
        seed: What chance begins with.
        chance: Random values of the application; those of the traffic are others.
        is_still: Whether no job is ever done.
    """

    def __init__(self, clock: FakeClock, seed: str) -> None:
        self.clock = clock
        self.seed = seed
        self.chance = Random(f"application {seed}")
        self.is_still = False
        self._jobs: list[tuple[float, int, Job]] = []
        self._numbers = count()
        self._gates: dict[str, Gate] = {}

    @property
    def now(self) -> float:
        """Seconds of the clock."""
        return self.clock.now

    @property
    def utc(self) -> datetime:
        """The time of day that an application sees."""
        return datetime.fromtimestamp(EPOCH + self.now, UTC)

    def gate(self, name: str) -> Gate:
        """The gate of this name."""
        return self._gates.setdefault(name, Gate())

    def later(self, seconds: float, job: Job) -> None:
        """Have something done when so much time has passed: by a queue, a replica, a timer."""
        if not self.is_still:
            heapq.heappush(self._jobs, (self.now + seconds, next(self._numbers), job))

    def every(self, seconds: float, job: Job) -> None:
        """Have something done again and again, as a worker does."""

        def again() -> None:
            self.later(seconds, again)
            job()

        self.later(seconds, again)

    def pass_until(self, moment: float) -> None:
        """Let time pass; what is due is done at its time."""
        while self._jobs and self._jobs[0][0] <= moment:
            due, _, job = heapq.heappop(self._jobs)
            self.clock.advance(max(0.0, due - self.now))
            job()
        self.clock.advance(max(0.0, moment - self.now))


class Working:
    """A middleware inside of the cache by which a run of the application takes time.

    Args:
        app: The application.
        world: Whose clock it moves.
    """

    def __init__(self, app: ASGIApp, world: World) -> None:
        self.app = app
        self.world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.world.clock.advance(0.003)
        await self.app(scope, receive, send)
        self.world.clock.advance(0.001)
