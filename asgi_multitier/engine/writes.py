"""Writes to the shared tiers: those of one turn of the event loop go in one round trip."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..coherence.log import InvalidationLog
from ..entry import Entry
from ..errors import SerializationError
from ..events import Events
from ..policy.key import storage_key
from ..tracing.asking import asked_by
from .formats import Format
from .placed import Item, Placed

if TYPE_CHECKING:
    from opentelemetry.trace import Span

MAX_PENDING_WRITES = 4_096
"""Entries waiting to be written to shared tiers; beyond it they are not written, and counted."""


class Writes:
    """The writes going on in one event loop.

    Args:
        shared: The tiers, in ascending level.
        log: The invalidation log: nothing is written that it refuses, or while it is untrusted.
        events: Where a write that was dropped is counted.
        spawn: Runs a coroutine in a task that is waited for at the end.
        form: How entries are written.
    """

    def __init__(
        self,
        shared: Sequence[Placed],
        log: InvalidationLog,
        events: Events,
        spawn: Callable[[Coroutine[Any, Any, Any], str], "asyncio.Task[Any]"],
        *,
        form: Format,
    ) -> None:
        self._shared = shared
        self._log = log
        self._events = events
        self._spawn = spawn
        self._form = form
        self._clock = form.clock
        self._waiting: dict[str, Entry] = {}
        self._askers: list[Span] = []
        self._writing: asyncio.Task[Any] | None = None

    def later(self, entry: Entry) -> None:
        """Write soon, together with what else this turn of the event loop brings."""
        if not self._shared:
            return
        if len(self._waiting) >= MAX_PENDING_WRITES:
            self._events.failures["write-dropped"] += 1
            return
        self._waiting[entry.key] = entry
        if (traces := self._events.traces) is not None:
            traces.asks(self._askers)
        if self._writing is None or self._writing.done():
            self._writing = self._spawn(self._write(), "asgi-multitier write")

    async def _write(self) -> None:
        while self._waiting:
            entries, self._waiting = self._waiting, {}
            if self._askers:
                asked_by(self._askers)
                self._askers = []
            for placed in self._shared:
                await self.to(placed, entries)

    def forget(self) -> None:
        """Drop what waits: its event loop is gone, or the tiers are closed."""
        self._waiting = {}
        self._writing = None

    async def now(self, entries: Sequence[Entry]) -> tuple[int, str]:
        """Write now.

        Returns:
            How many tiers took them, and the last error of those that did not.
        """
        batch = {entry.key: entry for entry in entries}
        taken, error = 0, ""
        for placed in self._shared:
            if await self.to(placed, batch):
                taken += 1
            else:
                error = placed.last_error or "skipped: circuit breaker open"
        return taken, error

    async def to(self, placed: Placed, entries: Mapping[str, Entry]) -> bool:
        """Write to one tier what is valid and has a life there; whether it was taken."""
        # While the log is untrusted, this process does not know whether its entries are valid.
        if not self._log.trusted:
            placed.failures["untrusted"] += 1
            return False
        now = self._clock()
        items: dict[str, Item] = {}
        for key, entry in entries.items():
            scaled = rescaled(entry, placed.config.ttl_scale, now)
            if scaled.keep_until > now and self._log.index.permits(entry):
                try:
                    encoded = self._form.written(scaled)
                except SerializationError:
                    placed.failures["encode"] += 1
                    continue
                items[storage_key(key)] = (encoded, scaled.keep_until - now, entry.born)
        return await placed.set(items)


def rescaled(entry: Entry, factor: float, now: float) -> Entry:
    """The entry with the rest of its life multiplied."""
    if factor == 1.0:
        return entry
    return replace(
        entry,
        fresh_until=now + (entry.fresh_until - now) * factor,
        keep_until=now + (entry.keep_until - now) * factor,
        refresh_at=now + (entry.refresh_at - now) * factor,
    )
