"""One run of a compute function.

A run is a flight: it goes on when a caller leaves, or has waited for long enough, and what it
brings is stored only if nothing that selects it was invalidated since it began, and nobody has set
the key since.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeVar

from ...config.policy import Policy
from ...engine.coalescing import Flight
from ...engine.engine import Engine
from ...engine.fleet import Claim, Leases, run_in_fleet
from ...entry import Entry
from ...policy.key import storage_key
from ...policy.reasons import Reason
from .draft import entry_of
from .reading import MISSING, Reader, Writer
from .store import Values

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """One caller's question for a value that may have to be computed.

    Attributes:
        key: The key.
        compute: A function without arguments, sync or async.
        policy: Lifetime and options.
        tags: What the value will be found by.
        read: Makes a value of stored bytes.
        write: Makes bytes of what the function returns.
    """

    key: str
    compute: Callable[[], Any]
    policy: Policy
    tags: tuple[str, ...]
    read: Reader
    write: Writer


@dataclass(frozen=True, slots=True)
class Result:
    """What a run brings.

    Attributes:
        payload: The value's bytes, for everybody.
        value: The value itself, for who computed it; MISSING if it was computed elsewhere.
        by: The flight that brought it.
    """

    payload: bytes
    value: Any = MISSING
    by: "Flight[Result] | None" = None


class Run:
    """The run of one flight.

    Args:
        engine: The cache.
        values: The cache's values.
        ask: Whose question opened the flight.
        flight: The flight.
    """

    def __init__(self, engine: Engine, values: Values, ask: Ask, flight: "Flight[Result]") -> None:
        self._engine = engine
        self._stack = engine.stack
        self._values = values
        self._ask = ask
        self._flight = flight

    async def answer(self) -> None:
        """Answer the flight: by the function, or by what another process's run has brought."""
        leases = self._leases if self._ask.policy.coalesce == "fleet" else None
        if leases is None:
            await self._compute()
        else:
            await self._in_fleet(leases)

    async def renew(self) -> None:
        """Answer it in the background: of one instance, where there are leases.

        The shared tiers are asked first, where another instance may have been.
        """
        try:
            if (leases := self._leases) is not None:
                await self._in_fleet(leases)
                return
            if self._stack.has_shared:
                if (found := await self._found_elsewhere()) is not None:
                    self._land(found)
                    return
                self._flight.renew(self._engine.index)
            await self._compute()
        except Exception as error:
            self._engine.events.refresh_failed(self._ask.key, error)
            raise

    @property
    def _leases(self) -> Leases | None:
        """Who gives leases, if there is a tier in which others look for what a run brings."""
        return self._engine.leases if self._stack.has_shared else None

    async def _in_fleet(self, leases: Leases) -> None:
        """One of all instances computes; the others find what it brings in a shared tier."""
        ask = self._ask
        patience = ask.policy.coalesce_timeout or self._engine.config.coalesce_timeout
        found = await run_in_fleet(
            leases,
            storage_key(ask.key),
            patience,
            self._found_elsewhere,
            self._compute_holding,
            turn=self._flight.turn,
        )
        if found is not None:
            self._land(found)

    async def _compute_holding(self, claim: Claim) -> None:
        """Run the function while the others wait for what it brings."""
        self._flight.renew(self._engine.index)
        held = claim.held  # it may be lost while the function runs
        stored = await self._compute(shares=not held)
        if held and stored is not None:
            # Whoever waits for the lease looks there next.
            await self._stack.write([stored])

    async def _found_elsewhere(self) -> Result | None:
        """What another instance has stored by now, if it does for this caller."""
        found = await self._stack.fetch(self._ask.key)
        if found is None or not isinstance(payload := found.slot.entry.payload, bytes):
            return None
        now, entry = self._engine.clock(), found.slot.entry
        if now >= min(entry.fresh_until, entry.refresh_at):
            return None
        value = self._values.parsed(payload, self._ask.read)
        return None if value is MISSING else Result(payload)

    async def _compute(self, *, shares: bool = True) -> Entry | None:
        """Run the function and answer the flight; the entry, if it was stored."""
        ask = self._ask
        value = await called(ask.compute)
        payload = ask.write(value)
        born, now = self._flight.probe.born, self._engine.clock()
        entry = entry_of(ask.key, payload, ask.policy, ask.tags, born=born, now=now)
        stored = self._keep(entry, payload)
        self._land(Result(payload, value, self._flight))
        if stored and shares:
            self._stack.share(entry)
        return entry if stored else None

    def _keep(self, entry: Entry, payload: bytes) -> bool:
        # What a `set` has brought while it ran is younger.
        if self._flight.superseded:
            return False
        if self._values.too_large(payload):
            self._engine.events.refused[Reason.OVERSIZED] += 1
            return False
        if self._stack.keep(entry) is None:
            return False
        self._engine.flights.overtake(self._flight)
        self._engine.events.fills += 1
        return True

    def _land(self, result: Result) -> None:
        self._engine.flights.land(self._flight)
        self._flight.answer(result)


async def called(compute: Callable[[], T | Awaitable[T]]) -> T:
    """What the function returns, sync or async."""
    value = compute()
    if isawaitable(value):
        return await value
    return value
