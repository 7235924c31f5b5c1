"""One caller who waits for a run: for how long, and what stands in if it fails or takes too long.

He is counted once, whatever comes of it.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from ..coalescing import Flight, WaitExpired, running_for
from ..config import Policy
from ..engine import Engine
from ..entry import Slot
from ..events import MANAGER
from ..policy.reasons import Reason
from ..stale import stands_in
from .reading import MISSING
from .run import Ask, Result, called
from .store import Values


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one caller waits.

    Attributes:
        limit: Seconds at most; None for as long as it takes.
        soft: Seconds after which a stale value may stand in; None for never.
        is_hard: Whether the limit is the caller's own: he does not ask by himself after it.
    """

    limit: float | None
    soft: float | None
    is_hard: bool


def patience_of(policy: Policy, coalesce_timeout: float, *, leads: bool) -> Patience:
    """How long a caller waits, who has opened the run or has joined it.

    Args:
        policy: What he has said.
        coalesce_timeout: Seconds to wait for somebody else's run where he says nothing else.
        leads: Whether the run is his own.
    """
    hard = limit = policy.hard_timeout
    if not leads:
        limit = policy.coalesce_timeout or coalesce_timeout
        limit = limit if hard is None else min(hard, limit)
    soft = policy.soft_timeout
    if soft is not None and limit is not None and soft >= limit:
        soft = None
    return Patience(limit, soft, is_hard=limit == hard)


@dataclass(frozen=True, slots=True)
class _StandIn:
    """A stale value that is used because the run takes too long."""

    value: Any


class Caller:
    """One caller whom nothing fresh answers.

    Args:
        engine: The cache.
        values: The cache's values.
        ask: His question.
        stale: What there is that is not fresh any more.
    """

    def __init__(self, engine: Engine, values: Values, ask: Ask, stale: Slot | None) -> None:
        self._engine = engine
        self._values = values
        self._ask = ask
        self._stale = stale
        self._tally = engine.events.tally(MANAGER)

    async def wait(self, flight: "Flight[Result]", *, leads: bool) -> Any:
        """Wait for a run, as its opener or with him; MISSING if its answer is not this caller's.

        Raises:
            TimeoutError: If he has waited for `hard_timeout`.
            Exception: What the compute function raised, unchanged.
        """
        config, failures = self._engine.config, self._engine.events.failures
        patience = patience_of(self._ask.policy, config.coalesce_timeout, leads=leads)
        try:
            result = await self._result(flight, patience)
        except WaitExpired:
            self._engine.flights.abandon(flight)
            if not patience.is_hard:
                # Whoever comes later goes alone at once; the run goes on, and may be stored.
                flight.closed = True
                failures["coalesce-timeout"] += 1
                return await self.alone(Reason.COALESCE_TIMEOUT)
            failures["hard-timeout"] += 1
            error: Exception = TimeoutError(
                f"the compute function of {self._ask.key!r} takes longer than"
                f" hard_timeout={patience.limit:g} s"
            )
            return self._failed(error, leads=leads)
        except asyncio.CancelledError:
            self._engine.flights.abandon(flight)
            raise
        except Exception as error:  # noqa: BLE001  # raised again unless something stands in
            return self._failed(error, leads=leads)
        if isinstance(result, _StandIn):
            self._tally.stale += 1
            return result.value
        if leads and result.value is not MISSING:
            self._tally.misses += 1
            return result.value
        value = self._values.parsed(result.payload, self._ask.read)
        self._tally.coalesced += value is not MISSING
        return value

    async def alone(self, reason: Reason) -> Any:
        """Compute for this caller only; nothing is stored."""
        self._tally.passes[reason] += 1
        with running_for(self._ask.key):
            async with asyncio.timeout(self._ask.policy.hard_timeout):
                return await called(self._ask.compute)

    async def _result(self, flight: "Flight[Result]", patience: Patience) -> Result | _StandIn:
        """What the run brings, or the stale value if that takes too long.

        Raises:
            WaitExpired: If the caller has waited for as long as he does.
            Exception: What the run raised.
        """
        limit, soft = patience.limit, patience.soft
        if soft is not None and self._stale is not None:
            try:
                return await flight.wait(soft)
            except WaitExpired:
                if (value := self._stand_in()) is not MISSING:
                    self._engine.flights.abandon(flight)
                    return _StandIn(value)
            limit = None if limit is None else limit - soft
        return await flight.wait(limit)

    def _failed(self, error: Exception, *, leads: bool) -> Any:
        """The stale value that stands in for a failure.

        Raises:
            Exception: The failure, where nothing may stand in.
        """
        value = self._stand_in()
        if value is not MISSING:
            self._tally.stale += 1
            if leads:
                self._engine.events.failures["origin"] += 1
                self._engine.events.stood_in(self._ask.key, error)
            return value
        if leads:
            self._tally.misses += 1
        else:
            self._tally.coalesced += 1
        raise error

    def _stand_in(self) -> Any:
        """The stale value, if it may be used in place of a failure."""
        if self._stale is None:
            return MISSING
        entry = self._stale.entry
        if not stands_in(entry, self._engine.index, self._engine.clock()):
            return MISSING
        return self._values.read(entry, self._ask.read)
