"""The story of one request that meets the cache and is not a plain hit.

Look in the tiers; use what is there if it may be used; else go forward to the application.
"""

from contextlib import suppress
from functools import cached_property

from .._types import Message, Receive, Send
from ..engine.caller import MAX_LOOKS
from ..engine.engine import Engine
from ..entry import Slot, StoredResponse, Variants
from ..events import Outcome
from ..policy.cache_status import Forward
from ..policy.reasons import Reason
from ..policy.reuse import Use, assess
from .forwarding import ClientLeft, Forwarding
from .lookup import LookUp
from .replay import PARTIAL
from .replies import Replies
from .representation import prepared
from .request import Request
from .selected import Selected
from .shared_hit import sent
from .traced import note
from .uses import Found, forward_for, is_due, renews_itself, what_is


class Exchange:
    """One request and its answer.

    Args:
        engine: The cache.
        request: The request.
        receive, send: The client's channel.
        look_up: What the request has found already, if it has looked; None if it has not.

    Attributes:
        hit: The entry in memory that has answered it while it was fresh; None if none has.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        receive: Receive,
        send: Send,
        look_up: LookUp | None = None,
    ) -> None:
        self._engine = engine
        self._request = request
        self._receive = receive
        self._send = send
        self._tally = request.plan.tally
        self._replies = Replies(engine, request)
        self._look_up = look_up or LookUp(engine, self._tally)
        self._audited: Slot | None = None
        self.hit: Slot | None = None

    async def run(self) -> None:
        """Answer the request, unless its client leaves first."""
        try:
            with suppress(ClientLeft):
                await self._answer()
        finally:
            auditing = self._request.auditing
            if self._audited is not None and auditing is not None:
                auditing.audit(self._request, self._audited)

    @property
    def selected(self) -> Selected | None:
        """What the request selects, where a fresh entry in memory has answered it."""
        if self.hit is None:
            return None
        key, marker = self.hit.entry.key, self._look_up.marker
        codings = self._request.accepts
        if marker is None:
            return Selected(key, codings=codings)
        return Selected(key, self._request.primary, marker.fields, codings)

    @cached_property
    def _forwarding(self) -> Forwarding:
        """Made when nothing stored answers the request: a hit needs none."""
        return Forwarding(
            self._engine,
            self._request,
            self._receive,
            self._send,
            replies=self._replies,
            look_up=self._look_up,
        )

    async def _answer(self) -> None:
        key = self._request.primary
        for looks in range(1, MAX_LOOKS + 1):
            slot, level = await self._look_up.find(key)
            stale: Slot | None = None
            if slot is not None:
                if self._request.plain and await self._replay(slot, level):
                    return
                payload = slot.entry.payload
                if type(payload) is Variants:  # `isinstance` of it is slow to say no
                    self._look_up.marker, self._replies.forward = payload, Forward.VARY_MISS
                    key = self._request.variant_key(payload.fields)
                    continue
                assert isinstance(payload, StoredResponse)  # noqa: S101  # values have other keys
                what = what_is(payload, self._request)
                if what is Found.FOR_OTHERS:
                    self._replies.forward = Forward.BYPASS
                    await self._forwarding.alone(Reason.AUTHORIZATION)
                    return
                if what is Found.PART:
                    self._look_up.part, self._replies.forward = slot, Forward.PARTIAL
                    self._engine.events.unused[Reason.PARTIAL] += 1
                elif await self._use(slot, level) or await self._use_newer(key, slot, level):
                    return
                else:
                    stale = slot
            if await self._forwarding.ask(key, stale, last=looks == MAX_LOOKS):
                return
            key = self._request.primary
        await self._forwarding.alone(Reason.UNSTABLE)

    # What is there.

    async def _use_newer(self, key: str, slot: Slot, level: int) -> bool:
        """Serve what another instance has filled since the local entry became stale, if it has."""
        found = None if level > 1 else await self._look_up.find_newer(key, slot)
        if found is None:
            return False
        payload = found.slot.entry.payload
        whole = isinstance(payload, StoredResponse) and payload.status != PARTIAL
        return whole and await self._use(found.slot, found.level)

    async def _replay(self, slot: Slot, level: int) -> bool:
        """Serve an entry as it is, if that needs no further checks."""
        replay = prepared(self._engine, self._request, slot, level)
        if replay is None or not replay.renew(self._engine.clock()):
            return False
        self._hit(slot, level)
        await sent(replay, self._request.method, self._send)
        return True

    async def _use(self, slot: Slot, level: int) -> bool:
        """Serve the entry if it may be used; False if the origin is to be asked."""
        entry, engine = slot.entry, self._engine
        now = engine.clock()
        decision = assess(entry, now=now, request=self._request.directives)
        is_fresh, due = decision.use is Use.FRESH, is_due(entry, decision, now)
        if due and renews_itself(self._request, entry, engine.flights):
            self._replies.forward = Forward.STALE
            return False
        if is_fresh:
            self._hit(slot, level)
            if due and not self._request.foreground:
                self._forwarding.refresh(slot)
            await self._reply(self._replies.hit(slot, f"l{level}"))
            return True
        if decision.use in (Use.STALE, Use.STALE_WHILE_REVALIDATE):
            self._tally.count(Outcome.STALE)
            note(engine, "stale", entry, tier=level, reason=decision.use)
            if due and not self._request.foreground:
                self._forwarding.refresh(slot)
            await self._reply(self._replies.hit(slot, decision.use))
            return True
        reason = decision.reason
        assert reason is not None  # noqa: S101  # there is one for all but the fresh
        engine.events.unused[reason] += 1
        self._replies.forward = forward_for(reason)
        self._replies.detail = None if reason is Reason.STALE else reason
        return False

    def _hit(self, slot: Slot, level: int) -> None:
        self._tally.hit(level)
        note(self._engine, "hit", slot.entry, tier=level)
        if level == 1:
            self.hit = slot
        auditing = self._request.auditing
        if auditing is not None and auditing.chooses():
            self._audited = slot

    async def _reply(self, messages: list[Message]) -> None:
        for message in messages:
            await self._send(message)
