"""What tests of audits share: an application that changes its mind, and waiting for audits."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from asgi_multitier import Rule
from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from asgi_multitier.events import Verdict
from tests.patience import PATIENCE
from tests.support import Cache, caching, respond

RIGHT, WRONG, INCONCLUSIVE = (verdict.value for verdict in Verdict)

RULES = (Rule("*", 60, ignore_cookies=True, public=True),)


class Page:
    """An application of which the content is changed by hand; notes what it was asked.

    Attributes:
        body: What it answers.
        scopes: What it was asked.
        gate: It waits for that before it answers.
        arrived: Calls that have come to the gate.
    """

    def __init__(self, body: bytes = b"old") -> None:
        self.body = body
        self.status = 200
        self.lines: list[tuple[bytes, bytes]] = []
        self.scopes: list[Scope] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        self.arrived.release()
        await self.gate.wait()
        await respond(send, self.body, *self.lines, status=self.status)


@asynccontextmanager
async def auditing(
    app: ASGIApp, rules: Iterable[Rule] = RULES, **settings: Any
) -> AsyncIterator[Cache]:
    """A cache of which every hit is audited."""
    settings = {"audit": 1, "audit_runs": 1_000, **settings}
    async with caching(app, rules, **settings) as cache:
        yield cache


async def over(cache: Cache) -> dict[str, int]:
    """The verdicts, when all audits that have begun are over."""
    while tasks := cache.manager.engine.audits.tasks:
        await asyncio.wait(tasks, timeout=PATIENCE)
    return dict(cache.manager.stats().total.audits)
