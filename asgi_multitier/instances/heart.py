"""The task by which an instance tells the others of itself.

A beat every five seconds or so, and at once at the start, at the end, when the log begins or ends
to be trusted or is of another generation, and when another instance asks for it. Nothing of it is
ever in the way of a request: a store that does not answer is counted.
"""

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from random import uniform
from typing import Any, Protocol

from .._about import __version__
from ..coherence.beats import BeatStore
from ..coherence.outbox import COMMIT
from ..coherence.shared import SharedLog
from ..config.process import CacheConfig
from ..engine.engine import Engine
from ..tiers.memory import MemoryTier
from ..tracing import background
from .beat import Beat, BeatCodec
from .findings import CLOCK

EVERY = 5.0
"""Seconds between two beats, roughly."""

LOOK = 1.0
"""Seconds between two looks at whether there is something to tell at once."""

PAUSE = 0.1
"""Seconds between two beats at least, however many ask for one."""

_NOTABLE = 0.01
"""Seconds by which clocks must differ for the times in records to be corrected."""

_ROUND_TRIPS = 8
"""Beats of which the fastest tells how far the clocks are apart."""


class Cache(Protocol):
    """What is asked of a manager here."""

    config: CacheConfig

    @property
    def engine(self) -> Engine:
        """Its parts."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def application(self) -> str:
        """The application's own name; "" if it has none, or is not known."""

    @property
    def mode(self) -> str:
        """Whether it is used."""

    def spawn(self, run: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        """A task that belongs to it."""

    async def attached(self) -> None:
        """Wait until it follows the log."""


class Heart:
    """Tells the other instances of this one.

    Args:
        cache: The manager.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._host = socket.gethostname()
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._started = self._began = 0.0
        self._asked = asyncio.Event()
        self._told: object = None
        self._round_trips: deque[tuple[float, float]] = deque(maxlen=_ROUND_TRIPS)

    # Life.

    def begin(self) -> None:
        """Begin, unless it has begun in this event loop of this process."""
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._pid == os.getpid():
            return
        log = self._cache.engine.log
        if not isinstance(log, SharedLog):
            return  # a log without other instances
        if self._pid != os.getpid():
            self._started, self._began = time.time(), time.monotonic()
        self._loop, self._pid = loop, os.getpid()
        self._asked, self._told = asyncio.Event(), None
        self._round_trips.clear()
        log.on_asked(self._on_asked)
        self._task = None
        if log.beats is not None:
            self._beat_regularly()

    def _on_asked(self) -> None:
        """A beat is asked for; perhaps by the first other instance that there is."""
        self._asked.set()
        if self._task is None and self._loop is asyncio.get_running_loop():
            self._beat_regularly()

    def _beat_regularly(self) -> None:
        # What was set around the caller, such as a request, is not around this.
        self._task = background().run(self._cache.spawn, self._run(), "asgi-multitier heartbeat")

    async def end(self) -> None:
        """Tell that this instance ends."""
        task, here = self._task, self._loop is asyncio.get_running_loop()
        self.reset()
        if not here or task is None:
            return  # what another event loop ran has ended with it
        task.cancel()
        await asyncio.wait({task})
        if self._cache.mode != "off" and self._cache.engine.log.trusted:
            # As long as for a record: who closes does not wait for a server that hangs.
            with suppress(TimeoutError):
                async with asyncio.timeout(COMMIT):
                    await self.beat(closing=True)

    def reset(self) -> None:
        """Be as if just made: the cache has ended."""
        self._task = self._loop = None
        self._pid = 0

    async def _run(self) -> None:
        await self._cache.attached()
        while True:
            if self._cache.mode != "off" or self._was_on:
                await self.beat()
            await self._until_due()

    @property
    def _was_on(self) -> bool:
        """Whether others believe that this instance uses its cache."""
        return isinstance(self._told, tuple) and self._told[0] != "off"

    def _news(self) -> tuple[str, str, bool]:
        """What is told at once if it has changed."""
        log = self._cache.engine.log
        return self._cache.mode, log.index.gen, log.trusted

    async def _until_due(self) -> None:
        """Wait until it is time for a beat, there is something to tell, or one is asked for."""
        loop = asyncio.get_running_loop()
        due = loop.time() + EVERY * uniform(0.9, 1.1)  # noqa: S311  # not a secret
        await asyncio.sleep(PAUSE)
        while (left := due - loop.time()) > 0 and self._news() == self._told:
            try:
                async with asyncio.timeout(min(left, LOOK)):
                    await self._asked.wait()
                break
            except TimeoutError:
                continue

    # Beats.

    async def beat(self, *, closing: bool = False) -> None:
        """Tell the others of this instance, if there is a place for it."""
        self._asked.clear()
        self._told = self._news()
        cache = self._cache
        store = store_of(cache.engine)
        if store is None or not cache.engine.index.gen:
            return  # there may be no server at all, or none was seen yet
        try:
            data, mac = codec_of(cache).encode(self.reading(closing=closing))
            begun = time.time()
            stored = await store.add(data, mac)
        except Exception as error:  # noqa: BLE001  # also of a user's tier that breaks its contract
            cache.engine.events.beat_failed(error, said=not cache.engine.log.trusted)
            return
        ended = time.time()
        self._note(ended - begun, stored.at - (begun + ended) / 2)
        self._correct_clock()

    def _note(self, took: float, offset: float) -> None:
        """Note how far the clocks are apart, and forget what a clock that was set contradicts.

        If that of the store was set back, its places stand still until it has caught up, and with
        them its times: then only the latest beat tells what it calls now.
        """
        known = self.clock_offset
        if known is not None and abs(offset - known) > took + CLOCK:
            self._round_trips.clear()
        self._round_trips.append((took, offset))

    def _correct_clock(self) -> None:
        """Let records say when they were written by the clock that all instances can know."""
        log, (took, offset) = self._cache.engine.log, min(self._round_trips)
        if isinstance(log, SharedLog):
            # A smaller difference may as well be the way to the server.
            log.clock_offset = offset if abs(offset) > max(took, _NOTABLE) else 0.0

    @property
    def clock_offset(self) -> float | None:
        """Seconds by which the clock of the store is ahead, best told by the fastest round trip.

        None if it is not known.
        """
        return min(self._round_trips)[1] if self._round_trips else None

    def reading(self, *, closing: bool = False) -> Beat:
        """What there is to tell now."""
        engine, config = self._cache.engine, self._cache.config
        total, log, local = engine.events.total(), engine.log.stats(), engine.stack.local
        memory = local.statistics() if isinstance(local, MemoryTier) else None
        now = engine.clock()
        return Beat(
            node=getattr(engine.log, "node", "") or "-",
            host=self._host[:255],
            pid=os.getpid(),
            application=self._cache.application[:255],
            release=config.version,
            version=__version__,
            started=self._started,
            uptime=round(time.monotonic() - self._began, 3) if self._began else 0.0,
            mode=self._cache.mode,
            closing=closing,
            gen=log.gen,
            seq=log.seq,
            trusted=engine.log.trusted,
            queued=log.queued,
            lag=round(log.lag_p99, 6),
            clock_offset=None if self.clock_offset is None else round(self.clock_offset, 4),
            requests=total.requests,
            hits=total.total_hits + total.stale + total.coalesced,
            misses=total.misses,
            l1_entries=len(local),
            l1_bytes=None if memory is None else memory.bytes,
            l1_limit=None if memory is None else memory.max_bytes,
            breakers={
                placed.tier.name[:255]: placed.state(now).value
                for placed in engine.stack.shared[:16]
            },
            url=config.instance_url or "",
        )


def store_of(engine: Engine) -> BeatStore | None:
    """Where the instances that follow this log tell of themselves; None if nowhere."""
    return engine.log.beats if isinstance(engine.log, SharedLog) else None


def codec_of(cache: Cache) -> BeatCodec:
    """What reads and writes the beats of a manager's namespace."""
    return BeatCodec(cache.namespace, cache.config.secret)
