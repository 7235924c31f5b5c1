"""Unsafe requests: what they drop, and when.

An unsafe request that was answered 2xx or 3xx has changed something (RFC 9111 §4.4), unless it was
turned away before any endpoint had it. What it drops
is dropped before the client can know of the change, that is before `http.response.start` leaves,
and a second time when the application returns: dependencies with `yield` commit after the response.
One that raises or is cancelled may have changed something before, and drops it as well; so does one
whose exception a handler of the application's own answers 5xx, where its route names what it drops.
"""

import asyncio
from collections.abc import Callable, Sequence

from .._types import ASGIApp, Header, Headers, Message, Receive, Scope, Send
from ..entry import Born
from ..policy import cache_status
from ..policy.cache_status import Forward
from ..policy.headers import normalised
from ..policy.invalidation import may_invalidate
from ..selectors import Selector

Dropped = Callable[[Scope, int, Headers], Sequence[Selector]]
"""What this exchange drops: takes the scope as it came, and the response's status and field lines;
status 0 where there was no response."""

Invalidate = Callable[[Sequence[Selector]], "asyncio.Future[Born | None]"]
"""Drops it on every instance; goes on if whoever waits for it is cancelled. Its result is the
position of the log's record, None if that could not be written yet."""

Stamp = Callable[[Born | None], Header]
"""Makes a field line that tells the client the position of its write."""


async def mutate(
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    dropped: Dropped,
    invalidate: Invalidate,
    stamp: Stamp | None = None,
) -> None:
    """Run an unsafe request.

    Args:
        app: The application.
        scope, receive, send: The request.
        dropped: What it drops if it succeeds.
        invalidate: Drops it.
        stamp: Makes a field line for the client out of the position that the log gave it.
    """
    selectors: Sequence[Selector] = ()
    asked = dict(scope)  # a mount changes the root path of the one that the application gets
    member = cache_status.forwarded(Forward.METHOD)

    async def watching(message: Message) -> None:
        nonlocal selectors
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (cache_status.NAME, member)]
            if may_invalidate(scope["method"], message["status"]) or message["status"] >= 500:
                selectors = dropped(asked, message["status"], normalised(headers))
                position = await asyncio.shield(invalidate(selectors)) if selectors else None
                if selectors and stamp is not None:
                    headers.append(stamp(position))
            message = {**message, "headers": headers}
        await send(message)

    returned = False
    try:
        await app(scope, receive, watching)
        returned = True
    finally:
        if not (selectors or returned):
            # It raised or was cancelled: nobody knows how far it came, so it counts as done.
            selectors = dropped(asked, 0, ())
        if selectors:
            # Also when the client has gone: what was committed is committed.
            await asyncio.shield(invalidate(selectors))
