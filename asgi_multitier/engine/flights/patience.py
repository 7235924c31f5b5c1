"""How long a request or call waits for a run, and what ends its waiting."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec

from .flight import Flight
from .waiting_list import WaitExpired

R = TypeVar("R")
S = TypeVar("S")


def _now() -> float:
    return asyncio.get_running_loop().time()


class Patience(msgspec.Struct, frozen=True):
    """How long a caller waits; soft and hard times count from when this is made.

    Attributes:
        lead: Seconds of a run's age after which this caller may lead one more; None for never.
        soft: Seconds after which something stale may stand in; None for never.
        hard: Seconds to wait at most; None for as long as it takes.
        began: When the waiting began, on the event loop's clock.
    """

    lead: float | None = None
    soft: float | None = None
    hard: float | None = None
    began: float = msgspec.field(default_factory=_now)

    async def wait(
        self, flight: Flight[R], stand_in: Callable[[], S | None], *, opened: bool = False
    ) -> R | S:
        """Wait for a flight.

        Args:
            flight: The flight.
            stand_in: What may be had instead once the soft time is over; None for nothing.
            opened: Whether this caller has opened the flight.

        Raises:
            MayLead: If this caller is to lead one more run.
            WaitExpired: If the hard time is over.
            BaseException: What the run raised.
        """
        soft, hard = self.left(self.soft), self.left(self.hard)
        if soft is not None and (hard is None or soft < hard):
            try:
                return await flight.wait(patience=self.lead, limit=soft, opened=opened)
            except WaitExpired:
                if (found := stand_in()) is not None:
                    return found
            hard = self.left(self.hard)
        return await flight.wait(patience=self.lead, limit=hard, opened=opened)

    def left(self, seconds: float | None) -> float | None:
        """Seconds that are left of so many from the beginning; None of None."""
        return None if seconds is None else max(0.0, self.began + seconds - _now())
