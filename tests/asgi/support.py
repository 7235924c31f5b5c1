"""What tests of bursts share: a leader with its waiters, and origins that fail."""

import asyncio

from asgi_multitier._types import Receive, Scope, Send
from tests.support import Cache, Origin, Reply, settled


async def gathered(cache: Cache, origin: Origin, number: int) -> list["asyncio.Task[Reply]"]:
    """A leader in the origin, and so many others that wait for it."""
    origin.gate.clear()
    tasks = [cache.client.begin("/x") for _ in range(number + 1)]
    await origin.arrived.acquire()
    await settled()
    return tasks


class BoomError(Exception):
    """What the origin raises."""


async def boom(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail before the start."""
    raise BoomError("before the start")


async def boom_after_start(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail after the start."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise BoomError("after the start")


async def boom_after_half(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail after half a body."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise BoomError("after half the body")


async def boom_after_half_with_length(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail after half a body whose length is known."""
    lines = [(b"content-length", b"8")]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise BoomError("after half the body")
