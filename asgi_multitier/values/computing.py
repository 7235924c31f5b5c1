"""Get or compute: what is stored, if it may be used; else what a run of a function brings.

Whoever asks for the same key meanwhile waits for the same run.
"""

from typing import Any

from ..coalescing import Flight, waits_for_itself
from ..engine import Engine
from ..entry import Entry, Slot
from ..errors import CacheError
from ..events import MANAGER
from ..policy.reasons import Reason
from .caller import Caller
from .draft import entry_of
from .reading import MISSING
from .run import Ask, Result, Run
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
        while True:
            slot, level = await self._values.look(ask.key)
            stale = None
            if slot is not None:
                value = self._use(slot, level, ask)
                if value is not MISSING:
                    return value
                stale = slot if self._clock() >= slot.entry.fresh_until else None
            value = await self._ask_function(ask, stale)
            if value is not MISSING:
                return value

    async def alone(self, ask: Ask, reason: Reason) -> Any:
        """What the compute function returns to this caller; nothing is looked up or stored."""
        return await Caller(self._engine, self._values, ask, None).alone(reason)

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

    async def _ask_function(self, ask: Ask, stale: Slot | None) -> Any:
        """Get the value from a run; MISSING if it is worth looking again."""
        key, flights = ask.key, self._flights
        if waits_for_itself(key):
            raise CacheError(f"the compute function of {key!r} asks for {key!r}, and so for itself")
        caller = Caller(self._engine, self._values, ask, stale)
        flight: Flight[Result] | None
        if not ask.policy.coalesce:
            flight = Flight(self._probe(ask), self._index.view)
        elif (flight := flights.find(key)) is not None:
            if not flights.joinable(flight):
                return await caller.alone(Reason.OVERLOADED)
            return await caller.wait(flight, leads=False)
        elif (flight := flights.open(self._probe(ask))) is None:
            return await caller.alone(Reason.OVERLOADED)
        flights.launch(flight, Run(self._engine, self._values, ask, flight).answer())
        return await caller.wait(flight, leads=True)

    def _refresh(self, ask: Ask) -> None:
        """Renew a value in the background, if nobody does so already."""
        flights = self._flights
        if flights.find(ask.key) is not None:
            return
        flight = flights.open(self._probe(ask))
        if flight is not None:
            self._engine.events.refreshes += 1
            flights.launch(flight, Run(self._engine, self._values, ask, flight).renew())
            flights.abandon(flight)

    def _probe(self, ask: Ask) -> Entry:
        """What is known of the entry to come."""
        born, now = self._index.born(), self._clock()
        return entry_of(ask.key, b"", ask.policy, ask.tags, born=born, now=now)
