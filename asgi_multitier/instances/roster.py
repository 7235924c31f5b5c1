"""Reading what all instances tell: who there is, and who has read the log up to a position.

To know at once who has read it, a record that drops nothing is written to the log. An instance
that applies it tells its position, without waiting for its next beat. Every release reads such a
record.
"""

import asyncio
import time

from ..coherence.beats import StoredBeat
from ..entry import Born
from ..errors import BackendError
from .beat import Heard
from .fleet import WINDOW, Fleet, fleet_of
from .heart import Cache, Heart, codec_of, store_of
from .seen import Seen, seen_of

_FIRST = 0.005
_LONGEST = 0.1
"""Seconds between two looks at who has told its position."""


class Roster:
    """What is known of all instances, read once or several times.

    Args:
        cache: The manager.
        heart: What this process tells.
    """

    def __init__(self, cache: Cache, heart: Heart) -> None:
        self._cache = cache
        self._heart = heart
        self._stored: list[StoredBeat] = []
        self._complete = True

    async def read(self) -> Fleet:
        """All instances, as they are known now. Of a store that does not answer, this one alone."""
        store = store_of(self._cache.engine)
        if store is not None:
            try:
                if self._stored:
                    self._stored += await store.after(self._stored[-1].id)
                else:
                    self._stored = await store.last(WINDOW)
                self._complete = True
            except BackendError:
                self._complete = False
        return self._fleet("none" if store is None else store.source)

    def _fleet(self, source: str) -> Fleet:
        cache = self._cache
        now = time.time() + (self._heart.clock_offset or 0.0)
        if self._stored:
            now = max(now, self._stored[-1].at)
            if self._heart.clock_offset is None:
                # A clock that was not compared does not tell that all others are silent.
                now = min(now, self._stored[-1].at + 1.0)
        heard = codec_of(cache).heard(self._stored)
        own = self._heart.reading()
        shown = cache.config.heartbeat
        if shown:
            heard.append(Heard(now, own))
        return fleet_of(
            heard,
            namespace=cache.namespace,
            source=source,
            now=now,
            own=own.node if shown else "",
            complete=self._complete,
        )

    async def seen(self, position: Born | None, wait: float) -> Seen:
        """Who has read the log up to a position, once all have or the time is over.

        Args:
            position: The position; None for all that this process has written.
            wait: Seconds to wait at most.
        """
        loop = asyncio.get_running_loop()
        begun, pause = loop.time(), _FIRST
        log = self._cache.engine.log
        asked = await log.commit(log.begin(()))
        if position is None:
            queued = log.stats().queued
            position = asked if asked is not None and not queued else Born("", 0)
        await log.reached(position, wait)
        while True:
            fleet = await self.read()
            passed = loop.time() - begun
            seen = seen_of(position, fleet.up, passed)
            if seen.by_all or not position.gen or passed >= wait:
                return seen
            await asyncio.sleep(min(pause, wait - passed))
            pause = min(2 * pause, _LONGEST)
