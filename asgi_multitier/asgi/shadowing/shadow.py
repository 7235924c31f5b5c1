"""A request whose answer the cache neither gives nor changes."""

import asyncio
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Callable
from contextvars import Context
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from ..._loading import loaded
from ..._types import ASGIApp, Receive, Scope, Send
from ...policy.reasons import Reason
from ..framework import SHADOW_KEY
from ..lifespan import Lifespan, give_state
from ..plan import Plan
from ..plans import Plans

if TYPE_CHECKING:
    from .exchange import Exchange
    from .meeting import RequestFor
    from .observer import Observer

_OBSERVER = "asgi_multitier.asgi.shadowing.observer"
"""What observes is loaded where something is observed, and in a thread once requests come."""

Runner: TypeAlias = Callable[[Plan, Scope, bytes | None], ASGIApp]
"""Gives what runs the application for a request, by its plan, its scope and its content."""


class Shadow:
    """Lets the application answer, as if there were no cache, and observes.

    Args:
        plans: Makes plans.
        lifespan: Starts the cache.
        runner: Gives what runs the application for a request.
        request_for: Makes requests that may meet the cache.
        secret: Signs the positions that clients carry; None if they carry none.
    """

    def __init__(
        self,
        plans: Plans,
        lifespan: Lifespan,
        runner: Runner,
        request_for: "RequestFor",
        secret: bytes | None,
    ) -> None:
        self._plans = plans
        self._lifespan = lifespan
        self._runner = runner
        self._request_for = request_for
        self._secret = secret
        self._observer: Observer | None = None
        self._is_told = False
        if plans.manager.config.mode == "shadow":
            import_module(_OBSERVER)

    async def __call__(self, plan: Plan, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        manager = self._plans.manager
        manager.engine.events.passed(plan.tally, plan.resolved.label, Reason.SHADOW)
        give_state(scope, manager)
        run = self._runner(plan, scope, b"")
        if manager.loop is None and loop_here() is not None:
            await self._start()
        if loop_here() is not None:
            await loaded(_OBSERVER)
        observer = None if plan.resolved.inert else self._present()
        exchange = None
        if observer is not None and observer.takes(plan):
            exchange = await self._begun(observer, plan, scope, send)
        if observer is None or exchange is None:
            await run(scope, receive, send)
            self._plans.confirms(plan, scope)
            return
        scope[SHADOW_KEY] = exchange
        outside, given = exchange.outside, scope
        if outside is not None and exchange.seed is not None:
            given = outside.look_on(scope)
        confirmed = False
        try:
            channel = receive if plan.framed else exchange.noting(receive)
            await run(given, channel, exchange.send)
            confirmed = self._plans.confirms(plan, scope)
        finally:
            if given is not scope or exchange.seed is not None:
                assert outside is not None  # noqa: S101  # a seed has one
                outside.leave(scope)
            self._end(observer, exchange, scope, confirmed=confirmed)

    async def _start(self) -> None:
        """Start the cache: no request waits until its log answers."""
        Context().run(self._plans.manager.spawn, self._lifespan.start(), "asgi-multitier start")
        await asyncio.sleep(0)  # it has begun to live here after that

    def _present(self) -> "Observer | None":
        """What observes; None if the cache does not live in this event loop."""
        manager = self._plans.manager
        if manager.home.place is not loop_here():
            return None
        observer = self._observer
        if observer is None or observer.engine is not manager.engine:
            from .observer import Observer

            if not self._is_told:
                self._is_told = True
                manager.on_close(self._close)
            observer = Observer(manager, self._plans, self._request_for, self._secret)
            self._observer = observer
        return observer

    async def _close(self) -> None:
        if self._observer is not None:
            await self._observer.close()

    @staticmethod
    async def _begun(
        observer: "Observer", plan: Plan, scope: Scope, send: Send
    ) -> "Exchange | None":
        """The exchange that a request begins; None if it is not observed."""
        outer: Exchange | None = scope.get(SHADOW_KEY)
        if outer is not None:
            # The same cache stands outside as well: of both, the one with a rule observes.
            if outer.plan.beneath is None:
                return None
            outer.replaced = True
        try:
            return await observer.begin(plan, scope, send)
        except Exception as error:  # noqa: BLE001  # the application answers in any case
            observer.engine.events.broken("observing a request", error)
            return None

    @staticmethod
    def _end(observer: "Observer", exchange: "Exchange", scope: Scope, *, confirmed: bool) -> None:
        if exchange.replaced:
            return
        try:
            observer.end(exchange, scope, confirmed=confirmed)
        except Exception as error:  # noqa: BLE001  # the application has answered
            observer.engine.events.broken("observing a request", error)
