"""Work in slices, between which the event loop does what waits."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")

AT_A_TIME = 0.004
"""Seconds for which the event loop is kept: 2,000 routes have 60,000 lines."""

CHECKED_EVERY = 64
"""Items between two looks at the clock."""


async def in_slices(items: Iterable[T], checked_every: int = CHECKED_EVERY) -> AsyncIterator[T]:
    """Each item; others may run between two of them."""
    until = time.perf_counter() + AT_A_TIME
    for number, item in enumerate(items):
        yield item
        if number % checked_every == 0 and time.perf_counter() >= until:
            await asyncio.sleep(0)
            until = time.perf_counter() + AT_A_TIME
