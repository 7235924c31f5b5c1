"""Reads of the shared tiers: those of one turn of the event loop go in one round trip.

The stack decides which replies are valid; here is only which keys are read, and where.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from .._types import Clock
from ..entry import Slot
from ..events import Events
from ..policy.key import storage_key
from ..tiers.base import Held
from ..tracing.asking import asked_by
from .placed import AT_ONCE, Placed, together

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class Found(msgspec.Struct, frozen=True, gc=False):
    """An entry that a shared tier had. As of the slot, the garbage collector knows nothing of it.

    Attributes:
        slot: The entry, now in the local tier too if it was promoted.
        level: The level of the tier that had it.
    """

    slot: Slot
    level: int


Admit: TypeAlias = Callable[
    [Placed, Sequence[str], Sequence[Held | None], float],
    Coroutine[Any, Any, Sequence[Found | None]],
]
"""Of keys, what a tier has for each of them and when it was asked, what may be used, in the same
order."""

Waiting: TypeAlias = dict[str, list["asyncio.Future[Found | None]"]]
"""Callers that wait, by key, in one event loop."""


class Reading:
    """Keys that are being read, and the callers that wait for them.

    Attributes:
        left: Keys without an answer.
    """

    __slots__ = ("_waiting", "left")

    def __init__(self, keys: Sequence[str], waiting: Waiting) -> None:
        self.left = dict.fromkeys(keys)
        self._waiting = waiting

    def answer(self, key: str, found: Found | None) -> None:
        """End the read of a key; from now on it may be asked for again."""
        del self.left[key]
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(found)

    def answer_found(self, keys: Sequence[str], found: Sequence[Found | None]) -> None:
        """End the read of those keys for which something is found."""
        left, waiting = self.left, self._waiting
        for key, one in zip(keys, found, strict=True):
            if one is not None:
                del left[key]
                for future in waiting.pop(key, ()):
                    if not future.done():
                        future.set_result(one)


class Reads:
    """The reads going on in one event loop.

    Args:
        shared: The tiers, in ascending level.
        admit: Decides what of their replies counts.
        spawn: Runs a coroutine in a task that is waited for at the end.
        clock: Monotonic seconds.
        events: Has the spans of the cache.

    Attributes:
        wanted: Keys whose read begins with the next turn.
    """

    def __init__(
        self,
        shared: Sequence[Placed],
        admit: Admit,
        spawn: Callable[[Coroutine[Any, Any, Any], str], "asyncio.Task[Any]"],
        clock: Clock,
        events: Events,
    ) -> None:
        self._events = events
        self._askers: list[Span] = []
        self._shared = shared
        self._admit = admit
        self._spawn = spawn
        self._clock = clock
        self._waiting: Waiting = {}
        self.wanted: list[str] = []
        self._loop: asyncio.AbstractEventLoop

    def ask(self, key: str) -> "asyncio.Future[Found | None]":
        """Ask the shared tiers, first to last; what is found is promoted."""
        # One reading for all callers of this turn, and a future for each: a caller that leaves
        # must not cancel it for the others.
        future: asyncio.Future[Found | None]
        waiting = self._waiting.get(key)
        if waiting is not None:
            future = waiting[0].get_loop().create_future()
            waiting.append(future)
            return future
        if not self.wanted:  # once a turn: to find the event loop out is a system call
            self._loop = asyncio.get_running_loop()
            # The task begins with the next turn, and takes what this one has asked for.
            wanted = self.wanted = []
            reading = self._spawn(self._read(wanted), "asgi-multitier read")
            reading.add_done_callback(partial(self._ended, wanted))
        future = self._loop.create_future()
        self._waiting[key] = [future]
        self.wanted.append(key)
        if (traces := self._events.traces) is not None:
            traces.asks(self._askers)
        return future

    async def _read(self, keys: list[str]) -> None:
        self.wanted = []
        if self._askers:
            asked_by(self._askers)
            self._askers = []
        reading = Reading(keys, self._waiting)
        try:
            await self._read_below(0, keys, reading)
        finally:
            for key in list(reading.left):
                reading.answer(key, None)

    def _ended(self, keys: list[str], reading: "asyncio.Task[Any]") -> None:
        """Answer those who wait for a read that was cancelled before it began."""
        if reading.cancelled() and self.wanted is keys:
            self.wanted = []
            begun = Reading(keys, self._waiting)
            for key in keys:
                begun.answer(key, None)

    async def _read_below(self, place: int, keys: list[str], reading: Reading) -> None:
        """Ask the tier in this place, and those below for what it has not."""
        if place == len(self._shared):
            for key in keys:
                reading.answer(key, None)
            return
        asked = {storage_key(key): key for key in keys}
        servers = self._shared[place].by_server(asked)
        if len(servers) == 1:  # the rule; the keys are in the same order
            ((server, names),) = servers.items()
            await self._read_server(place, server, names, keys, reading)
            return
        await together(
            self._read_server(place, server, names, [asked[name] for name in names], reading)
            for server, names in servers.items()
        )

    async def _read_server(
        self, place: int, server: str, names: Sequence[str], keys: Sequence[str], reading: Reading
    ) -> None:
        """Ask a server for all of its keys, each part within a time limit of its own.

        Where one is not answered the others are not waited for.
        """
        placed = self._shared[place]
        for start in range(0, len(names), AT_ONCE):
            begun = self._clock()
            replies = await placed.get(server, names[start : start + AT_ONCE])
            if replies is None:
                break
            part = keys[start : start + AT_ONCE]
            # At once, while the decision is valid: a later caller starts another read.
            reading.answer_found(part, await self._admit(placed, part, replies, begun))
        left = [key for key in keys if key in reading.left] if reading.left else []
        if left:
            await self._read_below(place + 1, left, reading)
