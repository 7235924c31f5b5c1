"""Get or compute: what is stored, if it may be used; else what a run of a function brings.

A call that comes meanwhile for the same key waits for the same run. How runs go, and how callers
wait for them, is the engine's, for responses and values alike; here the origin is a function.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from ..config.policy import Policy
from ..engine.caller import MAX_LOOKS, Caller, Lead, StandIn, Step
from ..engine.engine import Engine
from ..engine.flights import Flight
from ..engine.runs import Run, refresh
from ..entry import Entry, Slot
from ..errors import CacheError
from ..events import MANAGER, Outcome
from ..policy.reasons import Reason
from .home import result_of
from .values import MISSING, Reader, Values, Writer, value_entry


class ComputeCall(msgspec.Struct, frozen=True):
    """One call for a value that may have to be computed.

    Attributes:
        key: The key.
        compute: A function without arguments, sync or async.
        policy: Lifetime and options.
        tags: The value's tags.
        read: Makes a value of stored bytes.
        write: Makes bytes of what the function returns.
        validator: Returns the version of the data that the function reads; None if there is none.
    """

    key: str
    compute: Callable[[], Any]
    policy: Policy
    tags: tuple[str, ...]
    read: Reader
    write: Writer
    validator: Callable[[], Any] | None = None


class Result(msgspec.Struct, frozen=True):
    """What a run brings.

    Attributes:
        payload: The value's bytes.
        value: The value itself, for the caller whose function ran; MISSING if it was computed
            elsewhere.
        by: The flight that brought it.
        overtaken: Whether it was invalidated meanwhile: callers that joined the run look again.
        validated: Whether it was stored before, and the validator has found it unchanged.
    """

    payload: bytes
    value: Any = MISSING
    by: "Flight[Result] | None" = None
    overtaken: bool = False
    validated: bool = False


class Computing:
    """The values of one cache that functions compute.

    Args:
        engine: The parts.
        values: The cache's values; an attribute as well.
    """

    def __init__(self, engine: Engine, values: Values) -> None:
        self._engine = engine
        self._flights = engine.flights
        self._clock = engine.clock
        self._tally = engine.events.tally(MANAGER)
        self.values = values

    def __repr__(self) -> str:
        return f"<Computing {self.values!r}>"

    async def answer(self, call: ComputeCall) -> Any:
        """The value; if there is none, what a run of the compute function brings.

        Raises:
            CacheError: If the compute function asks for its own key, or so many wait for it that
                this caller is turned away.
            TimeoutError: If the caller has waited for `hard_timeout`.
            Exception: What the compute function raised, unchanged.
        """
        caller: Caller[Result] | None = None
        looks = 0
        while True:
            looks += 1
            slot, level = await self.values.look(call.key)
            stale = None
            if slot is not None:
                value = self._use(slot, level, call)
                if value is not MISSING:
                    return value
                stale = slot if self._may_stand_in(slot.entry, call) else None
            # Made once: the waiting time counts from the first look-up.
            caller = caller or Caller(self._engine, call.policy, self._tally, call.key)
            caller.stale = stale
            value = await self._from_run(call, caller, slot, last=looks >= MAX_LOOKS)
            if value is not MISSING:
                return value

    async def alone(self, call: ComputeCall, reason: Reason) -> Any:
        """What the compute function returns to this caller; nothing is looked up or stored."""
        self._tally.passed(reason)
        with self._flights.running_for(call.key):
            async with asyncio.timeout(call.policy.hard_timeout):
                return await result_of(call.compute)

    def _use(self, slot: Slot, level: int, call: ComputeCall) -> Any:
        """The slot's value if it may be used as it is, renewed in the background if need be."""
        entry, now = slot.entry, self._clock()
        fresh = now < entry.fresh_until
        if not fresh and now >= entry.fresh_until + entry.stale_while_revalidate:
            return MISSING
        value = self.values.read(entry, call.read)
        if value is MISSING:
            return MISSING
        if fresh:
            self._tally.hit(level)
        else:
            self._tally.count(Outcome.STALE)
        if not fresh or now >= entry.refresh_at:
            renew = partial(self._run, call, slot, background=True)
            refresh(self._engine, self._seed(call), renew)
        return value

    def _may_stand_in(self, entry: Entry, call: ComputeCall) -> bool:
        """Whether the entry is stale, may stand in for a run, and can be read."""
        if self._clock() < entry.fresh_until or not self._engine.stack.stands_in(entry):
            return False
        return self.values.read(entry, call.read) is not MISSING

    async def _from_run(
        self, call: ComputeCall, caller: Caller[Result], found: Slot | None, *, last: bool
    ) -> Any:
        """The value from a run; MISSING if the tiers are to be looked up again.

        The last time a value that was invalidated meanwhile will do: the call came before that.
        """
        step = caller.join_or_lead(call.key)
        answer: Result | Lead[Result] | StandIn | Step
        answer = await caller.wait(step) if isinstance(step, Flight) else step
        flight: Flight[Result] | None = None
        if isinstance(answer, Lead):
            flight = caller.open(answer, self._seed(call))
            self._flights.launch(flight, partial(self._run, call, found, flight), MANAGER)
            answer = await caller.wait(flight, opened=True)
        if isinstance(answer, Result):
            if answer.overtaken and answer.by is not flight and not last:
                return MISSING
            return self._taken(answer, call, flight)
        if answer is Step.CLOSED:
            error = CacheError(f"{call.key!r}: the cache was closed while the function ran")
            answer = caller.failed(error, opened=False)
        if isinstance(answer, StandIn):
            return self.values.read(answer.slot.entry, call.read)
        if answer is Step.NESTED:
            raise CacheError(
                f"the compute function of {call.key!r} asks for {call.key!r}, and so for itself"
            )
        if answer is Step.REFUSED:
            raise CacheError(
                f"{call.key!r}: max_waiters={self._engine.config.max_waiters} callers wait for it"
                " already, and overload='refuse' turns further ones away"
            )
        return MISSING

    def _taken(self, result: Result, call: ComputeCall, opened: "Flight[Result] | None") -> Any:
        """What this caller gets of a run's result: the very object, if it was computed for it."""
        if opened is not None and result.by is opened:
            self._tally.count(Outcome.VALIDATED if result.validated else Outcome.MISS)
            return result.value
        value = self.values.parsed(result.payload, call.read)
        if value is not MISSING:
            self._tally.count(Outcome.COALESCED)
        return value

    async def _run(
        self,
        call: ComputeCall,
        found: Slot | None,
        flight: "Flight[Result]",
        *,
        background: bool = False,
    ) -> None:
        run = Run(self._engine, flight, call.policy, self._tally)
        origin = _Function(self._engine, self.values, call, run, found)
        if background:
            await run.renew(origin, call.key)
        else:
            await run.answer(origin)

    def _seed(self, call: ComputeCall) -> Entry:
        """What is known of the entry before the run."""
        born, now = self._engine.index.born(), self._clock()
        return value_entry(call.key, b"", call.policy, call.tags, born=born, now=now)


class _Function:
    """The compute function of a call as the origin of a run. See `engine.runs.Origin`.

    What the call has found stored may lie in a shared tier alone.
    """

    def __init__(
        self,
        engine: Engine,
        values: Values,
        call: ComputeCall,
        run: "Run[Result]",
        found: Slot | None,
    ) -> None:
        self._engine = engine
        self._values = values
        self._call = call
        self._run = run
        self._found = found

    async def ask(self) -> None:
        """Run the function, keep what it returns, and answer the flight."""
        call = self._call
        if await self._lives_on():
            return
        value = await result_of(call.compute)
        self._bring(call.write(value), value)

    async def _lives_on(self) -> bool:
        """Whether the validator says that what is stored still holds: it is the answer."""
        value: Any = MISSING

        def stored() -> Slot | None:
            nonlocal value
            slot = self._freshest()
            value = MISSING if slot is None else self._values.read(slot.entry, self._call.read)
            return None if value is MISSING else slot

        slot = await self._run.unchanged(self._call.validator, stored)
        if slot is None or not isinstance(slot.entry.payload, bytes):
            return False
        self._bring(slot.entry.payload, value, validated=True)
        return True

    def _freshest(self) -> Slot | None:
        """What is stored by now, or was when the call looked."""
        slots = (self._engine.stack.peek(self._call.key), self._found)
        there = [slot for slot in slots if slot is not None]
        return max(there, key=lambda slot: slot.entry.fresh_until, default=None)

    def _bring(self, payload: bytes, value: Any, *, validated: bool = False) -> None:
        """Keep a value, answer the flight, and tell other processes."""
        call, flight = self._call, self._run.flight
        now = self._engine.clock()
        entry = value_entry(
            call.key,
            payload,
            call.policy,
            call.tags,
            born=flight.seed.born,
            now=now,
            cost=max(0.0, now - flight.seed.created),
            data_version=flight.seed.data_version,
        )
        kept = self._kept(entry, payload)
        if validated:
            self._run.validated(kept)
        overtaken = kept is Reason.INVALIDATED and self._run.worth_repeating(entry)
        self._run.answered(Result(payload, value, flight, overtaken, validated))
        self._run.publisher.publish([entry] if isinstance(kept, Slot) else [])

    def _kept(self, entry: Entry, payload: bytes) -> Slot | Reason:
        if self._values.is_too_large(payload):
            self._engine.events.not_stored(Reason.OVERSIZED, MANAGER)
            self._run.refused(Reason.OVERSIZED)
            return Reason.OVERSIZED
        return self._run.keep(entry)

    async def find_elsewhere(self) -> Result | None:
        """What another process has stored by now, if this call can use it."""
        found = await self._engine.stack.fetch(self._call.key)
        if found is None or not isinstance(payload := found.slot.entry.payload, bytes):
            return None
        if not found.slot.entry.is_current(self._engine.clock()):
            return None
        value = self._values.parsed(payload, self._call.read)
        return None if value is MISSING else Result(payload)
