"""How long tests wait for what is to come: longer than is promised, on a machine that is busy.

What is promised is measured, and printed as a figure beside its bound. A test fails where the thing
does not come at all, or where something that must not be seen is seen.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

PATIENCE = 10.0
"""Times what a wait takes at most where nothing else runs."""

_STEP = 0.002


async def until(condition: Callable[[], Any], seconds: float = 5.0) -> float:
    """Wait for what another process, thread or server does; the seconds that it took.

    Args:
        condition: Returns a truth, or something to await that does. An `OSError` counts as false.
        seconds: How long it takes at most where nothing else runs on the machine.
    """
    begun = time.monotonic()
    while True:
        with suppress(OSError):
            true = condition()
            if await true if asyncio.iscoroutine(true) else true:
                return time.monotonic() - begun
        assert time.monotonic() - begun <= seconds * PATIENCE, f"not within {seconds} s"
        await asyncio.sleep(_STEP)


def wait_for(condition: Callable[[], Any], seconds: float = 5.0) -> float:
    """As `until`, where no event loop runs."""
    begun = time.monotonic()
    while True:
        with suppress(OSError):
            if condition():
                return time.monotonic() - begun
        assert time.monotonic() - begun <= seconds * PATIENCE, f"not within {seconds} s"
        time.sleep(_STEP)
