"""Events while they happen: `GET /api/events`, as Server-Sent Events."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from .._types import Receive, Send
from ..engine.engine import Engine
from ..events.live import KINDS, Event, Listener, Live, TooManyListeners
from .reading import Ask
from .replies import Refusal, again_in, as_json, begin, wrong
from .shown import Shown
from .stopping import is_stopping

PARAMETERS = frozenset(("kind", "route", "reveal"))

_KIND = b"text/event-stream; charset=utf-8"
_UNBUFFERED = ((b"x-accel-buffering", b"no"),)
"""Tells nginx to pass on what it gets."""

HEARTBEAT = 15.0
"""Seconds after which a comment is sent where nothing happened."""

LONGEST = 3600.0
"""Seconds of one stream."""

_PATIENCE = 30.0
"""Seconds for which a client may not read."""

_LOOK_EVERY = 1.0
"""Seconds between two looks at what does not tell when it changes: trust, and gaps of the log."""


class Watching:
    """Streams of events.

    Args:
        engine: Gives the cache's parts.
    """

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._known: tuple[Live, bool, int] | None = None

    async def stream(self, ask: Ask, receive: Receive, send: Send) -> None:
        """One stream, until the client leaves, or an hour is over.

        Raises:
            Refusal: If there are too many already, or a parameter is wrong.
        """
        wants, shown = _filter(ask), Shown(everything=ask.reveals())
        live = self._engine().events.live
        try:
            listener = live.listen(_last_of(ask))
        except TooManyListeners:
            refused = "there are as many listeners as there may be"
            raise Refusal(503, refused, again_in(60)) from None
        leaving = asyncio.create_task(_left(receive))
        leaving.add_done_callback(lambda _: listener.wake())
        try:
            await begin(send, _KIND, _UNBUFFERED)
            await _write(send, "hello", {"id": live.last, "kinds": list(KINDS)})
            reason = await self._pump(live, listener, leaving, wants, shown, send)
            if reason:
                await _write(send, "bye", {"reason": reason})
                await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, OSError):
            return  # the client does not read any more, or has left
        finally:
            live.leave(listener)
            leaving.cancel()
            await asyncio.wait({leaving})

    async def _pump(
        self,
        live: Live,
        listener: Listener,
        leaving: "asyncio.Task[None]",
        wants: Callable[[Event], bool],
        shown: Shown,
        send: Send,
    ) -> str:
        """Send what happens; why it ends, "" if the client has left."""
        loop = asyncio.get_running_loop()
        ends, silent = loop.time() + LONGEST, loop.time() + HEARTBEAT
        while not leaving.done():
            if loop.time() >= ends:
                return "hour"
            if is_stopping():
                return "closed"
            self._look(live)
            events, lost = listener.take()
            if lost:
                await _write(send, "lost", {"count": lost})
            wanted = list(filter(wants, events))
            for event in wanted:
                await _write(send, event["kind"], _told(event, shown), event["id"])
            if lost or wanted:
                silent = loop.time() + HEARTBEAT
            elif loop.time() >= silent:
                await _send(send, b": heartbeat\n\n")
                silent = loop.time() + HEARTBEAT
            await listener.wait(_LOOK_EVERY)
        return ""

    def _look(self, live: Live) -> None:
        """Tell of what has changed since the last look of any stream."""
        log = self._engine().log
        trusted, gaps = log.trusted, log.stats().gaps
        known, self._known = self._known, (live, trusted, gaps)
        if known is None or known[0] is not live:
            return
        if known[1] != trusted:
            live.emit("trust", trusted=trusted)
        if known[2] != gaps:
            live.emit("gap", count=gaps - known[2])


def _filter(ask: Ask) -> Callable[[Event], bool]:
    kinds = [kind for kind in ask.query.get("kind", "").split(",") if kind]
    for kind in kinds:
        if kind not in KINDS:
            raise wrong("kind", f"kind={kind[:80]!r} is not allowed", ", ".join(KINDS))
    chosen, route = frozenset(kinds or KINDS), ask.query.get("route")
    return lambda event: event["kind"] in chosen and route in (None, event.get("route"))


def _last_of(ask: Ask) -> int | None:
    """The number of the last event that a client has had, as it says when it comes back."""
    for name, value in ask.scope["headers"]:
        if name == b"last-event-id" and value.isdigit() and len(value) < 16:
            return int(value)
    return None


def _told(event: Event, shown: Shown) -> Mapping[str, Any]:
    if "selectors" not in event:
        return event
    return {**event, "selectors": shown.selectors(event["selectors"])}


async def _left(receive: Receive) -> None:
    """Return when the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def _write(send: Send, kind: str, told: Mapping[str, Any], number: int | None = None) -> None:
    head = b"" if number is None else b"id: %d\n" % number
    await _send(send, head + b"event: " + kind.encode() + b"\ndata: " + as_json(told) + b"\n\n")


async def _send(send: Send, part: bytes) -> None:
    async with asyncio.timeout(_PATIENCE):
        await send({"type": "http.response.body", "body": part, "more_body": True})
