"""The tiers as one: look-up from the first down, promotion up, writes to all.

An entry in a tier is not valid by itself: the log's index decides, when an entry is read from
the local tier, again when the reply of a shared tier lands, and before anything is stored. A shared
tier that fails, hangs or holds unreadable bytes is a counted miss.

Reads and writes of one tick of the event loop go to a shared tier in one round trip.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import replace

from ..coherence.log import InvalidationLog, Update
from ..entry import MAX_USES, Born, Entry, Slot
from ..events import MANAGER, UNROUTED, Events, TierStats
from ..events.live import shown_selectors
from ..policy.key import storage_key
from ..policy.reuse import usable_on_error
from ..selectors import Selector
from ..tiers.base import FindingTier, LocalTier, finder
from ..tiers.memory import MemoryTier
from ..tiers.metadata import Unreadable
from ..tiers.null import NullLocalTier
from ..tracing import background
from ..tracing.asking import asked_by
from .admission import Admission
from .formats import Format
from .placed import Placed
from .reads import Found, Reads
from .writes import Writes, rescaled

if TYPE_CHECKING:
    from opentelemetry.trace import Span

T = TypeVar("T")

_AGAIN_BYTES = 8 * 1024 * 1024


class TierStack:
    """The local tier and the shared tiers, in order: one story, what becomes of an entry in them.

    Args:
        local: The tier that a hit reads.
        shared: The others with their places, in ascending level.
        log: The invalidation log; its index decides what is valid.
        events: Where failures are counted and logged.
        form: How entries are written.
        local_scale: Lifetimes in the local tier are multiplied by it.
        again_bytes: Bytes that may be remembered of what is read from a shared tier again and
            again, as nothing of it is promoted.

    Attributes:
        local, shared: As above.
        form: How entries are written.
        objection: Why what a shared tier has would not be used: see `engine.admission`.
        find: Looks a key up in the local tier and counts no use: see `tiers.base.finder`.
        ask: Asks the shared tiers, first to last; what is found is promoted.
        told: Called with what `read` finds; None nearly always.
        on_dropped: Called with what another process has dropped.
        tasks: The reads and writes under way.
    """

    def __init__(
        self,
        local: LocalTier,
        shared: Sequence[Placed],
        log: InvalidationLog,
        events: Events,
        *,
        form: Format,
        local_scale: float = 1.0,
        again_bytes: int = _AGAIN_BYTES,
    ) -> None:
        self.local = local
        self.shared: tuple[Placed, ...] = tuple(shared)
        self._log = log
        self._index = log.index
        self._events = events
        self.form = form
        self._local_scale = local_scale
        self._held = 0
        self._keeps = not isinstance(local, NullLocalTier)
        self._admission = Admission(log, form, self._promote, self._forget_ahead)
        self.objection: Final = self._admission.objection
        for placed in filter(self._stays, self.shared):
            self._admission.compare(placed, again_bytes)
        self._clock = form.clock
        self._begin_reads()
        self._writes = Writes(self.shared, log, events, self.spawn, form=form)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.find: Callable[[str], Slot | None] = finder(local)
        self.told: Callable[[Slot], None] | None = None
        self.on_dropped: Callable[[Sequence[Selector]], None] | None = None
        if isinstance(local, FindingTier):
            local.on_clear(self._index.look_again)

    def __repr__(self) -> str:
        return f"<TierStack {self.local!r} over {list(self.shared)!r}>"

    # Reading.

    def _begin_reads(self) -> None:
        self._reads = Reads(
            self.shared, self._admission.admitted, self.spawn, self._clock, self._events
        )
        self.ask: Callable[[str], asyncio.Future[Found | None]] = self._reads.ask

    def peek(self, key: str) -> Slot | None:
        """The local slot whose entry is valid by the log; it may be past its lifetime.

        Does not count as a use: see `read`.
        """
        slot = self.find(key)
        if slot is None:
            return None
        index = self._index
        if slot.view != index.view:
            if not index.permits(slot.entry):
                self.local.delete(key)
                self._admission.remember(slot.entry)
                return None
            if index.settled:
                slot.view = index.view
        if self._clock() >= slot.entry.keep_until:
            self.local.delete(key)
            return None
        return slot

    def read(self, key: str) -> Slot | None:
        """As `peek`, for a request or call that asks for the key."""
        slot = self.peek(key)
        if slot is not None:
            if slot.uses < MAX_USES:
                slot.uses += 1
            if self.told is not None:
                self.told(slot)
        return slot

    def stands_in(self, entry: Entry) -> bool:
        """Whether an entry past its freshness may be used where the origin fails or is too slow.

        Never one that was invalidated.
        """
        return usable_on_error(entry, self._clock()) and self._index.permits(entry)

    @property
    def has_shared(self) -> bool:
        """Whether there is a tier below the local one that may be asked, and believed, now."""
        if self._reads.wanted:  # one of this turn has found them so
            return True
        if not self._log.trusted:
            return False
        now = self._clock()
        for placed in self.shared:  # noqa: SIM110  # each request asks: half the time of `any`
            if placed.may_be_asked(now):
                return True
        return False

    async def fetch(self, key: str) -> Found | None:
        """As `ask`."""
        return await self.ask(key)

    def _stays(self, placed: Placed) -> bool:
        """Whether a hit of a shared tier, as a rule, is in no tier above it afterwards."""
        config = placed.config
        promotes = config.promotion and config.promotion_frequency == 1
        return not (promotes and (self._keeps or placed is not self.shared[0]))

    def _forget_ahead(self, placed: Placed, entry: Entry) -> None:
        """Forget what was born beyond what this process has applied.

        A tier that keeps the younger of two would keep it for its whole life.
        """
        forget = placed.delete([storage_key(entry.key)])
        self.spawn(forget, "asgi-multitier drop")

    def _promote(self, placed: Placed, slot: Slot) -> None:
        """Copy into the tiers above, with the lifetime that remains, never longer."""
        placed.promotions += 1
        if not self._keeps and placed is self.shared[0]:
            return
        now = self._clock()
        own = placed.config.ttl_scale
        present = self.peek(slot.entry.key)
        if present is None or not _is_younger(present.entry, slot.entry):
            factor = min(1.0, self._local_scale / own)
            self._hold(Slot(rescaled(slot.entry, factor, now), slot.view))
        above = [p for p in self.shared if p.config.level < placed.config.level]
        for upper in above:
            factor = min(1.0, upper.config.ttl_scale / own) / upper.config.ttl_scale
            entry = rescaled(slot.entry, factor, now)
            self.spawn(self._writes.to(upper, {entry.key: entry}), "asgi-multitier promotion")

    # Writing.

    def keep(self, entry: Entry, *, wanted: bool = False) -> Slot | None:
        """Store in the local tier if the log permits; None if it was invalidated meanwhile.

        Args:
            entry: The entry.
            wanted: Its key counts as asked for before, so that it is kept though it is large.
        """
        if not self._index.permits(entry):
            self._events.not_stored("invalidated", route_of(entry))
            return None
        if self._local_scale != 1.0:
            entry = rescaled(entry, self._local_scale, self._clock())
        slot = Slot(entry, self._index.view if self._index.settled else -1)
        slot.uses = int(wanted)
        self._hold(slot)
        return slot

    def _hold(self, slot: Slot) -> None:
        self.local.set(slot)
        self._held += self._keeps

    def renew(self, slot: Slot) -> None:
        """Let a local entry outlive what was begun just now: it is born again."""
        entry = replace(slot.entry, born=self._index.born())
        if self._index.permits(entry):
            self._hold(Slot(entry, self._index.view if self._index.settled else -1))

    def keep_variant(self, marker: Entry, key: str, max_variants: int) -> None:
        """Note that a URL has this variant: its oldest leaves when there are too many."""
        present = self.find(marker.key)
        known: OrderedDict[str, None] = OrderedDict()
        if present is not None and present.variants is not None:
            known = present.variants
            until = max(marker.keep_until, present.entry.keep_until)
            marker = replace(marker, keep_until=until, fresh_until=until)
        known[key] = None
        known.move_to_end(key)
        if len(known) > max_variants:
            self.local.delete(known.popitem(last=False)[0])
        slot = self.keep(marker)
        if slot is not None:
            slot.variants = known

    def share(self, entry: Entry) -> None:
        """Write to the shared tiers soon, together with what else this tick brings."""
        self._writes.later(entry)

    async def write(self, entries: Sequence[Entry]) -> tuple[int, str]:
        """Write to the shared tiers now: see `Writes.now`."""
        return await self._writes.now(entries)

    def encoded(self, entry: Entry) -> bytes:
        """The entry as it would be written, for the log to carry along."""
        return self.form.written(entry)

    # What the log says. See `LogListener`.

    def dropped(self, selectors: Sequence[Selector]) -> None:
        """Another process's selectors came into force: free what they name exactly."""
        if (live := self._events.live).on:
            live.emit("record", selectors=shown_selectors(selectors))
        if self.on_dropped is not None:
            self.on_dropped(selectors)
        for selector in selectors:
            if selector.kind == "key":
                self.peek(selector.text)  # which removes it if it is not valid

    def updated(self, updates: Sequence[Update], born: Born) -> None:
        """Another process has new values: take what can be read into the local tier."""
        for update in updates:
            if update.value is None:
                continue
            entry = self.form.read(update.value, update.key, update.ttl)
            if isinstance(entry, Unreadable):
                self._events.failures["update-unreadable"] += 1
            else:
                self.keep(replace(entry, born=born))

    def flushed(self) -> None:
        """History was lost: everything local is invalid."""
        if (live := self._events.live).on:
            live.emit("flush")
        self.local.clear()
        self._admission.clear()

    # Forgetting. Deletes free memory; that nothing invalid is served is the index's doing.

    async def drop(self, keys: Iterable[str]) -> None:
        """Delete keys from every tier."""
        keys = list(keys)
        for key in keys:
            self.local.delete(key)
        names = [storage_key(key) for key in keys]
        for placed in self.shared:
            await placed.delete(names)

    def forget_soon(self, key: str) -> None:
        """Delete a key here now, and from the shared tiers with the next turn."""
        self.local.delete(key)
        if self.shared:
            self.spawn(self.drop([key]), "asgi-multitier drop")

    # Life.

    def forget(self) -> None:
        """The event loop that reads and writes belonged to is gone, or stands still.

        Should it go on, it finds its own futures and tasks, and not those of the next one.
        """
        self._begin_reads()
        self._writes.forget()
        self.tasks = set()

    def spawn(self, run: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        """Run something of these tiers' in a task, which `settle` and `close` wait for."""
        context = background()
        if (traces := self._events.traces) is not None and traces.round_trips:
            askers: list[Span] = []
            traces.asks(askers)
            context.run(asked_by, askers)
        task: asyncio.Task[Any] = asyncio.create_task(run, name=name, context=context)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.broken("reading or writing shared tiers", error)

    async def settle(self) -> None:
        """Wait until everything begun is read and written."""
        while self.tasks:
            # Not `gather`: from Python 3.12 on it does not yield for what is done already.
            await asyncio.wait(set(self.tasks))

    async def close(self, timeout: float) -> None:
        """Let writes finish for up to `timeout` seconds, cancel the rest, release the back ends."""
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=timeout)
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._writes.forget()
        for placed in self.shared:
            await placed.close()

    def statistics(self, hits: Mapping[int, int]) -> tuple[TierStats, ...]:
        """One reading a tier.

        Args:
            hits: Requests that each level answered (counted where they are answered).
        """
        shared = (placed.statistics(hits.get(placed.config.level, 0)) for placed in self.shared)
        return (_local_stats(self.local, hits.get(1, 0), self._held), *shared)


def route_of(entry: Entry) -> str:
    """What an entry's route is called where things are counted by route."""
    return (
        MANAGER if isinstance(entry.payload, bytes) and not entry.path else entry.route or UNROUTED
    )


def _is_younger(entry: Entry, other: Entry) -> bool:
    # Of one generation, as both are permitted.
    return (entry.born.seq, entry.created) > (other.born.seq, other.created)


def _local_stats(tier: LocalTier, hits: int, writes: int) -> TierStats:
    size: int | None = None
    evictions: dict[str, int] = {}
    if isinstance(tier, MemoryTier):
        reading = tier.statistics()
        size, evictions = reading.bytes, {str(k): v for k, v in reading.evictions.items()}
    return TierStats(1, tier.name, hits, 0, writes, {}, {}, len(tier), size, evictions)
