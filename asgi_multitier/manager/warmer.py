"""The warm-up that a process begins by itself, and what it tells the next one.

While it runs, a process counts a sample of what clients ask for, and adds its counts to a list in
the first shared tier, once a minute and when it is closed. A process that has started reads the
list, and asks its own application for what stands first in it.
"""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from random import shuffle, uniform
from typing import Any, Protocol

from ..engine.document import Document, NoAnswer
from ..engine.engine import Engine
from ..engine.health import WarmUpHealth
from ..policy.status_field import CacheStatus
from ..warming.pace import Door, ask_all
from ..warming.popularity import Counts, Ranking, written
from ..warming.report import Reply, Results
from ..warming.targets import Target
from .popular import NO_ANSWER, NO_LIST, NO_TIER, document_of, ranking_in

RATE = 10.0
"""Requests a second of a warm-up after the start."""

SAMPLE_EVERY = 1.0
"""Seconds between two samples."""

SAMPLE = 10
"""Requests of a sample."""

PUBLISH_EVERY = 60.0
"""Seconds between two times that the counts are added to the list, roughly."""

ANSWERED_WITHIN = 30
"""Times that the list is asked for, a second apart, until the tier answers."""

BLOCK = 20
"""Targets that are asked for in any order: processes that start at once do not all ask for the same
one, and find what another has stored."""

NOT_OPEN = "not-open"
"""The reason of a target whose response is not, or not any more, for anyone."""


class Cache(Protocol):
    """What is asked of a manager here."""

    @property
    def engine(self) -> Engine:
        """Its parts."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    def spawn(self, run: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        """A task that belongs to it."""

    async def attached(self) -> None:
        """Wait until it follows the log."""


class Warmer:
    """The warm-up of one process, and its counts of what clients ask for.

    Args:
        cache: The manager.
        door: Asks the application.
        top: How many targets are asked for.
    """

    def __init__(self, cache: Cache, door: Door, top: int) -> None:
        self._cache = cache
        self._door = door
        self._top = top
        self._counts = Counts()
        self._results = Results()
        self._state, self._detail = "off", ""
        self._tasks: list[asyncio.Task[Any]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def health(self) -> WarmUpHealth:
        """How far it is."""
        report = self._results.report()
        return WarmUpHealth(
            state=self._state,
            detail=self._detail,
            asked=report.asked,
            stored=report.stored,
            hits=report.hits,
            bypassed=sum(report.bypassed.values()),
            failed=report.failed,
        )

    # Life.

    def begin(self) -> None:
        """Begin, unless it has begun in this event loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._state, self._detail, self._results = "running", "", Results()
            # What was set around the caller, such as a request, is not around these.
            self._tasks = [
                Context().run(self._cache.spawn, run(), f"asgi-multitier {name}")
                for name, run in (("warm-up", self._warm), ("sample", self._sample))
            ]

    async def end(self) -> None:
        """Cancel what is under way, and tell what was counted."""
        if self._loop is not asyncio.get_running_loop():
            # What another event loop ran has ended with it.
            self.reset()
            return
        await _cancelled(self._tasks)
        if self._document() is not None:
            self._count(0)
        await self._publish()
        self.reset()

    def reset(self) -> None:
        """Be as if just made: the cache has ended."""
        self._tasks, self._counts, self._loop = [], Counts(), None
        self._state, self._detail, self._results = "off", "", Results()

    # What a process that has started asks for.

    async def _warm(self) -> None:
        await self._cache.attached()
        ranking = await self._ranking()
        if ranking is not None:
            targets = _mixed(ranking.top(self._top))
            await ask_all(targets, self._ask, self._results, rate=RATE)
            report = self._results.report()
            events = self._cache.engine.events
            events.warm_up_done(report.asked, report.failures, report.failed)
        self._state = "done"

    async def _ranking(self) -> Ranking | None:
        """The list of all processes; None if there is none."""
        document = self._document()
        if document is None:
            self._detail = NO_TIER
            return None
        for _ in range(ANSWERED_WITHIN):
            try:
                ranking = await ranking_in(document)
            except NoAnswer:
                self._detail = NO_ANSWER
                await asyncio.sleep(SAMPLE_EVERY)
                continue
            self._detail = "" if ranking is not None else NO_LIST
            return ranking
        return None

    async def _ask(self, target: Target) -> Reply:
        return await ask_if_open(self._door, target)

    # What it tells others.

    async def _sample(self) -> None:
        if self._document() is None:
            return
        loop = asyncio.get_running_loop()
        published = loop.time()
        pause = PUBLISH_EVERY * uniform(0.8, 1.2)  # noqa: S311  # not a secret
        while True:
            self._count(SAMPLE)
            if loop.time() - published >= pause:
                published = loop.time()
                await self._publish()
            await asyncio.sleep(SAMPLE_EVERY)

    def _count(self, size: int) -> None:
        """Count what a sample has noted, and begin another of that size; 0 for none."""
        for target in self._door.sampled(size):
            self._counts.add(target)

    async def _publish(self) -> None:
        """Add what was counted to the list, unless the tier does not answer: then later."""
        document = self._document()
        if document is None or not len(self._counts):
            return
        counts = self._counts.take()
        try:
            ranking = await ranking_in(document) or Ranking()
        except NoAnswer:
            self._counts.give_back(counts)
            return
        joined = ranking.joined(counts, self._cache.engine.wall())
        if not await document.write(written(joined)):
            self._counts.give_back(counts)

    def _document(self) -> Document | None:
        """Where the list is; None without a shared tier."""
        return document_of(self._cache)


async def ask_if_open(door: Door, target: Target) -> Reply:
    """Ask for a target, if it is for anyone at this moment: not while the cache is off."""
    if door.is_open(target):
        return await door.ask(target)
    return Reply(0, CacheStatus(detail=NOT_OPEN))


def _mixed(targets: list[Target]) -> list[Target]:
    """The targets, in any order within each block."""
    mixed: list[Target] = []
    for start in range(0, len(targets), BLOCK):
        block = targets[start : start + BLOCK]
        shuffle(block)
        mixed += block
    return mixed


async def _cancelled(tasks: "list[asyncio.Task[Any]]") -> None:
    """Cancel tasks, and wait for their ends."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
