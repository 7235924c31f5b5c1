"""One request or call that nothing fresh answers, and the run that answers it.

The same for responses and for values: whether it leads a run or joins one, how long it waits, what
stands in if the run fails or takes too long, and how it is counted.
"""

import asyncio
from enum import Enum, auto
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from ..config.policy import Policy
from ..entry import Entry, Slot
from ..events import MANAGER, Outcome, Tally
from ..policy.reasons import Reason
from .engine import Engine
from .flights import Flight, MayLead, Patience, RunCancelled, WaitExpired
from .runs import report_stand_in

R = TypeVar("R")

MAX_LOOKS = 4
"""Times that a caller looks in the tiers; the last time it takes what an invalidation overtook."""


class Lead(msgspec.Struct, Generic[R], frozen=True):
    """The caller is to open a run: see `Caller.open`.

    Attributes:
        after: The flight whose waiting list waits for this run as well, because it takes too long.
        alone: Whether no other caller may join it.
    """

    after: Flight[R] | None = None
    alone: bool = False


class StandIn(msgspec.Struct, frozen=True):
    """A stale entry answers the caller in place of the origin.

    Attributes:
        slot: The entry.
        why: What the origin did instead: took too long, failed, or had too many waiting already.
    """

    slot: Slot
    why: Reason


class Step(Enum):
    """What else may become of a caller."""

    AGAIN = auto()
    """It looks in the tiers again: there is something younger, or the run was cancelled."""

    NESTED = auto()
    """It is part of a run for the same key, and must not wait for that; it is counted."""

    CLOSED = auto()
    """What it waited for ended with the cache."""

    REFUSED = auto()
    """So many wait that it is turned away, and nothing stale may stand in; it is counted."""


class Caller(Generic[R]):
    """One request or call that nothing fresh answers.

    Args:
        engine: The cache.
        policy: What holds for it.
        tally: Where it is counted.
        name: What it asks for, for errors and log lines.
        route: Its route; log lines about the same one are joined. An attribute as well.
    """

    __slots__ = ("_engine", "_name", "_policy", "_tally", "patience", "route", "stale")

    def __init__(
        self, engine: Engine, policy: Policy, tally: Tally, name: str, route: str = MANAGER
    ) -> None:
        self.route: str = route
        lead = policy.coalesce_timeout or engine.config.coalesce_timeout
        self._engine = engine
        self._policy = policy
        self._tally = tally
        self._name = name
        self.patience: Patience = Patience(lead, policy.soft_timeout, policy.hard_timeout)
        self.stale: Slot | None = None

    def join_or_lead(self, key: str) -> "Lead[R] | Flight[R] | StandIn | Step":
        """Which run answers the caller for this key: one to lead, or a flight to wait for."""
        flights = self._engine.flights
        if flights.nests(key):
            self._tally.passed(Reason.NESTED)
            return Step.NESTED
        if not self._policy.coalesce:
            return Lead(alone=True)
        flight: Flight[R] | None = flights.find(key)
        if flight is None or flight.is_late(self.patience.lead):
            return Lead(flight)
        if flights.is_crowded(flight):
            return self._turned_away()
        return flight

    def open(self, lead: "Lead[R]", seed: Entry) -> Flight[R]:
        """The flight that the caller is to launch.

        Args:
            lead: What `join_or_lead` or `wait` has given.
            seed: What is known of the entry to come.
        """
        if lead.alone:
            return self._engine.flights.apart(seed)
        if lead.after is not None:
            self._engine.events.failures["coalesce-timeout"] += 1
        return self._engine.flights.open(seed, after=lead.after)

    def _turned_away(self) -> "StandIn | Step":
        if (found := self._stand_in(Reason.OVERLOADED)) is not None:
            self._tally.count(Outcome.STALE)
            return found
        self._tally.passed(Reason.OVERLOADED)
        return Step.REFUSED

    async def wait(
        self, flight: "Flight[R]", *, opened: bool = False
    ) -> "R | Lead[R] | StandIn | Step":
        """Wait for a run.

        A stand-in and a failure are counted here, an answer by the door that uses it.

        Args:
            flight: The flight.
            opened: Whether it has opened this flight.

        Raises:
            TimeoutError: If it has waited for `hard_timeout`.
            Exception: What the origin raised.
        """
        if opened or (traces := self._engine.events.traces) is None:
            return await self._wait(flight, opened)
        begun, result = self._engine.clock(), "error"
        try:
            answer = await self._wait(flight, opened)
            result = _result(answer)
        except asyncio.CancelledError:
            result = "cancelled"
            raise
        finally:
            traces.joined(self.route, flight.trace, self._engine.clock() - begun, result)
        return answer

    async def _wait(self, flight: "Flight[R]", opened: bool) -> "R | Lead[R] | StandIn | Step":
        flights = self._engine.flights
        begun = self._engine.clock()
        try:
            result = await self._answer(flight, opened)
        except MayLead:
            return Lead(flight) if flights.follows(flight) else Step.AGAIN
        except asyncio.CancelledError:
            flights.abandon(flight)
            self._tally.count(_outcome(opened))
            raise
        except RunCancelled as error:
            if opened:
                return self.failed(error, flight, opened=True)
            return Step.CLOSED if error.closed else Step.AGAIN
        except Exception as error:  # noqa: BLE001  # raised again unless something stands in
            return self.failed(error, flight, opened=opened)
        finally:
            if not opened:
                self._tally.waits.add(self._engine.clock() - begun)
        if isinstance(result, StandIn):
            flights.abandon(flight)
            self._tally.count(Outcome.STALE)
        return result

    async def _answer(self, flight: "Flight[R]", opened: bool) -> "R | StandIn":
        patience = self.patience if self.stale is not None else replace(self.patience, soft=None)
        try:
            return await patience.wait(
                flight, lambda: self._stand_in(Reason.SOFT_TIMEOUT), opened=opened
            )
        except WaitExpired:
            if flight.begun:
                # It has an answer, which is on its way.
                return await flight.wait(patience=patience.lead)
            self._engine.flights.abandon(flight)
            self._engine.events.failures["hard-timeout"] += 1
            raise TimeoutError(
                f"{self._name!r} takes longer than hard_timeout={patience.hard:g} s"
            ) from None

    def failed(
        self, error: Exception, flight: "Flight[R] | None" = None, *, opened: bool
    ) -> StandIn:
        """The stale entry that stands in for a failure.

        Args:
            error: The failure.
            flight: The run that failed, which is counted and logged once; None if none did.
            opened: Whether the caller has opened the flight.

        Raises:
            Exception: The failure, where nothing may stand in.
        """
        found = self._stand_in(Reason.STALE_IF_ERROR)
        if found is None:
            self._tally.count(_outcome(opened))
            raise error
        self._tally.count(Outcome.STALE)
        if flight is not None:
            report_stand_in(self._engine, flight, self._name, error, self.route)
        return found

    def _stand_in(self, why: Reason) -> StandIn | None:
        if self.stale is None or not self.may_stand_in:
            return None
        return StandIn(self.stale, why)

    @property
    def soft_left(self) -> float | None:
        """Seconds until something stale may stand in for a run that goes on; None for never."""
        return self.patience.left(self.patience.soft)

    @property
    def may_stand_in(self) -> bool:
        """Whether there is something stale that may be used in place of the origin's answer."""
        return self.stale is not None and self._engine.stack.stands_in(self.stale.entry)


def _outcome(opened: bool) -> Outcome:
    """How a caller counts that gets no answer: by whose run it was."""
    return Outcome.MISS if opened else Outcome.COALESCED


def _result(answer: object) -> str:
    """What became of a wait, in a word."""
    if isinstance(answer, StandIn):
        return "stale"
    if isinstance(answer, Lead):
        return "leads"
    return "again" if isinstance(answer, Step) else "answered"
