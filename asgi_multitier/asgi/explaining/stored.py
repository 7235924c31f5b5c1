"""What is stored for a request, and how it goes on without: `Exchange` and `Forwarding`."""

from ...engine.caller import MAX_LOOKS
from ...engine.engine import Engine
from ...engine.looking import is_visible
from ...entry import Entry, StoredResponse, Variants
from ...explain.explanation import Verdict
from ...policy.cache_status import Forward
from ...policy.reasons import Reason
from ...policy.reuse import Use, assess
from ..guarded.miss import GuardedRequest
from ..guarded.origin import EndpointOrigin
from ..request import Request
from ..uses import (
    Found,
    forward_for,
    is_due,
    is_for_a_part,
    is_own_head,
    is_range_alone,
    is_unshared,
    renews_itself,
    what_is,
)
from .draft import Draft


class Stored:
    """What is stored for one request, and whether it is the answer.

    Args:
        engine: The cache.
        draft: Takes what is found.
    """

    def __init__(self, engine: Engine, draft: Draft) -> None:
        self._engine = engine
        self._draft = draft

    async def answer(self, request: Request) -> None:
        """As `Exchange` answers a request that has its key."""
        draft, sight = self._draft, self._draft.sight
        if request.plan.policy.guarded:
            origin, born = EndpointOrigin(0), self._engine.index.born()
            labels = draft.labels or ("", ())
            request = GuardedRequest(request, origin, request.primary, born, labels)
        key, forward = request.primary, Forward.URI_MISS
        for _ in range(MAX_LOOKS):
            entry, level = await sight.find(key)
            if entry is None:
                break
            payload = entry.payload
            if isinstance(payload, Variants):
                forward = Forward.VARY_MISS
                key = request.variant_key(payload.fields)
                continue
            assert isinstance(payload, StoredResponse)  # noqa: S101  # values have other keys
            what = what_is(payload, request)
            if what is Found.FOR_OTHERS:
                draft.bypass(Reason.AUTHORIZATION)
                return
            if what is Found.PART:
                forward = Forward.PARTIAL
                break
            if self._uses(request, entry, level):
                return
            if level == 1:
                newer, level = await sight.find_newer(key, entry)
                if newer is not None and self._uses(request, newer, level):
                    return
            self._goes(request, key, draft.forward or forward)
            return
        draft.verdict = Verdict.MISS
        if sight.dropped:
            draft.verdict, draft.reason = Verdict.DROPPED, Reason.INVALIDATED
        elif sight.expired:
            draft.verdict, draft.reason = Verdict.EXPIRED, Reason.STALE
        self._goes(request, key, forward)

    def _uses(self, request: Request, entry: Entry, level: int) -> bool:
        """As `Exchange._use`: whether a stored response is the answer."""
        draft, now = self._draft, self._engine.clock()
        decision = assess(entry, now=now, request=request.directives)
        draft.tier, draft.ttl, draft.reason = level, entry.fresh_until - now, decision.reason
        fresh = decision.use is Use.FRESH
        due = is_due(entry, decision, now)
        if due and renews_itself(request, entry, self._engine.flights):
            draft.end(
                Verdict.VALIDATE if fresh else Verdict.EXPIRED, decision.reason, Forward.STALE
            )
            return False
        if fresh:
            draft.end(Verdict.HIT)
            return True
        if decision.use in (Use.STALE, Use.STALE_WHILE_REVALIDATE):
            draft.end(Verdict.STALE, Reason.STALE)
            return True
        reason = decision.reason
        assert reason is not None  # noqa: S101  # there is one for all but the fresh
        stale = reason is Reason.STALE
        draft.end(Verdict.EXPIRED if stale else Verdict.VALIDATE, reason, forward_for(reason))
        if stale and request.plan.policy.validator is not None:
            draft.leave("validator")
        return False

    def _goes(self, request: Request, key: str, forward: Forward) -> None:
        """As `Forwarding.ask`: how the request goes to the application."""
        draft, flights = self._draft, self._engine.flights
        draft.forward = forward
        if draft.sight.unasked:
            draft.leave("shared")
        if draft.sight.failed:
            draft.leave("silent")
        if not is_visible(self._engine.stack):
            draft.leave("local")
        directives = request.directives
        if directives is not None and directives.only_if_cached:
            draft.end(Verdict.BYPASS, Reason.ONLY_IF_CACHED, Forward.REQUEST)
        elif draft.labels is None and "tags" not in draft.unknown:
            reason = Reason.BROKEN if draft.failed else Reason.TAGS
            draft.end(Verdict.REFUSED, reason, forward)
        elif is_own_head(request):
            draft.end(Verdict.BYPASS, Reason.METHOD, forward)
        elif not is_for_a_part(request) and is_unshared(request, (key,), flights):
            if request.method == "HEAD":
                draft.end(Verdict.BYPASS, Reason.METHOD, forward)
            else:
                reason_alone = Reason.RANGE if is_range_alone(request) else None
                draft.end(Verdict.REFUSED, reason_alone, forward)
