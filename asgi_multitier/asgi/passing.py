"""Requests that pass by the cache: the application answers each of them alone."""

from .._types import Receive, Scope, Send
from ..policy import cache_status
from ..policy.cache_status import Forward
from ..policy.reasons import Reason
from .lifespan import give_state
from .plan import Plan
from .plans import Plans
from .sending import with_cache_status
from .shadowing import Runner, Shadow


class Passing:
    """Lets the application answer alone, and says why.

    Args:
        plans: Makes plans.
        runner: Gives what runs the application for a request.
        shadow: Lets it answer where the cache only observes.
    """

    def __init__(self, plans: Plans, runner: Runner, shadow: Shadow) -> None:
        self._plans = plans
        self._runner = runner
        self._shadow = shadow

    async def __call__(
        self, plan: Plan, reason: Reason, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let one request pass by.

        Args:
            plan: The plan of its target.
            reason: Why it does not meet the cache.
            scope, receive, send: The request.
        """
        if reason is Reason.SHADOW:
            await self._shadow(plan, scope, receive, send)
            return
        manager = self._plans.manager
        manager.engine.events.passed(plan.tally, plan.resolved.label, reason)
        give_state(scope, manager)
        member = cache_status.forwarded(Forward.BYPASS, detail=reason)
        noting = with_cache_status(send, member, plan.terms)
        await self._runner(plan, scope, b"")(scope, receive, noting)
        self._plans.confirms(plan, scope)
