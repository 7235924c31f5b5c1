"""Get or compute: what is stored, if it may be used; else what a run of a function brings.

A call that comes meanwhile for the same key waits for the same run. How runs go, and how callers
wait for them, is the engine's: this is the door for values.
"""

import asyncio
from functools import partial
from typing import Any

from ...engine.caller import Caller, Join, Lead, StandIn, Step
from ...engine.coalescing import Flight
from ...engine.engine import Engine
from ...engine.runs import Run, refresh
from ...entry import Entry, Slot
from ...errors import CacheError
from ...events import MANAGER, Outcome
from ...policy.reasons import Reason
from .computation import Ask, Computation, Result, called
from .entries import entry_of
from .reading import MISSING
from .store import Values


class Computing:
    """The values of one cache that functions compute.

    Args:
        engine: The parts.
        values: Where they lie.
    """

    def __init__(self, engine: Engine, values: Values) -> None:
        self._engine = engine
        self._flights = engine.flights
        self._clock = engine.clock
        self._tally = engine.events.tally(MANAGER)
        self._values = values

    def __repr__(self) -> str:
        return f"<Computing {self._values!r}>"

    async def answer(self, ask: Ask) -> Any:
        """The value; if there is none, what a run of the compute function brings.

        Raises:
            CacheError: If the compute function asks for its own key, or so many wait for it that
                this caller is turned away.
            TimeoutError: If the caller has waited for `hard_timeout`.
            Exception: What the compute function raised, unchanged.
        """
        caller: Caller[Result] | None = None
        while True:
            slot, level = await self._values.look(ask.key)
            stale = None
            if slot is not None:
                value = self._use(slot, level, ask)
                if value is not MISSING:
                    return value
                stale = slot if self._may_stand_in(slot.entry, ask) else None
            # From the first look on: looking again makes nobody wait for longer.
            caller = caller or Caller(self._engine, ask.policy, self._tally, ask.key)
            caller.stale = stale
            value = await self._ask_function(ask, caller)
            if value is not MISSING:
                return value

    async def alone(self, ask: Ask, reason: Reason) -> Any:
        """What the compute function returns to this caller; nothing is looked up or stored."""
        self._tally.passed(reason)
        with self._flights.running_for(ask.key):
            async with asyncio.timeout(ask.policy.hard_timeout):
                return await called(ask.compute)

    def _use(self, slot: Slot, level: int, ask: Ask) -> Any:
        """The slot's value if it may be used as it is, renewed in the background if need be."""
        entry, now = slot.entry, self._clock()
        fresh = now < entry.fresh_until
        if not fresh and now >= entry.fresh_until + entry.stale_while_revalidate:
            return MISSING
        value = self._values.read(entry, ask.read)
        if value is MISSING:
            return MISSING
        if fresh:
            self._tally.hit(level)
        else:
            self._tally.count(Outcome.STALE)
        if not fresh or now >= entry.refresh_at:
            refresh(self._engine, self._seed(ask), partial(self._renew, ask))
        return value

    def _may_stand_in(self, entry: Entry, ask: Ask) -> bool:
        """Whether it is stale, and what stands in it can be read."""
        if self._clock() < entry.fresh_until or not self._engine.stack.stands_in(entry):
            return False
        return self._values.read(entry, ask.read) is not MISSING

    async def _ask_function(self, ask: Ask, caller: Caller[Result]) -> Any:
        """Get the value from a run; MISSING if it is worth looking again."""
        step = caller.board(ask.key)
        answer: Result | Lead[Result] | StandIn | Step
        answer = await caller.wait(step.flight) if isinstance(step, Join) else step
        flight: Flight[Result] | None = None
        if isinstance(answer, Lead):
            flight = caller.open(answer, self._seed(ask))
            run = Run(self._engine, flight, ask.policy)
            self._flights.launch(flight, partial(self._run, ask, flight, run))
            answer = await caller.wait(flight, opened=True)
        if isinstance(answer, Result):
            return self._taken(answer, ask, flight)
        if isinstance(answer, StandIn):
            return self._values.read(answer.slot.entry, ask.read)
        if answer is Step.NESTED:
            raise CacheError(
                f"the compute function of {ask.key!r} asks for {ask.key!r}, and so for itself"
            )
        if answer is Step.REFUSED:
            raise CacheError(
                f"{ask.key!r}: max_waiters={self._engine.config.max_waiters} callers wait for it"
                " already, and overload='refuse' turns further ones away"
            )
        return MISSING

    def _taken(self, result: Result, ask: Ask, flight: "Flight[Result] | None") -> Any:
        """What this caller gets of a run's result: the very object, if it was computed for it."""
        if flight is not None and result.by is flight:
            self._tally.count(Outcome.MISS)
            return result.value
        value = self._values.parsed(result.payload, ask.read)
        if value is not MISSING:
            self._tally.count(Outcome.COALESCED)
        return value

    async def _run(self, ask: Ask, flight: "Flight[Result]", run: Run[Result]) -> None:
        await run.answer(Computation(self._engine, self._values, ask, flight, run))

    async def _renew(self, ask: Ask, flight: "Flight[Result]") -> None:
        run = Run(self._engine, flight, ask.policy)
        await run.renew(Computation(self._engine, self._values, ask, flight, run), ask.key)

    def _seed(self, ask: Ask) -> Entry:
        """What is known of the entry to come."""
        born, now = self._engine.index.born(), self._clock()
        return entry_of(ask.key, b"", ask.policy, ask.tags, born=born, now=now)
