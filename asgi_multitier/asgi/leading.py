"""A request that leads a run: how long it waits for it, and what it gets."""

import asyncio
from functools import partial

from ..engine.caller import Caller, StandIn
from ..engine.engine import Engine
from ..events import Outcome, Tally
from ..policy.reasons import Reason
from .client import Client
from .fill import Answer, Fill
from .traced import note


async def lead(
    engine: Engine,
    fill: Fill,
    client: Client,
    caller: "Caller[Answer]",
    tally: Tally,
    *,
    fleet: bool,
) -> StandIn | Reason | None:
    """Run the application for all requests that wait, this one first.

    Args:
        engine: The cache.
        fill: The run of the flight that the request has opened.
        client: The request's.
        caller: How the request waits.
        tally: Where it is counted, exactly once.
        fleet: Whether there is time to ask other processes first.

    Returns:
        The stale entry that the client is to get; or why the application is to answer it alone; or
        None if it is answered.

    Raises:
        Exception: What the application has raised.
    """

    def leave(_: object) -> None:
        """The client no longer waits; the run goes on for others."""
        flight.led = False
        engine.flights.abandon(flight)

    flight = fill.flight
    client.left.add_done_callback(leave)
    flight.led = True
    note(engine, "miss")  # until something else is known; a server's span ends with the last byte
    task = engine.flights.launch(flight, partial(fill.answer, fleet=fleet), caller.route)
    outcome: Outcome | None = None
    try:
        stale, soft = None if fill.foreground else caller.stale, caller.soft_left
        if stale is not None and soft is not None:
            await asyncio.wait({task}, timeout=soft)
            if not task.done() and not fill.started and caller.may_stand_in and caller.stale:
                client.leave()
                outcome = Outcome.STALE
                return StandIn(caller.stale, Reason.SOFT_TIMEOUT)
        await asyncio.wait({task, client.left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and fill.streaming:
            # It is this client's alone: what the application does about its leaving is done.
            await asyncio.shield(task)
        elif task.done():
            await task
    except asyncio.CancelledError:
        client.leave()
        if fill.streaming:
            task.cancel()
            # What the application does about it is done before its caller goes on.
            await asyncio.wait({task})
        raise
    finally:
        tally.count(outcome or fill.outcome)
    return fill.declined
