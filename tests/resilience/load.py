"""Load on one process that knows what each answer may say, and notes how long each took."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from tests.coherence.probe import Caller, Instance, Reply
from tests.coherence.versions import Versions

CALLERS = 8
HOT = range(1, 9)
"""Keys that the first tier always holds."""

COLD = range(100, 400)
"""Keys that it has no room for."""

ROOM = 64
"""Entries that the process is to have room for."""

_PAUSE = 0.002


class Asked(NamedTuple):
    """One request.

    Attributes:
        sent: Loop time.
        taken: Seconds until it was answered.
        how: `l1` or `l2` for a hit, `miss`, or `edit`.
    """

    sent: float
    taken: float
    how: str


class Load:
    """Readers and editors of one process, one request at a time each.

    Args:
        process: The process; it has room for `ROOM` entries in its first tier.
        versions: What its origin serves.
        seed: Decides what is asked for.

    Attributes:
        asked: Every request that was answered.
        wrong: What was answered and should not have been.
    """

    def __init__(self, process: Instance, versions: Versions, seed: int) -> None:
        self.asked: list[Asked] = []
        self.wrong: list[str] = []
        self._process = process
        self._versions = versions
        self._random = random.Random(seed)
        self._edited: dict[int, int] = {}
        self._editing: set[int] = set()
        self._new = iter(range(1_000, 60_000))
        self._clock = asyncio.get_running_loop().time

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load while the block runs; ends in order, and with what a caller failed of."""
        self._stopping = False
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(self._call())
            yield
            self._stopping = True

    def took(self, since: float, until: float, share: float) -> float:
        """A share of the times of all requests sent in a while, 1 for the longest."""
        times = sorted(each.taken for each in self.asked if since <= each.sent < until)
        assert times, "nothing was asked in that while"
        return times[min(len(times) - 1, int(share * len(times)))]

    def count(self, how: str, since: float = 0.0) -> int:
        """Requests sent since then that were answered that way."""
        return sum(each.how == how and each.sent >= since for each in self.asked)

    async def _call(self) -> None:
        caller = self._process.caller()
        while not self._stopping:
            choice = self._random.random()
            if choice < 0.1:
                await self._edit(caller)
            elif choice < 0.5:
                await self._read(caller, self._random.choice(HOT))
            elif choice < 0.95:
                await self._read(caller, self._random.choice(COLD))
            else:
                await self._read(caller, next(self._new))
            await asyncio.sleep(_PAUSE)

    async def _read(self, caller: Caller, key: int) -> None:
        least = self._edited.get(key, 0)
        reply, sent = await self._ask(caller, f"/v/{key}", "GET")
        if reply and not least <= int(reply.text) <= self._versions[key]:
            self.wrong.append(f"{reply.text} of key {key} at {sent}, edited to {least}")

    async def _edit(self, caller: Caller) -> None:
        key = self._random.choice([*HOT, *COLD])
        if key in self._editing:
            return
        self._editing.add(key)
        reply, _ = await self._ask(caller, f"/tag/{key}", "PUT")
        if reply:
            self._edited[key] = int(reply.text)
        self._editing.discard(key)

    async def _ask(self, caller: Caller, target: str, method: str) -> tuple[Reply | None, float]:
        sent = self._clock()
        reply = await caller.ask(target, method)
        if reply.status != 200:
            self.wrong.append(f"{reply.status} for {method} {target} at {sent}")
            return None, sent
        how = "edit" if method == "PUT" else "miss"
        for tier in ("l1", "l2"):
            if b"detail=" + tier.encode() in reply.head:
                how = tier
        self.asked.append(Asked(sent, self._clock() - sent, how))
        return reply, sent
