"""Whether one request meets the cache, where its target may.

Its field lines can keep it out, and so can the callables of its rule, `when` and `vary_by`.
"""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

import msgspec

from .._types import ASGIApp, Receive, Scope, Send
from ..config.policy import Policy
from ..config.templates import Template
from ..manager.manager import CacheManager
from ..policy import cache_status
from ..policy.cache_status import Forward
from ..policy.content import WITH_CONTENT
from ..policy.headers import normalised
from ..policy.invalidation import is_safe
from ..policy.partition import ALLOWED, partition_part
from ..policy.reasons import Reason
from ..policy.request import (
    Field,
    FieldLines,
    beyond_method,
    credential_refusal,
    is_doubtful,
    refusal,
    tag_asked_for,
)
from ..policy.validation import is_for_origin
from .framework import answer_to
from .layers import is_known
from .plan import Plan, target_of
from .request import Request
from .sending import with_cache_status
from .traced import note


def refusal_of(plan: Plan, found: FieldLines, scope: Scope) -> Reason | None:
    """Why this request may not meet the cache although its target may, by its field lines."""
    policy = plan.policy
    if not (found or policy.vary):
        return None
    if is_for_guard(plan, found):
        return None
    reason = refusal(found, method=scope["method"], target=target_of(scope))
    if reason is None and scope["method"] in WITH_CONTENT and policy.body:
        reason = beyond_method(found, scope["method"])
    if reason is not None:
        return reason
    keyed = frozenset(policy.vary)
    if is_doubtful(scope["headers"], found, keyed):
        return Reason.FIELD_NAME
    if policy.lifetime is None:
        # The responses say for themselves whether they may be shared (RFC 9111 §3.5).
        keyed |= {b"authorization", b"cookie"}
    reason = credential_refusal(
        found,
        public=policy.public,
        keyed=keyed,
        cookies_keyed=bool(policy.cookies),
        partitioned=bool(policy.guarded) or policy.vary_by is not None,
    )
    conditions = found.get(Field.CONDITION, ())
    if reason is None and conditions and is_for_origin(normalised(conditions)):
        return Reason.PRECONDITION
    return reason


def is_for_guard(plan: Plan, found: FieldLines) -> bool:
    """Whether nothing in this request's fields is looked at but by its guard, and a validator.

    Args:
        plan: The plan of its target.
        found: What the scan found in its fields.
    """
    if not plan.direct:
        return False
    if plan.plain.issuperset(found):
        return True
    return found.keys() - plan.plain == _VALIDATES and tag_asked_for(found) is not None


_VALIDATES = frozenset((Field.CONDITION,))


class Refused(msgspec.Struct, frozen=True):
    """A request that does not meet the cache.

    Attributes:
        reason: Why not.
        failed: The option whose callable has raised; None if none has.
        error: What it has raised.
    """

    reason: Reason
    failed: str | None = None
    error: Exception | None = None


async def admit(
    request: Request, asked: Callable[[Any], Any] | None = None
) -> bytes | Refused | None:
    """Ask the callables of the rule.

    Args:
        request: The request.
        asked: Does once more what the rule's `vary_by` has done for this request, if that was asked
            already.

    Returns:
        Whose copy the request gets, as a part of its key; None if the rule has no callable in
        `vary_by`, or the request is refused.
    """
    policy = request.plan.policy
    if (identified := identified_reason(request)) is not None:
        return Refused(identified)
    if policy.when is not None and is_safe(request.method):
        # Of an unsafe one it has been asked before: it says whether the request is a change.
        refused = await ask_when(policy.when, request.view)
        if refused is not None:
            return refused
    if policy.guarded or policy.vary_by is None or isinstance(policy.vary_by, Template):
        return None  # behind a guard, it is asked after that
    try:
        partition = await partition_by(asked or policy.vary_by, request.view)
    except Exception as error:  # noqa: BLE001  # a callable of the rule
        return Refused(Reason.PARTITION, "vary_by", error)
    return Refused(Reason.PARTITION) if partition is None else partition


def identified_reason(request: Request) -> Reason | None:
    """Why a user whom a layer around the cache has identified keeps a request from it, if so."""
    policy = request.plan.policy
    if policy.public or policy.guarded or policy.vary_by or not is_known(request.scope):
        return None
    return Reason.COOKIE if Field.COOKIE in request.found else Reason.IDENTITY


def disabled(policy: Policy) -> Refused | None:
    """Whether the rule's `enabled` keeps requests from the cache; None if it does not."""
    try:
        is_enabled = policy.enabled if isinstance(policy.enabled, bool) else policy.enabled()
    except Exception as error:  # noqa: BLE001  # a callable of the rule
        return Refused(Reason.DISABLED, "enabled", error)
    return None if is_enabled else Refused(Reason.DISABLED)


async def ask_when(when: Callable[[Any], Any], view: Any) -> Refused | None:
    """Why a rule's `when` keeps a request from the cache; None if it does not."""
    try:
        return None if await _called(when, view) else Refused(Reason.WHEN)
    except Exception as error:  # noqa: BLE001  # a callable of the rule
        return Refused(Reason.WHEN, "when", error)


async def _called(ask: Callable[[Any], Any], view: Any) -> Any:
    value = ask(view)
    return await value if isawaitable(value) else value


async def partition_by(vary_by: Callable[[Any], Any], view: Any) -> bytes | None:
    """Whose copy a request gets, as a part of its key; None for none.

    Args:
        vary_by: The rule's.
        view: The request as its framework presents it.

    Raises:
        Exception: What it raises; TypeError if it returns what is no partition.
    """
    found = await _called(vary_by, view)
    partition = None if found is None else partition_part(found)
    if partition is None and found is not None:
        raise TypeError(f"a {type(found).__name__} is no partition; expected {ALLOWED}")
    return partition


class Failures:
    """Answers what a rule's callables raise, where the framework would answer it.

    Args:
        app: The application.
        manager: The cache.
    """

    def __init__(self, app: ASGIApp, manager: CacheManager) -> None:
        self._app = app
        self._manager = manager

    async def __call__(
        self, plan: Plan, refused: Refused, scope: Scope, receive: Receive, send: Send
    ) -> bool:
        """Answer a request, if a callable has raised what determines the answer."""
        if refused.error is None or refused.failed is None:
            return False
        silent = plan.reason is Reason.SHADOW  # the application answers, whatever a rule raises
        answering = None if silent else answer_to(refused.error, scope, self._app)
        if answering is None:
            self._manager.engine.events.callback_failed(
                refused.failed, refused.error, plan.resolved.label
            )
            return False
        plan.tally.passed(refused.reason)
        note(self._manager.engine, "pass", reason=refused.reason)
        member = cache_status.forwarded(Forward.BYPASS, detail=refused.reason)
        await answering(scope, receive, with_cache_status(send, member, plan.terms))
        return True
