"""Reads of the shared tiers: those of one turn of the event loop go in one round trip.

The stack decides which replies are valid; here is only which keys are read, and where.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..entry import Slot
from ..policy.key import storage_key
from ..tiers.base import Held
from .placed import AT_ONCE, Placed, together


class Found(NamedTuple):
    """An entry that a shared tier had.

    Attributes:
        slot: The entry, now in the local tier too if it was promoted.
        level: The level of the tier that had it.
    """

    slot: Slot
    level: int


Admit: TypeAlias = Callable[
    [Placed, Sequence[tuple[str, Held]]], Coroutine[Any, Any, dict[str, Found]]
]
"""Of keys and what a tier has for them, what may be used, by key."""

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


class Reads:
    """The reads going on in one event loop.

    Args:
        shared: The tiers, in ascending level.
        admit: Decides what of their replies counts.
        spawn: Runs a coroutine in a task that is waited for at the end.
    """

    def __init__(
        self,
        shared: Sequence[Placed],
        admit: Admit,
        spawn: Callable[[Coroutine[Any, Any, Any], str], object],
    ) -> None:
        self._shared = shared
        self._admit = admit
        self._spawn = spawn
        self._waiting: Waiting = {}
        self._wanted: list[str] = []

    def ask(self, key: str) -> "asyncio.Future[Found | None]":
        """Ask the shared tiers, first to last; what is found is promoted."""
        loop = asyncio.get_running_loop()
        # One reading for all callers of this turn, and a future for each: a caller that leaves
        # must not cancel it for the others.
        future: asyncio.Future[Found | None] = loop.create_future()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(future)
            return future
        self._waiting[key] = [future]
        self._wanted.append(key)
        if len(self._wanted) == 1:
            loop.call_soon(self._start)
        return future

    def _start(self) -> None:
        keys, self._wanted = self._wanted, []
        self._spawn(self._read(keys), "asgi-multitier read")

    async def _read(self, keys: list[str]) -> None:
        reading = Reading(keys, self._waiting)
        try:
            await self._read_below(0, keys, reading)
        finally:
            for key in list(reading.left):
                reading.answer(key, None)

    async def _read_below(self, place: int, keys: list[str], reading: Reading) -> None:
        """Ask the tier in this place, and those below for what it has not."""
        if place == len(self._shared):
            for key in keys:
                reading.answer(key, None)
            return
        asked = {storage_key(key): key for key in keys}
        await together(
            self._read_server(place, server, {name: asked[name] for name in names}, reading)
            for server, names in self._shared[place].by_server(asked).items()
        )

    async def _read_server(
        self, place: int, server: str, asked: dict[str, str], reading: Reading
    ) -> None:
        """Ask a server for all of its keys, each part within a time limit of its own.

        Where one is not answered the others are not waited for.
        """
        names = list(asked)
        for start in range(0, len(names), AT_ONCE):
            part = {name: asked[name] for name in names[start : start + AT_ONCE]}
            found = await self._read_from(self._shared[place], server, part)
            if found is None:
                break
            # At once, while the decision is valid: a later caller starts another read.
            for key, answer in found.items():
                reading.answer(key, answer)
        left = [key for key in asked.values() if key in reading.left]
        if left:
            await self._read_below(place + 1, left, reading)

    async def _read_from(
        self, placed: Placed, server: str, asked: dict[str, str]
    ) -> dict[str, Found] | None:
        """What a tier has of these keys, given by the names it has for them.

        None if it does not answer.
        """
        replies = await placed.get(server, list(asked))
        if replies is None:
            return None
        pairs = zip(asked.values(), replies, strict=True)
        return await self._admit(placed, [(key, held) for key, held in pairs if held is not None])
