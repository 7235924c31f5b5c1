"""One caller who waits for a run: for how long, and what stands in if it fails or takes too long.

A call is counted once, whatever comes of it.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from ...config.policy import Policy
from ...engine.coalescing import Flight, MayLead, Patience, WaitExpired
from ...engine.engine import Engine
from ...entry import Slot
from ...errors import CacheError
from ...events import MANAGER
from ...policy.reasons import Reason
from .reading import MISSING
from .run import Ask, Result
from .store import Values


def patience_of(policy: Policy, coalesce_timeout: float) -> Patience:
    """How long a caller waits for a run that another one has opened.

    Args:
        policy: What the caller has said.
        coalesce_timeout: Seconds of a run's age after which a caller leads one more, unless the
            policy says it.
    """
    lead = policy.coalesce_timeout or coalesce_timeout
    return Patience(lead, policy.soft_timeout, policy.hard_timeout)


@dataclass(frozen=True, slots=True)
class _StandIn:
    """A stale value that is used because the run takes too long."""

    value: Any


class Caller:
    """One caller whom nothing fresh answers.

    Args:
        engine: The cache.
        values: The cache's values.
        ask: The question.
        stale: What there is that is not fresh any more.
        patience: How long the caller waits.
    """

    def __init__(
        self, engine: Engine, values: Values, ask: Ask, stale: Slot | None, patience: Patience
    ) -> None:
        self._engine = engine
        self._values = values
        self._ask = ask
        self._stale = stale
        self._patience = patience
        self._tally = engine.events.tally(MANAGER)

    async def wait(self, flight: "Flight[Result]", *, leads: bool) -> Any:
        """Wait for a run, as its opener or as one more; MISSING if its answer is not this caller's.

        Raises:
            MayLead: If the run takes too long, and this caller is to lead one more.
            TimeoutError: If the caller has waited for `hard_timeout`.
            Exception: What the compute function raised, unchanged.
        """
        patience = self._patience
        try:
            result = await patience.wait(flight, self._instead, opened=leads)
        except WaitExpired:
            self._engine.flights.abandon(flight)
            self._engine.events.failures["hard-timeout"] += 1
            error: Exception = TimeoutError(
                f"the compute function of {self._ask.key!r} takes longer than"
                f" hard_timeout={patience.hard:g} s"
            )
            return self._failed(error, leads=leads)
        except asyncio.CancelledError:
            self._engine.flights.abandon(flight)
            raise
        except MayLead:
            raise
        except Exception as error:  # noqa: BLE001  # raised again unless something stands in
            return self._failed(error, leads=leads)
        if isinstance(result, _StandIn):
            self._engine.flights.abandon(flight)
            self._tally.stale += 1
            return result.value
        if leads and result.value is not MISSING and result.by is flight:
            self._tally.misses += 1
            return result.value
        value = self._values.parsed(result.payload, self._ask.read)
        self._tally.coalesced += value is not MISSING
        return value

    def refused(self) -> Any:
        """What this caller gets where no more may wait.

        Raises:
            CacheError: Unless something stale may stand in.
        """
        if (found := self._instead()) is not None:
            self._tally.stale += 1
            return found.value
        self._tally.passes[Reason.OVERLOADED] += 1
        raise CacheError(
            f"{self._ask.key!r}: max_waiters={self._engine.config.max_waiters} callers wait for it"
            " already, and overload='refuse' turns further ones away"
        )

    def _instead(self) -> _StandIn | None:
        value = self._stand_in()
        return None if value is MISSING else _StandIn(value)

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
        if not self._engine.stack.stands_in(entry):
            return MISSING
        return self._values.read(entry, self._ask.read)
