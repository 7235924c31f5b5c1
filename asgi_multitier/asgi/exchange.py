"""The story of one request that meets the cache and is not a plain hit.

Look in the tiers; use what is there if it may be used; else wait for the run of the origin that is
under way, or start one. Whatever cannot be shared is asked for alone.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import ceil

from .._types import ASGIApp, Header, Headers, Message, Receive, Scope, Send
from ..engine.coalescing import Flight, MayLead, Patience, RunCancelled, WaitExpired
from ..engine.engine import Engine
from ..engine.reads import Found
from ..entry import Entry, Slot, StoredResponse, Variants
from ..policy import cache_status
from ..policy.cache_control import CacheControl, of_request
from ..policy.cache_status import Forward
from ..policy.downstream import told
from ..policy.headers import normalised
from ..policy.reasons import Reason
from ..policy.request import Field
from ..policy.reuse import Use, assess
from ..policy.storing import may_answer_authorized
from ..policy.terms import Terms
from .capture import Client, Unheard
from .entries import probe_of
from .fill import Answer, Fill, Head, Heard, Overtaken, Passed, Personal, StaleStored, Stock, Stored
from .inbox import Presence, from_the_start
from .plan import Plan
from .replay import PARTIAL, aged, answer, part_for, prepare, ttl_of
from .request import HEAD_MARK, Request

Hear = Callable[[int, Headers], list[Message]]
"""Takes the status and the field lines of a response; what its client gets instead, if anything."""

MAX_LOOKS = 4
"""Times that a request looks in the tiers: there may be a marker, or another's variant first."""


class Exchange:
    """One request and its answer.

    Args:
        engine: The cache.
        app: The application.
        request: The request.
        receive, send: The client's channel.
        on_chosen: See `Fill`.
    """

    def __init__(
        self,
        engine: Engine,
        app: ASGIApp,
        request: Request,
        receive: Receive,
        send: Send,
        on_chosen: Callable[[Plan, Scope], bool],
    ) -> None:
        self._engine = engine
        self._app = app
        self._request = request
        self._receive = receive
        self._send = send
        self._on_chosen = on_chosen
        self._tally = request.plan.tally
        self._policy = request.plan.policy
        self._part: Slot | None = None
        self._marker: Variants | None = None
        self._heard: tuple[bytes, ...] = ()
        self._forward = Forward.URI_MISS
        self._detail: Reason | None = None
        self._labels: tuple[str, tuple[str, ...]] = ("", ())
        self._waited = 0.0
        self._looks = 0
        self._since: Patience | None = None

    async def run(self) -> None:
        """Answer the request."""
        key = self._request.primary
        for self._looks in range(1, MAX_LOOKS + 1):
            slot, level = await self._look(key)
            stale: Slot | None = None
            if slot is not None:
                if self._request.plain and await self._replay(slot, level):
                    return
                payload = slot.entry.payload
                if isinstance(payload, Variants):
                    self._marker, self._forward = payload, Forward.VARY_MISS
                    key = self._request.variant_key(payload.fields)
                    continue
                assert isinstance(payload, StoredResponse)  # noqa: S101  # values have other keys
                if self._is_for_others(payload):
                    self._forward = Forward.BYPASS
                    await self.alone(Reason.AUTHORIZATION)
                    return
                if payload.status == PARTIAL and not self._within(payload):
                    self._part, self._forward = slot, Forward.PARTIAL
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
        if level == 1:
            self._tally.local += 1
        else:
            self._tally.hits[level] += 1
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
            if level == 1:
                self._tally.local += 1
            else:
                self._tally.hits[level] += 1
            if now >= entry.refresh_at:
                self._refresh(slot)
            await self._serve(slot, f"l{level}")
            return True
        if decision.use in (Use.STALE, Use.STALE_WHILE_REVALIDATE):
            self._tally.stale += 1
            if decision.use is Use.STALE_WHILE_REVALIDATE:
                self._refresh(slot)
            await self._serve(slot, decision.use)
            return True
        reason = decision.reason
        assert reason is not None  # noqa: S101  # there is one for all but the fresh
        engine.events.unused[reason] += 1
        asked = reason not in (Reason.STALE, Reason.NO_CACHE)
        self._forward = Forward.REQUEST if asked else Forward.STALE
        self._detail = None if reason is Reason.STALE else reason
        return False

    def _directives(self) -> CacheControl | None:
        """The request's own directives, where the rule honours them."""
        if not self._policy.honor_request_directives:
            return None
        if not self._request.found.keys() & {Field.CACHE_CONTROL, Field.PRAGMA}:
            return None
        return of_request(self._request.headers)

    async def _serve(self, slot: Slot, detail: str) -> None:
        entry, engine = slot.entry, self._engine
        now = engine.clock()
        member = cache_status.hit(ttl_of(entry, now), detail)
        await self._send_entry(entry, member, now)

    async def _serve_instead(
        self, slot: Slot, detail: str, *, status: int | None = None, collapsed: bool = False
    ) -> None:
        """Serve a stale entry in place of the origin's answer, of this status, that is no good."""
        entry, now = slot.entry, self._engine.clock()
        member = cache_status.forwarded(
            self._forward,
            fwd_status=status,
            collapsed=collapsed,
            ttl=ttl_of(entry, now),
            detail=detail,
        )
        await self._send_entry(entry, member, now)

    async def _send_entry(self, entry: Entry, member: bytes, now: float) -> None:
        response = entry.payload
        assert isinstance(response, StoredResponse)  # noqa: S101  # markers were followed
        age = now - entry.created
        start, body = answer(
            response,
            self._request.told(aged(response.headers, age)),
            member,
            method=self._request.method,
            request_headers=self._request.headers,
            received=self._engine.wall() - age,
            now=self._engine.wall(),
        )
        await self._send(start)
        await self._send(body)

    # What the origin says.

    async def _ask_origin(self, key: str, stale: Slot | None) -> bool:
        """Get the answer from a run of the origin; False if it is worth looking again."""
        directives = self._directives()
        if directives is not None and directives.only_if_cached:
            await self._gateway_timeout()
            return True
        reason = self._label()
        if reason is not None:
            await self.alone(reason)
            return True
        flights = self._engine.flights
        if self._is_own_head and not self._policy.coalesce:
            await self._head(key, stale)
            return True
        if self._is_for_a_part or not self._policy.coalesce:
            await self._lead(flights.apart(self._probe(key)), stale)
            return True
        name = self._flight_key(key)
        if any(
            flights.is_solo(it) or flights.is_solo(self._request.kind(it)) for it in (key, name)
        ):
            await self._ask_as_it_came(key, stale)
            return True
        if flights.nests(name):
            await self.alone(Reason.NESTED)
            return True
        flight = flights.find(name)
        if flight is not None and not flight.is_late(self._waiting.lead):
            if flights.is_crowded(flight):
                await self._turn_away(stale)
                return True
            try:
                return await self._join(flight, stale)
            except MayLead:
                if not flights.follows(flight):
                    return False
        if self._is_own_head and name == key:
            # It has waited for a GET.
            await self._ask_as_it_came(key, stale)
            return True
        if flight is not None:
            self._engine.events.failures["coalesce-timeout"] += 1
        opened = flights.open(self._probe(name), after=flight)
        if self._is_own_head:
            opened.led = True
            await flights.launch(opened, lambda: self._head(key, stale, opened))
        else:
            await self._lead(opened, stale)
        return True

    def _flight_key(self, key: str) -> str:
        """Under which key the request waits for others, or others for it.

        A HEAD that the application answers itself waits for a GET, if there is one that is not
        late; else for another HEAD of what its fields choose, as far as that is known.
        """
        if not self._is_own_head:
            return key
        flight = self._engine.flights.find(key)
        if flight is not None and not flight.is_late(self._waiting.lead):
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

    @property
    def _waiting(self) -> Patience:
        """How long this request waits for runs, in all its looks."""
        if self._since is None:
            policy = self._policy
            lead = policy.coalesce_timeout or self._engine.config.coalesce_timeout
            self._since = Patience(lead, policy.soft_timeout, policy.hard_timeout)
        return self._since

    async def _ask_as_it_came(self, key: str, stale: Slot | None) -> None:
        """Ask for this request alone: what is not shared is asked for with all that it says."""
        if self._request.method == "HEAD":
            await self._head(key, stale)
        elif Field.RANGE in self._request.found and not self._policy.partial:
            await self.alone(Reason.RANGE)
        else:
            await self._lead(self._engine.flights.apart(self._probe(key)), stale, own=True)

    async def _turn_away(self, stale: Slot | None) -> None:
        """Answer one more than may wait: with something stale, or 503 (RFC 9110 §15.6.4)."""
        if stale is not None and self._stands_in(stale):
            self._tally.stale += 1
            await self._serve(stale, Reason.OVERLOADED)
            return
        self._tally.passes[Reason.OVERLOADED] += 1
        seconds = ceil(self._waiting.lead or 1)
        await self._refuse(503, Reason.OVERLOADED, (b"retry-after", b"%d" % seconds))

    def _label(self) -> Reason | None:
        """Find the response's name and tags; why it cannot be given them, or None."""
        try:
            labels = self._request.labels()
        except Exception as error:  # noqa: BLE001  # a callable of the rule
            self._engine.events.callback_failed("tags", error)
            return Reason.BROKEN
        if labels is None:
            return Reason.TAGS
        self._labels = labels
        return None

    def _probe(self, key: str) -> Entry:
        """What is known of the entry to come."""
        return probe_of(self._engine, self._request, key, *self._labels)

    def _fill(
        self,
        flight: "Flight[Answer]",
        stale: Slot | None,
        client: Client | None,
        *,
        own: bool = False,
    ) -> Fill:
        return Fill(
            self._engine,
            self._app,
            self._request,
            flight,
            forward=self._forward,
            detail=self._detail,
            client=client,
            stock=Stock(stale, self._part),
            marker=self._marker,
            on_chosen=self._on_chosen,
            fleet=client is None or self._patience > 0,
            own=own or self._is_for_a_part,
        )

    async def _lead(
        self, flight: "Flight[Answer]", stale: Slot | None, *, own: bool = False
    ) -> None:
        """Run the origin for everybody, this request first.

        Args:
            flight: The flight.
            stale: What is stored, if anything is.
            own: Whether the application is asked for no more than this request asks for.
        """
        send = _bodiless(self._send) if self._request.method == "HEAD" else self._send
        client = Client(self._receive, send)
        fill = self._fill(flight, stale, client, own=own)
        flight.led = True
        task = self._engine.flights.launch(flight, fill.run)
        try:
            if stale is not None and self._policy.soft_timeout is not None:
                await asyncio.wait({task}, timeout=self._policy.soft_timeout)
                if not task.done() and not fill.started and self._stands_in(stale):
                    client.leave()
                    self._tally.stale += 1
                    self._leave(flight)
                    await self._serve_instead(stale, "soft-timeout")
                    return
            self._tally.misses += 1
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
        if fill.declined is not None:
            self._receive = from_the_start(self._receive)
            await self._pass_by(fill.declined)

    def _leave(self, flight: "Flight[Answer]") -> None:
        """This request no longer waits for the run that it leads."""
        flight.led = False
        self._engine.flights.abandon(flight)

    def _stands_in(self, stale: Slot) -> bool:
        return self._engine.stack.stands_in(stale.entry)

    async def _join(self, flight: "Flight[Answer]", stale: Slot | None) -> bool:
        """Wait for the run that is under way; False if its answer is not this request's.

        Raises:
            MayLead: If it takes too long, and this request is to lead one more.
        """
        presence = Presence(self._receive)
        self._receive = from_the_start(presence.receive)
        try:
            async with presence.awaited() as here:
                result = await self._awaited(flight, stale)
        except RunCancelled:
            return False
        except asyncio.CancelledError:
            self._engine.flights.abandon(flight)
            raise
        except MayLead:
            raise
        except Exception:
            if here.expired():
                # Its client has left: there is nobody to answer, and the others go on.
                return True
            if stale is not None and self._stands_in(stale):
                self._tally.stale += 1
                await self._serve_instead(stale, "stale-if-error", collapsed=True)
                return True
            self._tally.coalesced += 1
            raise
        if isinstance(result, Passed):
            await self._ask_as_it_came(flight.probe.key, stale)
            return True
        if isinstance(result, Personal):
            return False
        if isinstance(result, Overtaken):
            # Again and again: then what was asked for before the last invalidation will do, since
            # this request came before it as well.
            if self._looks < MAX_LOOKS:
                return False
            entry = result.entry
        elif isinstance(result, Heard):
            entry, self._heard = result.entry, result.fields
        else:
            entry = result.slot.entry
        if not self._is_for_me(entry):
            return False
        if isinstance(result, StaleStored):
            self._tally.stale += 1
            await self._serve_instead(
                result.slot, result.detail, status=result.status, collapsed=True
            )
            return True
        self._tally.coalesced += 1
        now = self._engine.clock()
        member = cache_status.forwarded(
            self._forward,
            collapsed=True,
            stored=isinstance(result, Stored),
            ttl=ttl_of(entry, now),
        )
        await self._send_entry(entry, member, now)
        return True

    async def _awaited(self, flight: "Flight[Answer]", stale: Slot | None) -> Answer:
        """What the run brings, or the stale entry if that takes too long.

        Raises:
            MayLead: If this request is to lead one more run.
            TimeoutError: If no origin has begun to answer within the hard time-out.
            Exception: What the run raised.
        """

        def instead() -> StaleStored | None:
            stands_in = stale is not None and self._stands_in(stale)
            return StaleStored(stale, "soft-timeout") if stale and stands_in else None

        patience = self._waiting
        if stale is None:
            patience = replace(patience, soft=None)
        try:
            result = await patience.wait(flight, instead)
        except WaitExpired:
            if flight.begun:
                return await flight.wait(patience=patience.lead)
            self._engine.flights.abandon(flight)
            raise TimeoutError(f"no answer within hard_timeout={patience.hard:g} s") from None
        if isinstance(result, StaleStored) and result.detail == "soft-timeout":
            self._engine.flights.abandon(flight)
        return result

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
        engine = self._engine
        if self._label() is not None:
            return
        flight = engine.flights.refresh(self._probe(slot.entry.key))
        if flight is not None:
            engine.events.refreshes += 1
            engine.flights.launch(flight, partial(self._refresh_run, flight, slot))
            engine.flights.abandon(flight)

    async def _refresh_run(self, flight: "Flight[Answer]", slot: Slot) -> None:
        """One background run; asks the shared tiers first, where another instance may have been."""
        engine = self._engine
        if engine.stack.has_shared:
            found = await engine.stack.fetch(slot.entry.key)
            if found is not None and found.slot.entry.refresh_at > engine.clock() < (
                found.slot.entry.fresh_until
            ):
                flight.answer(Stored(found.slot))
                return
            flight.renew(engine.index)
        try:
            await self._fill(flight, slot, None).run()
        except Unheard:
            return
        except Exception as error:
            engine.events.refresh_failed(self._request.plan.resolved.route, error)
            raise

    # Outside the cache.

    async def alone(self, reason: Reason) -> None:
        """Let the application answer this request by itself."""
        self._tally.passes[reason] += 1
        await self._pass_by(reason)

    async def _pass_by(self, reason: Reason, head: Head | None = None) -> None:
        member = cache_status.forwarded(self._forward, detail=reason)
        send = noting(self._send, member, self._request.plan.terms)
        scope = self._request.scope
        if head is not None:
            scope, send = head.scope, _heard(send, head.hear)
        await self._app(scope, self._receive, send)

    async def _head(
        self, key: str, stale: Slot | None, herd: "Flight[Answer] | None" = None
    ) -> None:
        """Let the application answer a HEAD, and hear what it says of the stored GET.

        Args:
            key: The GET's key.
            stale: What is stored, if anything is.
            herd: The flight of those who get the same answer; None if this one is asked alone.
        """
        head = Head(
            self._engine,
            self._request,
            self._engine.flights.apart(self._probe(key)),
            herd=herd,
            stale=stale,
            marker=self._marker,
            on_chosen=self._on_chosen,
        )
        self._tally.passes[Reason.METHOD] += 1
        await self._pass_by(Reason.METHOD, head)

    async def _gateway_timeout(self) -> None:
        """RFC 9111 §5.2.1.7: `only-if-cached`, and nothing stored that would do."""
        self._tally.passes[Reason.ONLY_IF_CACHED] += 1
        self._forward = Forward.REQUEST
        await self._refuse(504, Reason.ONLY_IF_CACHED)

    async def _refuse(self, status: int, reason: Reason, *lines: Header) -> None:
        member = cache_status.forwarded(self._forward, detail=reason)
        headers = [(b"content-length", b"0"), *lines, (cache_status.NAME, member)]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": b""})


def noting(send: Send, member: bytes, terms: Terms | None = None) -> Send:
    """A `send` that adds a `Cache-Status` member to the response.

    Args:
        send: The client's.
        member: What it says.
        terms: The terms of the request's rule: caches downstream are told what they hold for.
    """
    telling = terms if terms is not None and (terms.selecting or terms.partitioned) else None

    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            if telling is not None:
                headers = told(normalised(headers), telling)
            message = {**message, "headers": [*headers, (cache_status.NAME, member)]}
        await send(message)

    return noted


def _heard(send: Send, hear: Hear) -> Send:
    """A `send` that lets somebody hear the start of the response, as the application says it."""
    spared = False

    async def hearing(message: Message) -> None:
        nonlocal spared
        if message["type"] == "http.response.start":
            instead = hear(message["status"], normalised(message.get("headers", ())))
            spared = bool(instead)
            for reply in instead:
                await send(reply)
        if not spared:
            await send(message)

    return hearing


def _bodiless(send: Send) -> Send:
    """A `send` for the answer to a HEAD that was asked for as a GET."""

    async def headed(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return headed
