"""Get or compute: what is stored, if it may be used; else what a run of a function brings.

Whoever asks for the same key meanwhile waits for the same run.
"""

import asyncio
from typing import Any

from ...engine.coalescing import Flight, MayLead, Patience
from ...engine.engine import Engine
from ...entry import Entry, Slot
from ...errors import CacheError
from ...events import MANAGER
from ...policy.reasons import Reason
from .caller import Caller, patience_of
from .draft import entry_of
from .reading import MISSING
from .run import Ask, Result, Run, called
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
        self._index = engine.index
        self._clock = engine.clock
        self._tally = engine.events.tally(MANAGER)
        self._values = values

    def __repr__(self) -> str:
        return f"<Computing {self._values!r}>"

    async def answer(self, ask: Ask) -> Any:
        """The value; if there is none, what a run of the compute function brings.

        Raises:
            CacheError: If the compute function asks for its own key.
            TimeoutError: If the caller has waited for `hard_timeout`.
            Exception: What the compute function raised, unchanged.
        """
        patience: Patience | None = None
        while True:
            slot, level = await self._values.look(ask.key)
            stale = None
            if slot is not None:
                value = self._use(slot, level, ask)
                if value is not MISSING:
                    return value
                stale = slot if self._clock() >= slot.entry.fresh_until else None
            # From the first look on: looking again makes nobody wait for longer.
            patience = patience or patience_of(ask.policy, self._engine.config.coalesce_timeout)
            value = await self._ask_function(ask, stale, patience)
            if value is not MISSING:
                return value

    async def alone(self, ask: Ask, reason: Reason) -> Any:
        """What the compute function returns to this caller; nothing is looked up or stored."""
        self._tally.passes[reason] += 1
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
            self._values.count_hit(level)
        else:
            self._tally.stale += 1
        if not fresh or now >= entry.refresh_at:
            self._refresh(ask)
        return value

    async def _ask_function(self, ask: Ask, stale: Slot | None, patience: Patience) -> Any:
        """Get the value from a run; MISSING if it is worth looking again."""
        key, flights = ask.key, self._flights
        if flights.nests(key):
            raise CacheError(f"the compute function of {key!r} asks for {key!r}, and so for itself")
        caller = Caller(self._engine, self._values, ask, stale, patience)
        if not ask.policy.coalesce:
            return await self._lead(caller, ask, flights.apart(self._probe(ask)))
        flight: Flight[Result] | None = flights.find(key)
        if flight is not None and not flight.is_late(patience.lead):
            if flights.is_crowded(flight):
                return caller.refused()
            try:
                return await caller.wait(flight, leads=False)
            except MayLead:
                if not flights.follows(flight):
                    return MISSING
        if flight is not None:
            self._engine.events.failures["coalesce-timeout"] += 1
        return await self._lead(caller, ask, flights.open(self._probe(ask), after=flight))

    async def _lead(self, caller: Caller, ask: Ask, flight: "Flight[Result]") -> Any:
        """Run the function for everybody, this caller first."""
        self._flights.launch(flight, Run(self._engine, self._values, ask, flight).answer)
        return await caller.wait(flight, leads=True)

    def _refresh(self, ask: Ask) -> None:
        """Renew a value in the background, if that is not done already and may begin now."""
        flight = self._flights.refresh(self._probe(ask))
        if flight is not None:
            self._engine.events.refreshes += 1
            self._flights.launch(flight, Run(self._engine, self._values, ask, flight).renew)
            self._flights.abandon(flight)

    def _probe(self, ask: Ask) -> Entry:
        """What is known of the entry to come."""
        born, now = self._index.born(), self._clock()
        return entry_of(ask.key, b"", ask.policy, ask.tags, born=born, now=now)
