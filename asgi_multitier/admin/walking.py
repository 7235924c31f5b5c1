"""Reading through everything that is held, so that requests are answered meanwhile."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from ..entry import LEFT, Slot
from ..tiers.base import ListingTier, LocalTier
from .replies import Refusal, again_in

T = TypeVar("T")

_AT_A_TIME = 0.002
"""Seconds for which a walk keeps the event loop."""

_CHECKED_EVERY = 16
"""Entries between two looks at the clock."""

MAX_WALKS = 4
"""Walks at once."""


class Walks:
    """The walks under way."""

    def __init__(self) -> None:
        self._walking = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """One walk.

        Raises:
            Refusal: 503 if there are too many others.
        """
        if self._walking >= MAX_WALKS:
            raise Refusal(503, "others are listing; try again", again_in(1))
        self._walking += 1
        try:
            yield
        finally:
            self._walking -= 1


def slots_of(tier: LocalTier) -> list[Slot]:
    """What a tier holds.

    Raises:
        Refusal: 501 if it cannot tell.
    """
    if not isinstance(tier, ListingTier):
        raise Refusal(501, f"the tier {tier.name!r} cannot tell what it holds")
    return tier.slots()


async def made_of(slots: Iterable[Slot], make: Callable[[Slot], T]) -> list[T]:
    """What is made of each slot, in pieces between which others may run."""
    made: list[T] = []
    for slot in slots:
        made.append(make(slot))
        if len(made) % _CHECKED_EVERY == 0:
            await asyncio.sleep(0)
    return made


async def walk(slots: Sequence[Slot], start: int, look: Callable[[Slot], bool]) -> int:
    """Look at slots, one after the other, in pieces between which others may run.

    Args:
        slots: The slots; those that leave meanwhile are skipped.
        start: Where to begin.
        look: Looks at a slot; whether to go on.

    Returns:
        How many were looked at, or skipped, from the beginning of the list.
    """
    until = time.perf_counter() + _AT_A_TIME
    for at in range(start, len(slots)):
        slot = slots[at]
        if slot.view != LEFT and not look(slot):
            return at + 1
        if at % _CHECKED_EVERY == 0 and time.perf_counter() >= until:
            await asyncio.sleep(0)
            until = time.perf_counter() + _AT_A_TIME
    return len(slots)
