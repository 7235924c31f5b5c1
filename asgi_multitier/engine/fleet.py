"""One run of the origin in all processes: the loop around a lease, and how its holder tells others.

The process that holds the lease of a key runs the origin; all others wait until it is given back
and look for what it brought. A run that takes too long is followed by one more, for which there is
a lease of its own: of all whose patience is over, one process takes it. Without the lease's server
each process runs the origin itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..entry import Entry
from .stack import TierStack

if TYPE_CHECKING:
    from ..tracing.runs import RunTrace

R = TypeVar("R")


class LeaseClaim(Protocol):
    """One attempt at a lease: see `redis.lease.Claim`."""

    won: bool
    held: bool
    holder: str

    async def released(self, timeout: float) -> bool:
        """Wait, after losing, until it is worth looking again; False if the time is over first."""

    async def release(self) -> None:
        """Give the lease back, or stop waiting for it."""


class LeaseServer(Protocol):
    """Who gives leases: see `redis.lease.Leases`."""

    async def claim(self, key: str, traceparent: str | None = None) -> LeaseClaim:
        """Try to take the lease of a key; never raises.

        Args:
            key: The key.
            traceparent: How the claimer's span is named, for those who wait for it; None: it
                has none, and the holder's is not asked for.
        """


async def run_in_fleet(
    leases: LeaseServer,
    key: str,
    patience: float,
    look: Callable[[], Awaitable[R | None]],
    run: Callable[[LeaseClaim], Awaitable[None]],
    *,
    turn: int = 0,
    trace: "RunTrace | None" = None,
) -> R | None:
    """Find what another process brings, or run the origin.

    Args:
        leases: Who gives leases.
        key: What the lease is for.
        patience: Seconds to wait for one run of another process.
        look: What is there by now, or None.
        run: Runs the origin; with the lease if the claim says so, and then what it brings must be
            where `look` finds it before the lease is given back.
        turn: Runs that this process has waited for in vain.
        trace: The span of the run; None where there is none.

    Returns:
        What `look` found, or None if the origin was run here.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        name = f"{key}+{turn}" if turn else key
        claim = await leases.claim(name, None if trace is None else trace.traceparent)
        try:
            # Also after winning: the holder before may just have finished. Not where the lease's
            # server did not answer: the tier is likely on the same server.
            found = await look() if claim.held or not claim.won else None
            if found is not None:
                return found
            if claim.won:
                await run(claim)
                return None
            begun = loop.time()
            released = await claim.released(max(0.0, deadline - begun))
            if trace is not None:
                trace.lost(claim.holder, loop.time() - begun, "released" if released else "expired")
            if loop.time() >= deadline:
                turn += 1
                deadline += patience
        finally:
            await claim.release()


class Publisher:
    """Puts what a run brings where the other processes look for it, once.

    With a lease they wait for it, and it is given back when there is something to find.

    Args:
        stack: The tiers.
    """

    __slots__ = ("_claim", "_publishing", "_stack")

    def __init__(self, stack: TierStack) -> None:
        self._stack = stack
        self._claim: LeaseClaim | None = None
        self._publishing: asyncio.Task[None] | None = None

    def hold(self, claim: LeaseClaim) -> None:
        """The run is to begin under this claim, if it is held."""
        self._claim = claim if claim.held else None

    def publish(self, entries: Sequence[Entry]) -> None:
        """Write what the run brought, none if it is not shared, and let the others look."""
        if self._claim is None:
            for entry in entries:
                self._stack.share(entry)
            return
        self._publishing = self._stack.spawn(
            self._write_and_release(self._claim, entries), "asgi-multitier lease"
        )
        self._claim = None

    async def published(self) -> None:
        """Wait until the others can look, if anything was published."""
        if self._publishing is not None:
            await self._publishing

    async def _write_and_release(self, claim: LeaseClaim, entries: Sequence[Entry]) -> None:
        if entries:
            await self._stack.write(entries)
        await claim.release()
