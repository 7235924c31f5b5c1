"""A plain hit of a shared tier: what a plain request gets that memory does not answer.

The same request could go through `Exchange`, which asks and sends by the functions that are used
here: this door only makes less on the way. What it finds and may not send as it is, it hands on, so
that nothing is asked for twice.
"""

import asyncio
from time import monotonic

from .._types import Scope, Send
from ..engine.engine import Engine
from ..events import Outcome
from .framework import FILL_KEY
from .kept_plan import KeptPlan
from .layers import is_known
from .layout import Layout
from .lookup import LookUp
from .replay import Prepared, Replay, prepare


def is_plain(plan: KeptPlan, layout: Layout, scope: Scope, engine: Engine) -> bool:
    """Whether nothing in a request is to be asked for before the tiers are, nor chooses its answer.

    A request that the same cache makes from outside, to fill, is none; nor is any while one is to
    be chosen for an audit, as that is done on the general way.

    Args:
        plan: The plan of its target.
        layout: That of its field lines.
        scope: The request.
        engine: The cache.
    """
    common = plan.common
    return (
        common.prompt
        and not engine.audits.due
        and common.alone
        and common.plain.issuperset(layout.fields)
        and (common.separated or not is_known(scope))
        and (FILL_KEY not in scope or scope[FILL_KEY] is not engine)
    )


async def shared_hit(
    engine: Engine, plan: KeptPlan, scope: Scope, send: Send, *, tell: bool
) -> LookUp | None:
    """Answer a plain request from a shared tier.

    Args:
        engine: The cache, which lives in this event loop and has started.
        plan: The plan of its target.
        scope: The request, which `is_plain`.
        send: The client's.
        tell: Whether the layers outside are told of the route.

    Returns:
        None if it is answered, else what was found.
    """
    stack, key, tally = engine.stack, plan.key, plan.common.tally
    present = stack.find(key)
    if (present is not None and stack.peek(key) is not None) or not stack.has_shared:
        return LookUp(engine, tally)
    begun = monotonic()  # not the event loop's own time: to find out the loop is a system call
    try:
        found = await stack.ask(key)
    except asyncio.CancelledError:
        tally.count(Outcome.MISS)  # every request is counted, also one that leaves here
        raise
    if found is not None:
        level, replay = found.level, found.slot.replay
        if type(replay) is not Replay:
            replay = prepare(found.slot, plan.common.terms, level)
        if replay is not None and replay.renew(engine.clock()):
            tally.hits[level] += 1  # as `Tally.hit`: no shared tier has level 1
            if tell and (kind := plan.common.kind()) is not None:
                kind.tell(plan, scope)
            # As `sent`, written out: a coroutine less for each hit.
            lines = [*replay.lines]
            await send({"type": "http.response.start", "status": replay.status, "headers": lines})
            body = b"" if scope["method"] == "HEAD" else replay.body
            await send({"type": "http.response.body", "body": body})
            return None
    return LookUp(engine, tally, looked=key, found=found, waited=monotonic() - begun)


async def sent(replay: Prepared, method: str, send: Send) -> None:
    """Send what is prepared, which is for a GET or a HEAD."""
    lines = [*replay.lines]
    await send({"type": "http.response.start", "status": replay.status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else replay.body})
