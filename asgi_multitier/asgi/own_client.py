"""A client of the application in its own process, for warm-ups: no network, and no secrets."""

import asyncio
from collections import Counter
from typing import Any
from urllib.parse import unquote

from .._types import ASGIApp, Message, Scope
from ..policy.status_field import cache_status
from ..warming.report import Reply
from ..warming.targets import Origin, Target
from .lifespan import Lifespan
from .plan import Plan
from .plans import Plans
from .sample import WARM_KEY, Sample, is_open

_LOOKED_AT = 1_000
"""Targets that are looked at to find out which host clients use."""


class OwnClient:
    """Asks the application as an ordinary client would.

    Args:
        app: The middleware, which is asked until the layers around it are known.
        lifespan: What the application's life has put into the state of every request.
        plans: What is known of the targets that clients ask for, and the cache.
    """

    def __init__(self, app: ASGIApp, lifespan: Lifespan, plans: Plans) -> None:
        self._app = app
        self._lifespan = lifespan
        self._plans = plans
        self._manager = plans.manager
        self._manager.answered_by(self)

    def stand_before(self, app: ASGIApp) -> None:
        """Ask the outermost layer of the application, which is known from here on."""
        self._app = app
        self._manager.answered_by(self, bound=True)

    @property
    def origin(self) -> Origin | None:
        """The scheme, the host and the root path of most of the last targets."""
        seen: Counter[Origin] = Counter()
        for (host, target), plan in self._plans.remembered.latest(_LOOKED_AT):
            if plan.key and host is not None:
                seen[Origin(plan.origin[0], host, str(target[3] or ""))] += 1
        return seen.most_common(1)[0][0] if seen else None

    async def ask(self, target: Target) -> Reply:
        """Ask, and wait for the end of the response.

        Raises:
            Exception: What the application has raised.
        """
        start: Message = {"status": 500, "headers": []}
        over, asked = asyncio.Event(), False

        async def receive() -> Message:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message

        scope = self._scope_of(target)
        try:
            await self._app(scope, receive, send)
        finally:
            over.set()
        said = cache_status(start.get("headers", ()))
        return Reply(start["status"], said, said.is_undecided and self._is_stored(target))

    def _scope_of(self, target: Target) -> Scope:
        """A GET as a server would pass it on."""
        scheme, host, root_path = target.origin
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": scheme,
            "path": unquote(target.raw_path.decode("ascii")),
            "raw_path": target.raw_path,
            "query_string": target.query,
            "root_path": root_path,
            "headers": [(b"host", host), *target.headers],
            "client": ("127.0.0.1", 0),
            "server": (host.partition(b":")[0].decode("ascii"), None),
        }
        scope[WARM_KEY] = True
        if self._lifespan.common:
            scope["state"] = dict(self._lifespan.common)
        return scope

    def _is_stored(self, target: Target) -> bool:
        """Whether the response is stored that was sent before that was known."""
        return self._manager.engine.stack.peek(self._plan_of(target).key) is not None

    def _plan_of(self, target: Target) -> Plan:
        return self._plans.make(self._scope_of(target), target.origin.host, None)

    # For the warm-up after the start.

    def is_open(self, target: Target) -> bool:
        """Whether its response may be for anyone, by its rule."""
        return is_open(self._plan_of(target))

    def sampled(self, count: int) -> list[Target]:
        """What clients have asked for that is open, of those noted since the last call.

        Args:
            count: How many requests are noted from here on; 0 for none.
        """
        plans = self._plans
        sample = plans.asked or Sample()
        plans.asked = sample if count else None
        plans.remembered.overlook(count)
        return sample.taken(self._manager.engine.stack)
