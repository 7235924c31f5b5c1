"""The story of one request that meets the cache and is not a plain hit.

Look in the tiers; use what is there if it may be used; else wait for the run of the application
that is under way, or start one. What cannot be shared is asked for alone.
"""

import asyncio
from contextlib import suppress
from functools import partial
from math import ceil

from .._types import Message, Receive, Send
from ..engine.caller import MAX_LOOKS, Caller, Join, Lead, StandIn, Step
from ..engine.engine import Engine
from ..engine.flights import Flight
from ..engine.reads import Found
from ..engine.runs import refresh
from ..entry import Entry, Slot, StoredResponse, Variants
from ..events import Outcome
from ..policy import cache_status
from ..policy.cache_control import CacheControl, of_request
from ..policy.cache_status import Forward
from ..policy.reasons import Reason
from ..policy.request import Field
from ..policy.reuse import Use, assess
from ..policy.storing import may_answer_authorized
from .capture import Client
from .entries import seed_of
from .fill import (
    Answer,
    Fill,
    Head,
    Heard,
    Overtaken,
    Passed,
    Personal,
    StaleStored,
    Stored,
    StoredCandidates,
)
from .inbox import Presence, from_the_start
from .replay import PARTIAL, part_for, prepare
from .replies import Replies
from .request import HEAD_MARK, Request
from .sending import heard, with_cache_status, without_content


class ClientLeft(Exception):  # noqa: N818  # an outcome, not a fault
    """The client has left while its request waited: the others go on."""


class Exchange:
    """One request and its answer.

    Args:
        engine: The cache.
        request: The request.
        receive, send: The client's channel.
    """

    def __init__(self, engine: Engine, request: Request, receive: Receive, send: Send) -> None:
        self._engine = engine
        self._request = request
        self._receive = receive
        self._send = send
        self._tally = request.plan.tally
        self._policy = request.plan.policy
        self._replies = Replies(engine, request)
        self._part: Slot | None = None
        self._marker: Variants | None = None
        self._heard: tuple[bytes, ...] = ()
        self._name: tuple[str, tuple[str, ...]] = ("", ())
        self._waited = 0.0
        self._looks = 0
        self._asking: Caller[Answer] | None = None

    async def run(self) -> None:
        """Answer the request, unless its client leaves first."""
        with suppress(ClientLeft):
            await self._answer()

    async def _answer(self) -> None:
        key = self._request.primary
        for self._looks in range(1, MAX_LOOKS + 1):
            slot, level = await self._look(key)
            stale: Slot | None = None
            if slot is not None:
                if self._request.plain and await self._replay(slot, level):
                    return
                payload = slot.entry.payload
                if isinstance(payload, Variants):
                    self._marker, self._replies.forward = payload, Forward.VARY_MISS
                    key = self._request.variant_key(payload.fields)
                    continue
                assert isinstance(payload, StoredResponse)  # noqa: S101  # values have other keys
                if self._is_for_others(payload):
                    self._replies.forward = Forward.BYPASS
                    await self.alone(Reason.AUTHORIZATION)
                    return
                if payload.status == PARTIAL and not self._within(payload):
                    self._part, self._replies.forward = slot, Forward.PARTIAL
                    self._engine.events.unused[Reason.PARTIAL] += 1
                elif await self._use(slot, level) or await self._use_newer(key, slot, level):
                    return
                else:
                    stale = slot
            if await self._ask_origin(key, stale):
                return
            key = self._request.primary
        await self.alone(Reason.UNSTABLE)

    # What is there.

    async def _look(self, key: str) -> tuple[Slot | None, int]:
        stack = self._engine.stack
        slot = stack.peek(key)
        if slot is not None or not stack.has_shared:
            return slot, 1
        found = await self._fetch(key)
        if found is not None:
            return found.slot, found.level
        # Somebody else's fill may have landed while this request waited for the reply.
        return stack.peek(key), 1

    async def _fetch(self, key: str) -> Found | None:
        """Ask the shared tiers, for no longer than a request may wait for them in all its looks."""
        stack, now = self._engine.stack, asyncio.get_running_loop().time
        left = self._patience
        if left <= 0:
            return None
        begun = now()
        try:
            if not self._waited:  # the first time the tiers' own limit will do
                return await stack.fetch(key)
            async with asyncio.timeout(left):
                return await stack.fetch(key)
        except TimeoutError:
            return None
        finally:
            self._waited += now() - begun

    @property
    def _patience(self) -> float:
        """Seconds that this request may still wait for shared tiers."""
        return self._engine.config.redis_timeout - self._waited

    async def _use_newer(self, key: str, slot: Slot, level: int) -> bool:
        """Serve what another instance has filled since the local entry became stale, if it has."""
        engine = self._engine
        if level > 1 or engine.clock() < slot.entry.fresh_until or not engine.stack.has_shared:
            return False
        found = await self._fetch(key)
        if found is None or found.slot.entry.fresh_until <= slot.entry.fresh_until:
            return False
        payload = found.slot.entry.payload
        whole = isinstance(payload, StoredResponse) and payload.status != PARTIAL
        return whole and await self._use(found.slot, found.level)

    def _within(self, part: StoredResponse) -> bool:
        """Whether a stored part holds all that the request asks for."""
        return part_for(part, self._request.method, self._request.headers) is not None

    async def _replay(self, slot: Slot, level: int) -> bool:
        """Serve an entry as it is, if there is nothing to think about."""
        replay = slot.replay or prepare(slot, self._request.plan.terms, level)
        now = self._engine.clock()
        if replay is None or now >= replay.until:
            return False
        second = int(now - replay.created)
        if second != replay.second:
            replay.renew(second)
        self._tally.hit(level)
        lines = replay.lines.copy()
        await self._send({"type": "http.response.start", "status": replay.status, "headers": lines})
        body = b"" if self._request.method == "HEAD" else replay.body
        await self._send({"type": "http.response.body", "body": body})
        return True

    async def _use(self, slot: Slot, level: int) -> bool:
        """Serve the entry if it may be used; False if the origin is to be asked."""
        entry, engine = slot.entry, self._engine
        now = engine.clock()
        decision = assess(
            now=now,
            created=entry.created,
            fresh_until=entry.fresh_until,
            keep_until=entry.keep_until,
            always_validate=entry.always_validate,
            stale_while_revalidate=entry.stale_while_revalidate,
            stale_allowed=entry.stale_allowed,
            immutable=entry.immutable,
            request=self._directives(),
        )
        if decision.use is Use.FRESH:
            self._tally.hit(level)
            if now >= entry.refresh_at:
                self._refresh(slot)
            await self._reply(self._replies.hit(slot, f"l{level}"))
            return True
        if decision.use in (Use.STALE, Use.STALE_WHILE_REVALIDATE):
            self._tally.count(Outcome.STALE)
            if decision.use is Use.STALE_WHILE_REVALIDATE:
                self._refresh(slot)
            await self._reply(self._replies.hit(slot, decision.use))
            return True
        reason = decision.reason
        assert reason is not None  # noqa: S101  # there is one for all but the fresh
        engine.events.unused[reason] += 1
        asked = reason not in (Reason.STALE, Reason.NO_CACHE)
        self._replies.forward = Forward.REQUEST if asked else Forward.STALE
        self._replies.detail = None if reason is Reason.STALE else reason
        return False

    def _directives(self) -> CacheControl | None:
        """The request's own directives, where the rule honours them."""
        if not self._policy.honor_request_directives:
            return None
        if not self._request.found.keys() & {Field.CACHE_CONTROL, Field.PRAGMA}:
            return None
        return of_request(self._request.headers)

    async def _reply(self, messages: list[Message]) -> None:
        for message in messages:
            await self._send(message)

    # What the origin says.

    async def _ask_origin(self, key: str, stale: Slot | None) -> bool:
        """Get the answer from a run of the origin; False if it is worth looking again."""
        directives = self._directives()
        if directives is not None and directives.only_if_cached:
            await self._gateway_timeout()
            return True
        reason = self._find_name()
        if reason is not None:
            await self.alone(reason)
            return True
        caller = self._caller
        caller.stale = stale
        if self._is_own_head and not self._policy.coalesce:
            await self._head(key)
            return True
        if self._is_for_a_part:
            await self._lead(self._engine.flights.apart(self._seed(key)))
            return True
        name = self._flight_key(key)
        if self._is_hit_for_miss(key) or self._is_hit_for_miss(name):
            await self._ask_as_it_came(key)
            return True
        step = caller.join_or_lead(name)
        answer = await self._join(step.flight) if isinstance(step, Join) else step
        if not isinstance(answer, Lead):
            return await self._take(answer, key)
        if not self._is_own_head:
            await self._lead(caller.open(answer, self._seed(name)))
        elif name == key:
            # It has waited for a GET.
            await self._ask_as_it_came(key)
        else:
            flight = caller.open(answer, self._seed(name))
            flight.led = True
            await self._engine.flights.launch(flight, partial(self._head, key, flight))
        return True

    async def _take(self, answer: "Answer | StandIn | Step", key: str) -> bool:
        """Make the client's answer of a run's; False if it is worth looking again."""
        if isinstance(answer, StandIn):
            await self._stand_in(answer)
        elif answer is Step.NESTED:
            await self._pass_by(Reason.NESTED)
        elif answer is Step.REFUSED:
            # RFC 9110 §15.6.4
            seconds = ceil(self._caller.patience.lead or 1)
            after = (b"retry-after", b"%d" % seconds)
            await self._reply(self._replies.refused(503, Reason.OVERLOADED, after))
        elif isinstance(answer, Passed):
            await self._ask_as_it_came(key)
        elif isinstance(answer, Step | Personal):
            return False
        else:
            return await self._take_entry(answer)
        return True

    async def _stand_in(self, found: StandIn, *, collapsed: bool = True) -> None:
        """Answer with what is stale.

        Args:
            found: It.
            collapsed: Whether another request's run was waited for.
        """
        if found.why is Reason.OVERLOADED:
            await self._reply(self._replies.hit(found.slot, found.why))
            return
        await self._reply(self._replies.in_place(found.slot, found.why, collapsed=collapsed))

    async def _take_entry(self, answer: "Stored | StaleStored | Overtaken | Heard") -> bool:
        """Answer with what another request's run brought, if that is this one's as well."""
        if isinstance(answer, Overtaken):
            # Again and again: then what was asked for before the last invalidation will do, since
            # this request came before it as well.
            if self._looks < MAX_LOOKS:
                return False
            entry = answer.entry
        elif isinstance(answer, Heard):
            entry, self._heard = answer.entry, answer.fields
        else:
            entry = answer.slot.entry
        if not self._is_for_me(entry):
            return False
        if isinstance(answer, StaleStored):
            self._tally.count(Outcome.STALE)
            why, status = Reason.STALE_IF_ERROR, answer.status
            await self._reply(
                self._replies.in_place(answer.slot, why, status=status, collapsed=True)
            )
            return True
        self._tally.count(Outcome.COALESCED)
        await self._reply(self._replies.collapsed(entry, stored=isinstance(answer, Stored)))
        return True

    def _is_hit_for_miss(self, key: str) -> bool:
        flights = self._engine.flights
        return flights.is_hit_for_miss(key) or flights.is_hit_for_miss(self._request.kind(key))

    @property
    def _caller(self) -> "Caller[Answer]":
        """How this request waits for runs: its patience counts from the first one on."""
        if self._asking is None:
            route = self._request.label
            self._asking = Caller(self._engine, self._policy, self._tally, route)
        return self._asking

    def _flight_key(self, key: str) -> str:
        """Under which key the request waits for others, or others for it.

        A HEAD that the application answers itself waits for a GET, if there is one that is not
        late; else for another HEAD of what its fields choose, as far as that is known.
        """
        if not self._is_own_head:
            return key
        flight = self._engine.flights.find(key)
        if flight is not None and not flight.is_late(self._caller.patience.lead):
            return key
        chosen = self._request.variant_key(self._heard) if self._heard else key
        return f"{chosen}{HEAD_MARK}"

    @property
    def _is_for_a_part(self) -> bool:
        """Whether what is asked for is a part, and is stored as one."""
        return Field.RANGE in self._request.found and self._policy.partial

    @property
    def _is_own_head(self) -> bool:
        """Whether it is a HEAD that the application answers itself where nothing stored does."""
        return self._request.method == "HEAD" and not self._policy.terms.annotated

    async def _ask_as_it_came(self, key: str) -> None:
        """Ask for this request alone: what is not shared is asked for with all that it says."""
        if self._request.method == "HEAD":
            await self._head(key)
        elif Field.RANGE in self._request.found and not self._policy.partial:
            await self.alone(Reason.RANGE)
        else:
            await self._lead(self._engine.flights.apart(self._seed(key)), own=True)

    def _find_name(self) -> Reason | None:
        """Find the response's name and tags; why it cannot be given them, or None."""
        try:
            found = self._request.name_and_tags()
        except Exception as error:  # noqa: BLE001  # a callable of the rule
            self._engine.events.callback_failed("tags", error)
            return Reason.BROKEN
        if found is None:
            return Reason.TAGS
        self._name = found
        return None

    def _seed(self, key: str) -> Entry:
        """What is known of the entry to come."""
        return seed_of(self._engine, self._request, key, *self._name)

    def _fill(self, flight: "Flight[Answer]", client: Client | None, *, own: bool = False) -> Fill:
        return Fill(
            self._engine,
            self._request,
            flight,
            self._replies,
            client=client,
            stored=StoredCandidates(self._caller.stale, self._part),
            marker=self._marker,
            own=own or self._is_for_a_part,
        )

    async def _lead(self, flight: "Flight[Answer]", *, own: bool = False) -> None:
        """Run the application for everybody, this request first.

        Args:
            flight: The flight.
            own: Whether the application is asked for no more than this request asks for.
        """
        caller = self._caller
        send = without_content(self._send) if self._request.method == "HEAD" else self._send
        client = Client(self._receive, send)
        fill = self._fill(flight, client, own=own)
        flight.led = True
        ask = partial(fill.answer, fleet=self._patience > 0)
        task = self._engine.flights.launch(flight, ask)
        outcome: Outcome | None = None
        try:
            if caller.stale is not None and caller.soft_left is not None:
                await asyncio.wait({task}, timeout=caller.soft_left)
                if not task.done() and not fill.started and caller.may_stand_in:
                    client.leave()
                    self._leave(flight)
                    outcome = Outcome.STALE
                    await self._stand_in(
                        StandIn(caller.stale, Reason.SOFT_TIMEOUT), collapsed=False
                    )
                    return
            # The run goes on for the others if this client leaves.
            await asyncio.wait({task, client.left}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and fill.streaming:
                # It is this client's alone: what the application does about its leaving is done.
                await asyncio.shield(task)
            elif task.done():
                await task
            else:
                self._leave(flight)
        except asyncio.CancelledError:
            client.leave()
            if fill.streaming:
                task.cancel()
                # What the application does about it is done before its caller goes on.
                await asyncio.wait({task})
            else:
                self._leave(flight)
            raise
        finally:
            self._tally.count(outcome or fill.outcome)
        if fill.declined is not None:
            self._receive = from_the_start(self._receive)
            await self._pass_by(fill.declined)

    def _leave(self, flight: "Flight[Answer]") -> None:
        """This request no longer waits for the run that it leads."""
        flight.led = False
        self._engine.flights.abandon(flight)

    async def _join(self, flight: "Flight[Answer]") -> "Answer | Lead[Answer] | StandIn | Step":
        """Wait for a run under way, for as long as the client is there.

        Raises:
            ClientLeft: There is nobody to answer any more.
            Exception: What the application raised.
        """
        presence = Presence(self._receive)
        self._receive = from_the_start(presence.receive)
        try:
            async with presence.awaited() as here:
                return await self._caller.wait(flight)
        except TimeoutError:
            if here.expired():
                raise ClientLeft from None
            raise

    def _is_for_me(self, entry: Entry) -> bool:
        """Whether the entry is the variant that this request chooses, and may have."""
        primary, request = self._request.primary, self._request
        if isinstance(entry.payload, StoredResponse) and self._is_for_others(entry.payload):
            return False
        if entry.key == primary:
            return True
        if self._heard:
            return entry.key == request.variant_key(self._heard)
        slot = self._engine.stack.peek(primary)
        if slot is None or not isinstance(slot.entry.payload, Variants):
            return False
        return entry.key == request.variant_key(slot.entry.payload.fields)

    def _is_for_others(self, stored: StoredResponse) -> bool:
        """Whether this request carries `Authorization` and the response does not say that it does.

        Where an annotation decides, the rule has said what separates users, or that nothing does.
        """
        policy = self._policy
        if Field.AUTHORIZATION not in self._request.found or policy.lifetime is not None:
            return False
        if policy.public or policy.terms.authorized:
            return False
        return not may_answer_authorized(stored.headers, policy.terms)

    def _refresh(self, slot: Slot) -> None:
        """Renew an entry in the background, if that is not done already and may begin now."""
        if self._find_name() is None:
            self._caller.stale = slot
            refresh(self._engine, self._seed(slot.entry.key), self._renew)

    async def _renew(self, flight: "Flight[Answer]") -> None:
        await self._fill(flight, None).renew()

    # Outside the cache.

    async def alone(self, reason: Reason) -> None:
        """Let the application answer this request by itself."""
        self._tally.passed(reason)
        await self._pass_by(reason)

    async def _pass_by(self, reason: Reason, head: Head | None = None) -> None:
        member = cache_status.forwarded(self._replies.forward, detail=reason)
        send = with_cache_status(self._send, member, self._request.plan.terms)
        scope = self._request.scope
        if head is not None:
            scope, send = head.scope, heard(send, head.on_response)
        await self._request.app(scope, self._receive, send)

    async def _head(self, key: str, herd: "Flight[Answer] | None" = None) -> None:
        """Let the application answer a HEAD, and hear what it says of the stored GET.

        Args:
            key: The GET's key.
            herd: The flight of those who get the same answer; None if this one is asked alone.
        """
        head = Head(
            self._engine,
            self._request,
            self._engine.flights.apart(self._seed(key)),
            herd=herd,
            stale=self._caller.stale,
            marker=self._marker,
        )
        self._tally.passed(Reason.METHOD)
        await self._pass_by(Reason.METHOD, head)

    async def _gateway_timeout(self) -> None:
        """RFC 9111 §5.2.1.7: `only-if-cached`, and nothing stored that would do."""
        self._tally.passed(Reason.ONLY_IF_CACHED)
        self._replies.forward = Forward.REQUEST
        await self._reply(self._replies.refused(504, Reason.ONLY_IF_CACHED))
