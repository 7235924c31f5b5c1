"""One run of the origin in all processes: the loop around a lease.

Whoever holds the lease of a key runs the origin; everybody else waits until it is given back and
looks for what it brought. Losing the lease's server, or one's patience, means to run it oneself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

R = TypeVar("R")


class Claim(Protocol):
    """One attempt at a lease: see `redis.lease.Claim`."""

    won: bool
    held: bool

    async def released(self, timeout: float) -> bool:
        """Wait, after losing, until it is worth looking again."""

    async def release(self) -> None:
        """Give the lease back, or stop waiting for it."""


class Leases(Protocol):
    """Who gives leases: see `redis.lease.Leases`."""

    async def claim(self, key: str) -> Claim:
        """Try to take the lease of a key; never raises."""


async def run_in_fleet(
    leases: Leases,
    key: str,
    patience: float,
    look: Callable[[], Awaitable[R | None]],
    run: Callable[[Claim], Awaitable[None]],
) -> R | None:
    """Find what another process brings, or run the origin.

    Args:
        leases: Who gives leases.
        key: What the lease is for.
        patience: Seconds to wait for others at most.
        look: What is there by now, or None.
        run: Runs the origin; with the lease if the claim says so, and then what it brings must be
            where `look` finds it before the lease is given back.

    Returns:
        What `look` found, or None if the origin was run here.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        claim = await leases.claim(key)
        try:
            # Also after winning: whoever held the lease before may just have finished. But whom
            # the server has let wait in vain waits for it no second time.
            found = await look() if claim.held or not claim.won else None
            if found is not None:
                return found
            if claim.won or loop.time() >= deadline:
                await run(claim)
                return None
            await claim.released(deadline - loop.time())
        finally:
            await claim.release()
