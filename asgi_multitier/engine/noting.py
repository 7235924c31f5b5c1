"""The tiers in debug mode: where a request looks, and what it finds, is noted for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from time import perf_counter

import msgspec

from ..entry import Entry, Slot, Variants
from ..policy.debug_field import Look
from .reads import Found
from .stack import TierStack

_MOST = 32
"""Looks that are noted for one request."""


class Noted(msgspec.Struct):
    """What one request has looked for.

    Attributes:
        key: The last key; "" for none.
        entry: The response that was found last; None if none was.
        looks: The looks into tiers, in order.
    """

    key: str = ""
    entry: Entry | None = None
    looks: list[Look] = msgspec.field(default_factory=list)

    def note(self, key: str, level: int, entry: Entry | None, took: float, now: float) -> None:
        """Add a look; a second one that finds nothing in the same tier says nothing new."""
        state = "none"
        if entry is not None:
            state = "fresh" if now < entry.fresh_until else "stale"
            if isinstance(entry.payload, Variants):
                state = "vary"
            else:
                self.entry = entry
        again = key == self.key and any(look.level == level for look in self.looks)
        if not (again and entry is None) and len(self.looks) < _MOST:
            self.looks.append(Look(level, state, took))
        self.key = key


_noted: ContextVar[Noted | None] = ContextVar("asgi_multitier_noted", default=None)


@contextmanager
def noting() -> Iterator[Noted]:
    """Note what is looked for inside."""
    noted = Noted()
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


class NotingStack(TierStack):
    """As its base, and notes the looks of requests."""

    def _begin_reads(self) -> None:
        super()._begin_reads()
        self.ask = self._asked

    def read(self, key: str) -> Slot | None:
        """As that of the base."""
        begun = perf_counter()
        slot = super().read(key)
        if (noted := _noted.get()) is not None:
            entry = None if slot is None else slot.entry
            noted.note(key, 1, entry, perf_counter() - begun, self._clock())
        return slot

    def _asked(self, key: str) -> asyncio.Future[Found | None]:
        future = self._reads.ask(key)
        if (noted := _noted.get()) is not None:
            future.add_done_callback(partial(self._answered, noted, key, perf_counter()))
        return future

    def _answered(
        self, noted: Noted, key: str, begun: float, future: asyncio.Future[Found | None]
    ) -> None:
        """Note which of the shared tiers were asked, and which one had it."""
        if future.cancelled():
            return
        found, took, now = future.result(), perf_counter() - begun, self._clock()
        for placed in self.shared:
            level = placed.config.level
            has = found is not None and found.level == level
            noted.note(key, level, found.slot.entry if found and has else None, took, now)
            if has:
                return
