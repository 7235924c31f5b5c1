"""A request whose answer the cache neither gives nor changes."""

from collections.abc import Callable
from typing import TypeAlias

from ..._types import ASGIApp, Receive, Scope, Send
from ...policy.reasons import Reason
from ..lifespan import give_state
from ..plan import Plan
from ..plans import Plans

Runner: TypeAlias = Callable[[Plan, Scope, bytes | None], ASGIApp]
"""Gives what runs the application for a request, by its plan, its scope and its content."""


class Shadow:
    """Lets the application answer, as if there were no cache.

    Args:
        plans: Makes plans.
        runner: Gives what runs the application for a request.
    """

    def __init__(self, plans: Plans, runner: Runner) -> None:
        self._plans = plans
        self._runner = runner

    async def __call__(self, plan: Plan, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        manager = self._plans.manager
        manager.engine.events.passed(plan.tally, plan.resolved.label, Reason.SHADOW)
        give_state(scope, manager)
        await self._runner(plan, scope, b"")(scope, receive, send)
        self._plans.confirms(plan, scope)
