"""What the cache would have made of a request when it came.

Each decision is made by the function that makes it for a request that is answered from the cache.
"""

from collections.abc import Callable
from typing import TypeAlias

from ..._types import Scope
from ...engine.engine import Engine
from ...entry import StoredResponse, Variants
from ...policy.content import WITH_CONTENT
from ...policy.reasons import Reason
from ...policy.request import Field, FieldLines, scan
from ...policy.reuse import Use, assess
from ..admission import Refused, admit
from ..entries import seed_of
from ..layers import Outside
from ..plan import Plan
from ..plans import Plans
from ..read_your_writes import take_position
from ..request import Request
from ..request_key import request_key, visible
from ..uses import Found, is_due, what_is
from .exchange import HIT, MISS, STALE, Exchange
from .store import Store

RequestFor: TypeAlias = Callable[[Scope, FieldLines, Plan], Request]
"""Makes a request that may meet the cache of its scope, what was found in it, and its plan."""


class Meeting:
    """Decides what would have become of requests.

    Args:
        engine: The cache.
        plans: Makes plans.
        request_for: Makes requests.
        secret: Signs the positions that clients carry; None if they carry none.
        store: What the cache would hold.
    """

    __slots__ = ("_engine", "_plans", "_request_for", "_secret", "_store")

    def __init__(
        self,
        engine: Engine,
        plans: Plans,
        request_for: RequestFor,
        secret: bytes | None,
        store: Store,
    ) -> None:
        self._engine = engine
        self._plans = plans
        self._request_for = request_for
        self._secret = secret
        self._store = store

    async def admitted(self, exchange: Exchange) -> Request | Reason:
        """The request with its key; why it would not meet the cache, if it would not."""
        plan, scope = exchange.plan, exchange.scope
        if plan.beneath is not None:
            return plan.beneath
        if scope["method"] in WITH_CONTENT:
            return Reason.REQUEST_BODY
        if plan.policy.guarded:
            return Reason.GUARD  # the arguments of its endpoint are in its key
        found = scan(scope["headers"], self._plans.watch)[1] or {}
        if self._secret is not None and Field.COOKIE in found:
            scope["headers"], position = take_position(scope["headers"], self._secret)
            found = scan(scope["headers"], self._plans.watch)[1] or {}
            index = self._engine.index
            if position is not None and (position.gen != index.gen or position.seq > index.seq):
                return Reason.POSITION
        found = visible(plan.policy, found)
        reason = self._plans.refusal(plan, found, scope)
        if reason is not None:
            return reason
        request = self._request_for(scope, found, plan)
        partition = await admit(request)
        if isinstance(partition, Refused):
            return partition.reason
        request.partition = partition
        if request.plain:
            request.primary = plan.key
        else:
            request.primary = request_key(plan, request.headers, found, partition)
        return request

    def take(self, exchange: Exchange, request: Request) -> None:
        """Note that a request would meet the cache, and whether its answer can be compared."""
        exchange.request, exchange.key = request, request.primary
        exchange.outside = Outside(exchange.scope, request.common)
        exchange.comparable = request.method == "GET" and Field.RANGE not in request.found

    def look(self, exchange: Exchange, request: Request) -> None:
        """Look for what would have answered a request."""
        stack, now = self._store.stack, self._engine.clock()
        slot = stack.read(request.primary)
        if slot is not None and isinstance(slot.entry.payload, Variants):
            exchange.marker = slot.entry.payload
            exchange.key = request.variant_key(exchange.marker.fields)
            slot = stack.read(exchange.key)
        if slot is not None:
            stored = slot.entry.payload
            assert isinstance(stored, StoredResponse)  # noqa: S101  # markers were followed
            if what_is(stored, request) is Found.FOR_OTHERS:
                exchange.would = Reason.AUTHORIZATION
                return
            exchange.slot = slot
            decision = assess(slot.entry, now=now, request=request.directives)
            exchange.renews = is_due(slot.entry, decision, now)
            if decision.use is Use.FRESH:
                exchange.would = HIT
            elif decision.use in (Use.STALE, Use.STALE_WHILE_REVALIDATE):
                exchange.would = STALE
            else:
                exchange.renews = True
        if exchange.would and not exchange.renews:
            return
        self._prepare(exchange, request)

    def _prepare(self, exchange: Exchange, request: Request) -> None:
        """Note what is known of the entry that the answer would be."""
        directives = request.directives
        if not exchange.would and directives is not None and directives.only_if_cached:
            exchange.would = Reason.ONLY_IF_CACHED
            return
        would, events = exchange.would, self._engine.events
        exchange.would = would or MISS
        try:
            named = request.name_and_tags()
        except Exception as error:  # noqa: BLE001  # a callable of the rule
            events.callback_failed("tags", error, exchange.plan.resolved.label)
            exchange.would = would or Reason.BROKEN
            return
        if named is None:
            exchange.would = would or Reason.TAGS
        elif request.method == "GET":  # a HEAD brings nothing that could be stored
            exchange.seed = seed_of(self._engine, request, exchange.key, *named)
