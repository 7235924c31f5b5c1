"""The way of one request that is not sent: the decisions of `asgi.middleware`, without effects.

Each step calls the function that decides it for a request that is sent; what those do besides
(counting, moving, running the application) is not done here.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._types import Message, Scope
from ...config.policy import Policy
from ...config.rules import Invalidations
from ...config.templates import Template, Texts
from ...explain.effects import Changes, named_by
from ...explain.explanation import Effect, Explanation, Verdict
from ...explain.question import Question
from ...policy.cache_status import Forward
from ...policy.content import WITH_CONTENT
from ...policy.invalidation import is_safe
from ...policy.reasons import Reason
from ...policy.request import Field, FieldLines, scan
from ...policy.request_content import without_framing
from ...routing import Resolved
from ...selectors import Selector
from ..admission import (
    Refused,
    admit,
    ask_when,
    disabled,
    identified_reason,
    is_for_guard,
    refusal_of,
)
from ..plan import Plan
from ..plans import Plans
from ..questions import read_content
from ..read_your_writes import take_position
from ..request import Request, view_of
from ..request_key import added_parts, request_key, visible
from ..unsafe import Mutation
from .below import Sight
from .draft import Draft
from .labels import label
from .shown import Redaction, key_shown, url_of
from .stored import Stored


class Walk:
    """One request, and what would become of it: one story.

    Args:
        plans: What is known of targets, and the cache.
        common: What the lifespan has put into the state of every request.
        question: What is asked about.
        scope: The request.
        changes: The routes that may change something.
        secret: Signs the positions that clients carry; None if they carry none.
    """

    def __init__(
        self,
        plans: Plans,
        common: Mapping[str, Any],
        question: Question,
        scope: Scope,
        changes: Changes,
        secret: bytes | None,
    ) -> None:
        self._changes = changes
        self._plans = plans
        self._engine = plans.manager.engine
        self._common = common
        self._question = question
        self._scope = scope
        self._secret = secret
        self._host, found = scan(scope["headers"], plans.watch)
        self._found: FieldLines = found or {}
        redaction = Redaction(question.reveal)
        self._draft = Draft(question, Sight(self._engine, question.shared, redaction))

    async def explained(self) -> Explanation:
        """The whole explanation."""
        method = self._scope["method"]
        if method in ("GET", "HEAD"):
            await self._read(self._planned("GET"), None)
        else:
            await self._asks_or_changes(method)
        return self._draft.explanation(method, self._engine)

    def _planned(self, method: str) -> Plan:
        plan = self._plans.make(self._scope, self._host, method, counted=False)
        self._draft.take_rule(plan.resolved)
        return plan

    # Requests that change something, and those that ask with content: `Questions`, `UnsafeMethods`.

    async def _asks_or_changes(self, method: str) -> None:
        resolved = self._plans.resolve(method, self._scope)
        self._draft.take_rule(resolved)
        reason, content = None, None
        if method in WITH_CONTENT and resolved.policy is not None and resolved.policy.body:
            plan = self._planned(method)
            reason, content = await self._question_reason(plan, method)
            if reason is None:
                return
        if is_safe(method):
            self._draft.end(Verdict.BYPASS, reason or Reason.METHOD, Forward.METHOD)
            return
        self._draft.end(Verdict.CHANGE, reason, Forward.METHOD)
        self._draft.drops = self._dropped(resolved, content)

    async def _question_reason(self, plan: Plan, method: str) -> tuple[Reason | None, bytes | None]:
        """As `Questions.answer`: why it is a change, with its content; None if it is a question.

        What becomes of a question is decided then.
        """
        may_change, when = not is_safe(method), plan.policy.when
        if may_change and Field.OVERRIDE in self._found:
            return Reason.OVERRIDE, None
        decides = may_change and when is not None
        if plan.reason is not None and not decides:
            self._draft.bypass(plan.reason)
            return None, None
        reading = await read_content(plan, self._found, self._scope, self._receive)
        if decides and when is not None:
            if reading.content is None:
                return reading.reason, None
            if not self._question.run_callables:
                self._draft.leave("when")
            else:
                refused = await ask_when(when, view_of(self._scope, plan, reading.content))
                if refused is not None:
                    self._draft.note(refused)
                    return refused.reason, reading.content
        reason = plan.reason or reading.reason
        if reason is not None:
            self._draft.bypass(reason)
        else:
            await self._read(plan, reading.content or b"")
        return None, None

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": self._question.body or b"", "more_body": False}

    def _dropped(self, resolved: Resolved, content: bytes | None) -> list[Effect]:
        """What a success drops."""
        shown = self._draft.redaction.path
        own = Effect(
            by="", kind="url", text=self._scope["path"] if self._question.reveal else shown
        )
        given = resolved.invalidations
        if given is None:
            return [own]
        if not self._question.reveal:
            return [own, *named_by(given)]
        runs = self._question.run_callables
        if not runs:
            resolved = replace(resolved, invalidations=_without_callables(given))
        mutation = Mutation(
            self._plans.manager,
            self._plans.table,
            resolved,
            self._scope,
            self._host,
            self._secret,
            content=content,
        )
        left = [] if runs else [each for each in named_by(given) if not each.certain]
        try:
            _, by_route = mutation.named(200, ())
        except Exception as error:  # noqa: BLE001  # a callable of `@invalidates`
            self._draft.fail("invalidates", error)
            return [own, Effect(by="", kind="all", text="")]
        return [own, *(_as_effect(selector) for selector in by_route), *left]

    # Requests that are answered from the cache: `CacheMiddleware._admitted`.

    async def _read(self, plan: Plan, content: bytes | None) -> None:
        if plan.reason is not None:
            self._draft.bypass(plan.reason)
            return
        request = await self._admitted(plan, content)
        if isinstance(request, Reason):
            self._draft.bypass(request)
        elif request is not None:
            await Stored(self._engine, self._draft).answer(request)
        if self._draft.verdict is Verdict.BYPASS:
            return
        decides = {"vary_by", "when", "enabled", "shared", "silent", "local"}
        if not decides.isdisjoint(self._draft.unknown):
            self._draft.end(Verdict.UNKNOWN)

    async def _admitted(self, plan: Plan, content: bytes | None) -> Request | Reason | None:
        """The request with its key; why it does not meet the cache; None if that is not known."""
        policy, found = plan.policy, self._found
        asks = self._question.run_callables
        if policy.guarded:
            self._draft.leave("guard")
        if not is_for_guard(plan, found):
            if self._secret is not None and Field.COOKIE in found:
                reached, found = self._reached(self._secret)
                if not reached:
                    return Reason.POSITION
            found = visible(policy, found if content is None else without_framing(found))
            refused = self._disabled(policy)
            reason = refusal_of(plan, found, self._scope) if refused is None else refused
            if reason is not None:
                return reason
        request = Request(
            self._scope,
            found,
            plan,
            self._plans.table,
            _asks_nothing,
            _asks_nothing,
            self._common,
            content,
        )
        label(request, self._draft, self._changes)
        if asks:
            partition = await admit(request)
            if isinstance(partition, Refused):
                self._draft.note(partition)
                return partition.reason
            request.partition = partition
        else:
            identified = identified_reason(request)
            if identified is not None:
                return identified
            if policy.when is not None and is_safe(request.method):
                self._draft.leave("when")
        if self._separates(policy):
            self._draft.leave("vary_by")
            return None
        self._take_key(request)
        return request

    def _disabled(self, policy: Policy) -> Reason | None:
        if callable(policy.enabled) and not self._question.run_callables:
            self._draft.leave("enabled")
            return None
        refused = disabled(policy)
        if refused is None:
            return None
        self._draft.note(refused)
        return refused.reason

    def _separates(self, policy: Policy) -> bool:
        """Whether `vary_by` is needed for the key, and was not asked."""
        if policy.vary_by is None:
            return False
        return bool(policy.guarded) or not self._question.run_callables

    def _reached(self, secret: bytes) -> tuple[bool, FieldLines]:
        """As `CacheMiddleware._reached`, without waiting."""
        self._scope["headers"], position = take_position(self._scope["headers"], secret)
        found = scan(self._scope["headers"], self._plans.watch)[1] or {}
        index = self._engine.index
        here = position is None or (position.gen == index.gen and position.seq <= index.seq)
        return here, found

    def _take_key(self, request: Request) -> None:
        plan, found = request.plan, request.found
        part = request.content_part
        parts = plan, request.headers, found, request.partition, part
        if request.plain and request.content is None:
            request.primary, added = plan.key, []
        elif plan.policy.guarded:
            headers = request.headers if plan.policy.vary else ()
            request.primary = request_key(plan, headers, found, None, part)
            added = [name for name, _ in added_parts(plan, headers, found, None, part)]
        else:
            request.primary = request_key(*parts)
            added = [name for name, _ in added_parts(*parts)]
        url = url_of(plan, self._scope, self._engine.config.version)
        self._draft.key = key_shown(plan, request.primary, added, url, reveal=self._question.reveal)


def _asks_nothing(*_: Any) -> Any:
    """In place of the application."""
    raise AssertionError("an explanation asks nothing of the application")


def _without_callables(given: Invalidations) -> Invalidations:
    def templates(texts: Texts) -> Texts:
        return tuple(text for text in texts if isinstance(text, Template))

    tags, paths, patterns = map(templates, (given.tags, given.paths, given.patterns))
    return replace(given, tags=tags, paths=paths, patterns=patterns)


def _as_effect(selector: Selector) -> Effect:
    kind = "pattern" if selector.kind == "glob" else selector.kind
    return Effect(by="", kind=kind, text=selector.text)
