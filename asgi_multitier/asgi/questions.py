"""Questions with content: a search by POST, a query of GraphQL, the QUERY method.

Where a rule has `body=`, a POST asks for something and changes nothing, so its content is read,
within a bound, and it meets the cache as a GET does. `when=` may say of a POST that it is no
question, as the mutation of a GraphQL endpoint is not: then it is a change like any other, and so
is one of which `when=` could not be asked, because its content is beyond the bound.
"""

import asyncio
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from msgspec.structs import replace

from .._types import Receive, Scope, Send
from ..config.policy import When
from ..events import Outcome
from ..policy.content import WITH_CONTENT
from ..policy.invalidation import is_safe
from ..policy.reasons import Reason
from ..policy.request import Field, FieldLines
from ..policy.request_content import is_all, unread_reason
from ..routing import Resolved
from .admission import Failures, ask_when
from .framework import FILL_KEY, bound_of
from .plan import Plan
from .plans import Plans
from .receiving import Reading, read_within
from .request import view_of
from .traced import note

Meet: TypeAlias = Callable[[Plan, FieldLines, Scope, Receive, Send, bytes], Awaitable[None]]
Bypass: TypeAlias = Callable[[Plan, Reason, Scope, Receive, Send], Awaitable[None]]


class Questions:
    """Requests that are answered as a GET is, although they have another method.

    Args:
        plans: Makes plans.
        meet: Lets a request meet the cache.
        bypass: Lets the application answer alone.
        failures: Answers what a rule's callable raises.
    """

    def __init__(self, plans: Plans, meet: Meet, bypass: Bypass, failures: Failures) -> None:
        self._plans = plans
        self._meet = meet
        self._bypass = bypass
        self._failures = failures

    def find(self, scope: Scope, host: bytes | None) -> tuple[Plan | None, Resolved | None]:
        """The plan of a request whose rule is for content; and what holds for it, if known."""
        method = scope["method"]
        if method not in WITH_CONTENT or loop_here() is None:
            return None, None
        kept = self._plans.remembered.find(scope, host)
        if kept is not None:
            plan = self._plans.whole(kept, scope, host, method)
            return plan, plan.resolved
        resolved = self._plans.resolve(method, scope)
        if resolved.policy is None or not resolved.policy.body:
            return None, resolved
        kept = self._plans.keep(scope, host, method)
        return self._plans.whole(kept, scope, host, method), resolved

    async def answer(
        self, plan: Plan, found: FieldLines, scope: Scope, receive: Receive, send: Send
    ) -> Reading | None:
        """Answer a request, if it is a question.

        Args:
            plan: Its plan, as `find` gives it.
            found: What the scan found in its fields.
            scope, receive, send: The request.

        Returns:
            None if it is answered. Else it is a change, like any request of its method: what was
            read of it, with the reason why it is none.
        """
        if scope.get(FILL_KEY) is self._plans.manager.engine:
            await self._meet(plan, found, scope, receive, send, b"")  # asked from outside
            return None
        may_change = not is_safe(scope["method"])
        if may_change and Field.OVERRIDE in found:
            # To the application it may be another method.
            return Reading(receive, reason=Reason.OVERRIDE)
        if may_change and plan.policy.when is not None:
            return await self._decide(plan.policy.when, plan, found, scope, receive, send)
        if plan.reason is not None:
            await self._bypass(plan, plan.reason, scope, receive, send)
            return None
        with _counted(plan):
            reading = await read_content(plan, found, scope, receive)
        await self._take(plan, found, scope, reading, send)
        return None

    async def _decide(
        self, when: When, plan: Plan, found: FieldLines, scope: Scope, receive: Receive, send: Send
    ) -> Reading | None:
        """Ask the rule's `when` whether this is a question; returns what `answer` does."""
        with _counted(plan):
            reading = await read_content(plan, found, scope, receive)
            reason, refused = reading.reason, None
            if reading.content is not None:
                refused = await ask_when(when, view_of(scope, plan, reading.content))
        if refused is not None:
            if await self._failures(plan, refused, scope, reading.receive, send):
                return None
            reason = refused.reason
        if reason is not None:
            plan.tally.passed(reason)
            note(self._plans.manager.engine, "pass", reason=reason)
            return replace(reading, reason=reason)
        await self._take(plan, found, scope, reading, send)
        return None

    async def _take(
        self, plan: Plan, found: FieldLines, scope: Scope, reading: Reading, send: Send
    ) -> None:
        """Let a question meet the cache, if it may."""
        reason = plan.reason or reading.reason
        if reason is not None:
            await self._bypass(plan, reason, scope, reading.receive, send)
        else:
            await self._meet(plan, found, scope, reading.receive, send, reading.content or b"")


@contextmanager
def _counted(plan: Plan) -> Iterator[None]:
    """Every request is counted, also one that is cancelled inside."""
    try:
        yield
    except asyncio.CancelledError:
        plan.tally.count(Outcome.MISS)
        raise


async def read_content(plan: Plan, found: FieldLines, scope: Scope, receive: Receive) -> Reading:
    """Read the content of a request whose rule is for it, as far as the rule allows."""
    reason = unread_reason(found, plan.policy.max_body, bound_of(scope))
    if reason is not None:
        return Reading(receive, reason=reason)
    reading = await read_within(receive, plan.policy.max_body)
    if reading.content is None or is_all(found, len(reading.content)):
        return reading
    return Reading(reading.receive, reason=Reason.REQUEST_BODY)
