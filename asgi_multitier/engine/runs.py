"""One run of an origin, the same for responses and for values.

A run is the life of a flight. It asks other processes before the origin, where that is wanted; what
it brings is kept only if nothing younger is there; and the flight is answered in any case. The door
that asks says what its origin is, and makes of the answer what its caller gets.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from msgspec.structs import replace

from ..config.policy import Policy
from ..entry import Entry, Slot
from ..events import MANAGER, Events, Outcome, Tally
from ..policy.data_version import is_unchanged, version_digest
from ..policy.key import storage_key
from ..policy.reasons import Reason
from ..tracing.attributes import BORN, BYTES, RESULT, TAGS, TTL
from .engine import Engine
from .fleet import LeaseClaim, LeaseServer, Publisher, run_in_fleet
from .flights import Flight
from .stack import route_of

if TYPE_CHECKING:
    from ..tracing.runs import RunTrace, Told

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Origin(Protocol[R_co]):
    """What a run asks, as its door knows it."""

    async def ask(self) -> None:
        """Ask the origin, keep what may be kept, and answer the flight."""

    async def find_elsewhere(self) -> R_co | None:
        """What another process has stored by now, if it answers this flight."""


class Run(Generic[R]):
    """The run of one flight.

    Args:
        engine: The cache.
        flight: The flight.
        policy: Whether, and how patiently, other processes are asked.
        tally: Where it is counted how long the origin takes.

    Attributes:
        flight: The flight.
        publisher: How other processes get what the run brings.
    """

    __slots__ = ("_engine", "_policy", "_tally", "flight", "publisher")

    def __init__(self, engine: Engine, flight: Flight[R], policy: Policy, tally: Tally) -> None:
        self._engine = engine
        self._tally = tally
        self.flight: Flight[R] = flight
        self._policy = policy
        self.publisher: Publisher = Publisher(engine.stack)

    async def answer(self, origin: Origin[R], *, fleet: bool = True) -> R | None:
        """Answer the flight for callers that wait.

        Args:
            origin: What is asked.
            fleet: Whether there is time to ask other processes first, where the policy wants it.

        Returns:
            What another process has brought; None if the origin was asked here.
        """
        wanted = fleet and self._policy.coalesce == "fleet"
        leases = self._leases if wanted and self._engine.flights.flies(self.flight) else None
        if leases is not None:
            return await self._in_fleet(origin, leases)
        await self._ask(origin)
        return None

    async def renew(self, origin: Origin[R], name: str, route: str = MANAGER) -> None:
        """Answer the flight in the background: of one process, where there are leases.

        The shared tiers are asked first, where another process may have been.

        Args:
            origin: What is asked.
            name: What is renewed, for the log line if that fails.
            route: Its route.
        """
        try:
            if (leases := self._leases) is not None:
                await self._in_fleet(origin, leases)
                return
            if self._engine.stack.has_shared:
                if (found := await origin.find_elsewhere()) is not None:
                    self._found(found)
                    return
                self._renew_birth()
            await self._ask(origin)
        except (Exception, SystemExit) as error:
            if not self.flight.reported:
                self.flight.reported = True
                self._engine.events.refresh_failed(name, f"{type(error).__name__}: {error}", route)
            raise

    async def _ask(self, origin: Origin[R]) -> None:
        """Ask the origin, and count how long it takes, whatever comes of it."""
        begun = self._engine.clock()
        try:
            await origin.ask()
        finally:
            self._tally.runs.add(self._engine.clock() - begun)

    def _renew_birth(self) -> None:
        """Nothing of the answer has been asked for yet, unless a guard has read already."""
        if not self._policy.guarded:
            self.flight.renew(self._engine.index)

    @property
    def _leases(self) -> LeaseServer | None:
        """Who gives leases, if there is a tier in which others look for what a run brings."""
        return self._engine.leases if self._engine.stack.has_shared else None

    async def _in_fleet(self, origin: Origin[R], leases: LeaseServer) -> R | None:
        """One of all processes asks the origin; the others find what it brings in a shared tier."""
        trace = self.flight.trace

        async def holding(claim: LeaseClaim) -> None:
            self._renew_birth()
            self.publisher.hold(claim)
            if trace is not None:
                trace.event("lease.won" if claim.held else "lease.skipped")
            await self._ask(origin)
            await self.publisher.published()

        found = await run_in_fleet(
            leases,
            storage_key(self.flight.seed.key),
            self._policy.coalesce_timeout or self._engine.config.coalesce_timeout,
            origin.find_elsewhere,
            holding,
            turn=self.flight.turn,
            trace=trace,
        )
        if found is not None:
            self._found(found)
        return found

    def _found(self, result: R) -> None:
        """Another process has brought it."""
        if self.flight.trace is not None:
            self.flight.trace.tell({RESULT: "elsewhere"})
        self.answered(result)

    async def unchanged(
        self,
        validator: Callable[[], Any] | None,
        find: Callable[[], Slot | None],
        limit: float | None = None,
        route: str = MANAGER,
    ) -> Slot | None:
        """The stored entry that lives on, because its data has not changed; None: ask the origin.

        The version is read before the origin is asked, so what that brings is at least as new. It
        says nothing about what was invalidated: that is never used again.

        Args:
            validator: Returns the version of the data, or an awaitable of it; None if there is no
                such function.
            find: What is stored, when the version is known.
            limit: Seconds that the validator may take; None for no limit.
            route: The route, for the log line if it fails.
        """
        if validator is None:
            return None
        engine = self._engine
        version = await version_now(validator, engine.events, limit, route)
        self.flight.seed = replace(self.flight.seed, data_version=version)
        slot = find()
        if slot is None or not is_unchanged(slot.entry.data_version, version):
            return None
        if slot.entry.is_current(engine.clock()):
            # The caller wants it made again, as a browser's reload does.
            return None
        if not engine.index.permits(slot.entry):
            return None
        engine.events.validations += 1
        return slot

    # What an origin does with its answer.

    def keep(self, entry: Entry) -> Slot | Reason:
        """Store what the run brought, in the first tier; why it is not stored, if it is not.

        The other tiers get it by `publisher`.
        """
        kept = self._keep(entry)
        if self.flight.trace is not None:
            self._tell_kept(self.flight.trace, entry, kept)
        return kept

    def _tell_kept(self, trace: "RunTrace", entry: Entry, kept: Slot | Reason) -> None:
        if isinstance(kept, Slot):
            ttl = round(entry.fresh_until - self._engine.clock(), 3)
            told: Told = {BYTES: kept.size, TTL: ttl, TAGS: len(entry.tags), BORN: entry.born.seq}
            trace.tell({RESULT: "stored", **told})
            trace.event("committed")
            return
        if kept is Reason.INVALIDATED:
            trace.event("overtaken")
        trace.refused(kept)

    def validated(self, kept: Slot | Reason) -> None:
        """What was stored before still holds, and is kept if it may be; told if it has a span."""
        if self.flight.trace is not None and isinstance(kept, Slot):
            self.flight.trace.tell({RESULT: "validated"})

    def led(self, outcome: Outcome) -> None:
        """How the request that leads it is answered, if not by the origin; told if traced."""
        if self.flight.trace is not None:
            self.flight.trace.led(outcome.value)

    def stood_in(self, error: BaseException | None) -> None:
        """Something stale answers in its place; told if it has a span."""
        if self.flight.trace is not None:
            self.flight.trace.stood_in(error)

    def refused(self, reason: Reason) -> None:
        """What it has brought is not stored; told if it has a span."""
        if self.flight.trace is not None:
            self.flight.trace.refused(reason)

    def _keep(self, entry: Entry) -> Slot | Reason:
        engine, flight = self._engine, self.flight
        if flight.superseded:
            return Reason.SUPERSEDED  # what a later run or a `set` has brought is younger
        slot = engine.stack.keep(entry)
        if slot is None:
            return Reason.INVALIDATED
        engine.events.fills += 1
        if (live := engine.events.live).on:
            ttl = round(entry.fresh_until - engine.clock(), 3)
            told = {"seconds": entry.cost, "bytes": slot.size, "ttl": ttl}
            live.emit("fill", route=route_of(entry), key=storage_key(entry.key), **told)
        engine.flights.clear_hit_for_miss(flight.seed.key)
        engine.flights.overtake(flight)
        return slot

    def worth_repeating(self, entry: Entry) -> bool:
        """Whether one more run's answer would be kept, where an invalidation overtook this one's.

        Not while the invalidation is being recorded.
        """
        index = self._engine.index
        return index.permits(replace(entry, born=index.born()))

    def answered(self, result: R) -> None:
        """Answer all callers that wait; later callers do not join."""
        self._engine.flights.land(self.flight)
        self.flight.answer(result)


async def version_now(
    validator: Callable[[], Any], events: Events, limit: float | None, route: str
) -> bytes | None:
    """The version of the data, as a digest; None if it is not known, or the validator failed."""
    try:
        async with asyncio.timeout(limit):
            version = validator()
            if isawaitable(version):
                version = await version
        return version_digest(version)
    except Exception as error:  # noqa: BLE001  # a callable of the rule; the origin is asked
        events.callback_failed("validator", error, route)
        return None


def report_stand_in(
    engine: Engine,
    flight: Flight[Any],
    name: str,
    error: BaseException | None,
    route: str = MANAGER,
) -> None:
    """Count and log that a stale entry stands in for a run that failed, once for each run.

    Args:
        engine: The cache.
        flight: The run's flight.
        name: What it was to answer, for the log line.
        error: What the origin raised; None if it answered 5xx.
        route: Its route.
    """
    if not flight.reported:
        flight.reported = True
        engine.events.stood_in(name, error, route)


def refresh(
    engine: Engine,
    seed: Entry,
    renew: Callable[[Flight[Any]], Awaitable[object]],
    route: str = MANAGER,
) -> None:
    """Renew an entry in the background, if that is not done already and may begin now.

    Args:
        engine: The cache.
        seed: What is known of the entry to come.
        renew: The run of a flight.
        route: Its route, for its span.
    """
    flight = engine.flights.refresh(seed)
    if flight is not None:
        engine.events.refreshes += 1
        if (live := engine.events.live).on:
            key = storage_key(seed.key)
            live.emit("refresh", route=route_of(seed), key=key, state="begun")
        engine.flights.launch(flight, partial(renew, flight), route)
        engine.flights.abandon(flight)
