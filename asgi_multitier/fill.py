"""One run of the origin on behalf of the cache: what the application is asked, what becomes of it.

A fill knows one flight. It gives the application a request that holds only what the key covers,
judges the answer, commits it before its last byte goes out, and releases everybody who waits.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from ._types import ASGIApp, Headers, Message, Scope
from .capture import Capture, Client, Discard
from .coalescing import Flight
from .draft import entry_of
from .engine import Engine
from .entry import Entry, Slot, StoredResponse, Variants
from .fleet import Claim, run_in_fleet
from .inbox import Inbox
from .plan import Plan
from .policy import cache_status
from .policy.cache_status import Forward
from .policy.headers import first, without
from .policy.key import storage_key
from .policy.ranges import Part, combine, rest_of
from .policy.reasons import Reason
from .policy.request import Field, narrowed_cookies
from .policy.reuse import displaces, is_origin_failure, usable_on_error
from .policy.storing import Store, client_headers, etag_of, judge
from .policy.terms import Terms
from .policy.validation import freshen, head_updates, selects, unconditional, validators
from .replay import AGE, PARTIAL, aged, answer
from .request import Request

STREAM_PATIENCE = 0.25
"""Seconds that others wait for a response that is sent on while it comes; then they go alone."""


class _Asks(Enum):
    """What a run asks the origin for beside the request itself."""

    NOTHING = auto()
    VALIDATION = auto()
    REST = auto()
    """Of a stored part (RFC 9111 §3.4)."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The flight's answer: an entry for everybody whose key and variant it is."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class StaleStored:
    """The flight's answer: the origin failed, and a stale entry may stand in."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Passed:
    """The flight's answer: the response is the leader's own; everybody else asks for himself."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Personal:
    """The flight's answer: it is one to the leader's own condition; who has none looks again."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The flight's answer: it was invalidated while it flew; look again."""


Answer = Stored | StaleStored | Passed | Personal | Overtaken


class Fill:
    """The run of one flight.

    Args:
        engine: The cache.
        app: The application.
        request: Whose request opened the flight.
        flight: The flight.
        forward: Why the request goes forward.
        detail: What says more about that, for `Cache-Status`.
        client: Whom the response is for; None for a background refresh.
        stale: An entry that may be validated or stand in.
        part: A stored part that does not answer the request by itself.
        marker: What is known of the URL's variants.
        on_chosen: Takes the scope when the application has answered; whether the router chose
            the endpoint whose rule this is.
        fleet: Whether there is time to ask other processes first, where the rule wants that.
    """

    def __init__(
        self,
        engine: Engine,
        app: ASGIApp,
        request: Request,
        flight: "Flight[Answer]",
        *,
        forward: Forward,
        detail: Reason | None,
        client: Client | None,
        stale: Slot | None,
        part: Slot | None,
        marker: Variants | None,
        on_chosen: Callable[[Plan, Scope], bool],
        fleet: bool = True,
    ) -> None:
        self._engine = engine
        self._app = app
        self._request = request
        # As they came: the application of a HEAD gets the same scope, and may edit it.
        self._request_headers = request.headers
        self._flight = flight
        self._forward = forward
        self._detail = detail
        self._client = client
        self._stale = stale
        self._part = part
        self._drop_invalidated()
        self._marker = marker
        self._on_chosen = on_chosen
        self._fleet = fleet and request.plan.policy.coalesce == "fleet"
        self._policy = request.plan.policy
        self._terms = request.plan.terms
        self._deadline: asyncio.Timeout | None = None
        self._asks = _Asks.NOTHING
        self._again = False
        self._asked_at = engine.wall()
        self._scope: Scope = {}
        self._closing: list[Message] = []
        self._lines: Headers = ()
        self._lost = Reason.INVALIDATED
        self._claim: Claim | None = None
        self._telling: asyncio.Task[None] | None = None
        self._begin()

    def _begin(self) -> None:
        """The application's channel, new for each time that it is asked."""
        self.capture = Capture(self, self._client, limit=self._engine.config.max_entry)
        self._inbox = Inbox(self._client, self._client_left)

    def _client_left(self) -> None:
        self._flight.led = False
        self._engine.flights.abandon(self._flight)

    # The run.

    async def run(self) -> None:
        """Answer the flight: by the origin, unless another process is asking it already."""
        engine = self._engine
        leases = engine.leases if self._fleet else None
        if leases is None or not engine.stack.has_shared or not engine.flights.flies(self._flight):
            await self._run_here()
            return
        patience = self._policy.coalesce_timeout or engine.config.coalesce_timeout
        name = storage_key(self._flight.probe.key)
        slot = await run_in_fleet(leases, name, patience, self._look_elsewhere, self._run_holding)
        if slot is not None:
            await self._serve_elsewhere(slot)

    async def _look_elsewhere(self) -> Slot | None:
        """What another process has stored by now, if it answers this request."""
        engine, request = self._engine, self._request
        found = await engine.stack.fetch(self._flight.probe.key)
        if found is not None and isinstance(marker := found.slot.entry.payload, Variants):
            self._marker = marker
            found = await engine.stack.fetch(request.variant_key(marker.fields))
        if found is None or not isinstance(found.slot.entry.payload, StoredResponse):
            return None
        entry = found.slot.entry
        fresh = engine.clock() < entry.fresh_until and not entry.always_validate
        whole = found.slot.entry.payload.status != PARTIAL
        return found.slot if fresh and whole else None

    async def _run_holding(self, claim: Claim) -> None:
        """Run the origin while the others wait for what it brings."""
        self._flight.renew(self._engine.index)
        self._claim = claim if claim.held else None
        await self._run_here()
        if self._telling is not None:
            await self._telling

    async def _serve_elsewhere(self, slot: Slot) -> None:
        """Answer everybody here with what another process's run has brought."""
        engine, entry = self._engine, slot.entry
        engine.flights.land(self._flight)
        self._flight.answer(Stored(slot))
        response = entry.payload
        assert isinstance(response, StoredResponse)  # noqa: S101  # see `_look_elsewhere`
        now = engine.clock()
        member = cache_status.forwarded(
            self._forward, collapsed=True, stored=True, ttl=entry.fresh_until - now
        )
        age = now - entry.created
        lines = aged(response.headers, age)
        for message in self._answer(response, lines, member, engine.wall() - age):
            await self.capture.deliver(message)

    def _tell_fleet(self, entries: list[Entry]) -> None:
        """Write what this run brought where the others look, and let them look."""
        if self._claim is None:
            for entry in entries:
                self._engine.stack.share(entry)
            return
        self._telling = self._engine.stack.spawn(
            self._write_and_release(self._claim, entries), "asgi-multitier lease"
        )
        self._claim = None

    async def _write_and_release(self, claim: Claim, entries: list[Entry]) -> None:
        if entries:
            await self._engine.stack.write(entries)
        await claim.release()

    async def _run_here(self) -> None:
        """Ask the origin, and answer the flight whatever comes of it."""
        fields = self._question()
        await self._ask(fields)
        if self._again:
            self._again = False
            self._asks = _Asks.NOTHING
            self._begin()
            await self._ask(())

    def _drop_invalidated(self) -> None:
        """Forget what lies here and was dropped since it was found: the run is born after that."""
        permits = self._engine.index.permits
        if self._stale is not None and not permits(self._stale.entry):
            self._stale = None
        if self._part is not None and not permits(self._part.entry):
            self._part = None

    def _question(self) -> Headers:
        """The field lines with which the origin is asked for less than the whole, if it can be."""
        fields: Headers = ()
        self._drop_invalidated()
        if self._part is not None and Field.RANGE not in self._request.found:
            fields = rest_of(_response_of(self._part).headers)
            self._asks = _Asks.REST
        elif self._stale is not None and isinstance(self._stale.entry.payload, StoredResponse):
            fields = _conditions(self._stale.entry.payload, self._terms)
            self._asks = _Asks.VALIDATION
        if not fields:
            self._asks = _Asks.NOTHING
        return fields

    async def _ask(self, fields: Headers) -> None:
        scope = self._scope_for_app(fields)
        self._scope = scope
        self._asked_at = self._engine.wall()
        try:
            async with asyncio.timeout(self._policy.hard_timeout) as self._deadline:
                await self._app(scope, self._inbox.receive, self.capture.send)
        except Exception as error:
            if self.capture.started or not self._may_stand_in():
                raise
            self._engine.events.failures["origin"] += 1
            self._engine.events.stood_in(self._request.plan.resolved.route, error)
            self._stand_in()
            for message in self._closing:
                await self.capture.deliver(message)
            return
        finally:
            self._inbox.open()
        await self.capture.finish()
        if not self._again:
            self._flight.answer(Passed(Reason.INCOMPLETE))

    def _tell_outside(self) -> None:
        """What layers outside look for once there is an answer stands in the scope they know."""
        if self._client is not None:
            for name in ("endpoint", "route", "path_params", "router"):
                if name in self._scope:
                    self._request.scope[name] = self._scope[name]

    def _scope_for_app(self, fields: Headers) -> Scope:
        """The request as the application gets it: with what the key covers, and whole."""
        request, policy = self._request, self._policy
        scope = dict(request.scope)
        headers = request.headers
        if policy.terms.annotated or fields or self._client is None:
            headers = unconditional(headers)
            if policy.terms.annotated:
                scope["method"] = "GET"
        if policy.cookies and not (policy.public or policy.vary_by):
            cookies = narrowed_cookies(request.found.get(Field.COOKIE, ()), policy.cookies)
            headers = without(headers, {b"cookie"})
            headers = (*headers, (b"cookie", cookies)) if cookies else headers
        scope["headers"] = [*headers, *fields]
        if request.plan.query is not None:
            scope["query_string"] = request.plan.query
        if extensions := scope.get("extensions"):
            hidden = ("http.response.pathsend", "http.response.zerocopysend")
            scope["extensions"] = {k: v for k, v in extensions.items() if k not in hidden}
        return scope

    # What the capture asks.

    def judge(self, status: int, headers: Headers) -> Store | Reason | Discard:
        """May this response be stored, or does a stored one take its place?"""
        if self._deadline is not None:
            self._deadline.reschedule(None)
        self._tell_outside()
        if not self._on_chosen(self._request.plan, self._scope):
            return Reason.MISMATCH
        if status == 304 and self._asks is _Asks.VALIDATION:
            return self._validated(headers)
        if self._asks is _Asks.REST:
            if status == 416:
                self._again = True
                return Discard.DISCARD
            self.capture.holds_back = status == PARTIAL
        if is_origin_failure(status) and self._may_stand_in():
            self._engine.events.failures["origin"] += 1
            self._stand_in()
            return Discard.DISCARD
        return self._judge(status, headers)

    def _judge(self, status: int, headers: Headers) -> Store | Reason:
        try:
            return judge(
                method="GET",
                status=status,
                headers=headers,
                request_headers=self._request_headers,
                terms=self._terms,
                now=self._engine.wall(),
                request_time=self._asked_at,
            )
        except Exception as error:  # noqa: BLE001  # the answer is good, if its client's alone
            self._engine.events.broken("judging a response", error)
            return Reason.BROKEN

    def pass_on(self, reason: Reason, status: int, headers: Headers) -> Headers:
        """The response is its client's alone."""
        engine, flight = self._engine, self._flight
        engine.events.refused[reason] += 1
        engine.flights.land(flight)
        personal = status in (PARTIAL, 304)
        if not personal and not is_origin_failure(status):
            # A failing origin is not a reason to send it everybody at once from now on.
            engine.flights.mark_solo(flight.probe.key, engine.config.hit_for_miss)
        if self._stale is not None and displaces(status) and reason is not Reason.INCOMPLETE:
            engine.stack.forget_soon(self._stale.entry.key)
        flight.answer(Personal() if personal else Passed(reason))
        self._tell_fleet([])
        self._inbox.open()
        return cache_status.appended(headers, cache_status.forwarded(self._forward, detail=reason))

    def opening(self, headers: Headers) -> Headers:
        """The response is sent on while it comes."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(STREAM_PATIENCE, self._let_waiters_go)
        if self._flight.task is not None:
            self._flight.task.add_done_callback(lambda _: timer.cancel())
        return cache_status.appended(
            client_headers(headers, None, self._terms),
            cache_status.forwarded(self._forward, detail=self._detail),
        )

    def _let_waiters_go(self) -> None:
        """The response takes its time: nobody waits for a stream's end, or for a slow reader."""
        if not self._flight.answered:
            self._engine.flights.land(self._flight)
            self._flight.answer(Passed(Reason.STREAMING))
            self._tell_fleet([])

    def commit(self, store: Store, status: int, headers: Headers, body: bytes) -> None:
        """The response is complete."""
        etag = etag_of(body) if self._terms.annotated and status == 200 else None
        lines = client_headers(store.headers, etag, self._terms)
        response = StoredResponse(
            status=status,
            headers=without(lines, {AGE}),
            body=body,
            etag=first(lines, b"etag"),
            last_modified=store.last_modified,
        )
        self._lines = client_headers(headers, etag, self._terms)
        if status == PARTIAL and self._part is not None:
            self._commit_part(response, store)
        else:
            self._close(response, self._keep(response, store), fwd_status=None)

    def _commit_part(self, newer: StoredResponse, store: Store) -> None:
        """Join a part with the one that is stored, where they belong together."""
        assert self._part is not None  # noqa: S101  # see `commit`
        stored = _response_of(self._part)
        joined = combine(Part(stored.headers, stored.body), Part(newer.headers, newer.body))
        if joined is not None and len(joined.body) > self._engine.config.max_entry:
            joined = None
        whole = newer
        if joined is not None:
            headers = without(joined.headers, {AGE})
            whole = replace(newer, status=joined.status, headers=headers, body=joined.body)
        if self._asks is not _Asks.REST:
            self._close(newer, self._keep(whole, store), fwd_status=None)
        elif whole.status == 200:
            slot = self._keep(whole, store)
            self._lines = whole.headers
            self._close(whole, slot, fwd_status=PARTIAL)
        else:
            self._again = True

    def spoilt(self) -> None:
        """The rest of a stored part did not come whole: ask for all of it."""
        self._again = True

    def closing(self) -> list[Message]:
        """The leader's answer."""
        messages, self._closing = self._closing, []
        return messages

    # What becomes of it.

    def _keep(self, response: StoredResponse, store: Store) -> Slot | None:
        """Store in the tiers and answer the flight; None if an invalidation overtook the run."""
        engine, flight = self._engine, self._flight
        engine.flights.land(flight)
        try:
            whole = entry_of(flight.probe, response, store, self._request.plan, engine.clock())
            entry, marker = self._as_variant(whole, store.vary)
            slot = engine.stack.keep(entry)
        except Exception as error:  # noqa: BLE001  # the answer is good whatever becomes of the copy
            engine.events.broken("storing a response", error)
            self._lost = Reason.BROKEN
            flight.answer(Passed(Reason.BROKEN))
            return None
        if slot is None:
            if engine.index.permits(replace(entry, born=engine.index.born())):
                flight.answer(Overtaken())
            else:
                # What was dropped is settling: nothing is kept yet, and waiting brings nothing.
                engine.flights.mark_solo(flight.probe.key, engine.config.hit_for_miss)
                flight.answer(Passed(Reason.INVALIDATED))
            self._tell_fleet([])
            return None
        if marker is not None:
            engine.stack.keep_variant(marker, entry.key, engine.config.max_variants)
        engine.events.fills += 1
        engine.flights.clear_solo(flight.probe.key)
        flight.answer(Stored(slot))
        self._tell_fleet([entry] if marker is None else [marker, entry])
        return slot

    def _as_variant(self, entry: Entry, vary: tuple[bytes, ...]) -> tuple[Entry, Entry | None]:
        """The entry under the key of its variant, and the marker that leads to it."""
        keyed = set(self._policy.vary)
        known = self._marker.fields if self._marker is not None else ()
        fields = tuple(sorted({*known, *(name for name in vary if name not in keyed)}))
        if not fields:
            return replace(entry, key=self._request.primary), None
        marker = replace(
            entry,
            key=self._request.primary,
            payload=Variants(fields),
            fresh_until=entry.keep_until,
            refresh_at=float("inf"),
            tags=(),
            name="",
            # A marker says nothing that an invalidation could make false.
        )
        return replace(entry, key=self._request.variant_key(fields)), marker

    def _close(self, response: StoredResponse, slot: Slot | None, fwd_status: int | None) -> None:
        """Prepare what the leader gets."""
        engine = self._engine
        now = engine.clock()
        if slot is None:
            member = cache_status.forwarded(self._forward, fwd_status=fwd_status, detail=self._lost)
        else:
            left = slot.entry.fresh_until - now
            member = cache_status.forwarded(
                self._forward, stored=True, fwd_status=fwd_status, ttl=left, detail=self._detail
            )
        self._closing = self._answer(response, self._lines, member, engine.wall())

    def _answer(
        self, response: StoredResponse, lines: Headers, member: bytes, received: float
    ) -> list[Message]:
        return list(
            answer(
                response,
                lines,
                member,
                method=self._request.method,
                request_headers=self._request.headers,
                received=received,
                now=self._engine.wall(),
            )
        )

    def _validated(self, headers: Headers) -> Discard:
        """The origin says that the stored response still holds (RFC 9111 §4.3.4)."""
        assert self._stale is not None  # noqa: S101  # only a stale entry is validated
        stored = self._stale.entry.payload
        assert isinstance(stored, StoredResponse)  # noqa: S101
        if not selects(stored.headers, headers):
            self._again = True
            return Discard.DISCARD
        terms = self._terms
        lines = freshen(
            stored.headers, headers, set_cookie=terms.set_cookie, targeted=terms.targeted
        )
        response, slot = self._freshened(stored, lines)
        self._lines = (
            lines if slot is None else aged(lines, self._engine.clock() - slot.entry.created)
        )
        self._close(response, slot, fwd_status=304)
        return Discard.DISCARD

    def _freshened(
        self, stored: StoredResponse, lines: Headers
    ) -> tuple[StoredResponse, Slot | None]:
        """The stored response with newer field lines; its slot, if it may be kept with those."""
        store = self._judge(stored.status, lines)
        response = replace(stored, headers=without(lines, {AGE}), etag=first(lines, b"etag"))
        if isinstance(store, Store):
            response = replace(response, last_modified=store.last_modified)
            return response, self._keep(response, store)
        engine = self._engine
        engine.flights.land(self._flight)
        engine.events.refused[store] += 1
        engine.stack.forget_soon(self._flight.probe.key)
        self._flight.answer(Passed(store))
        return response, None

    def learn(self, status: int, headers: Headers) -> None:
        """The origin has answered a HEAD: it may speak of what is stored (RFC 9111 §4.3.5)."""
        stale = self._stale
        if stale is None or status != 200 or not self._on_chosen(self._request.plan, self._scope):
            return
        stored = stale.entry.payload
        assert isinstance(stored, StoredResponse)  # noqa: S101  # markers were followed
        lines = head_updates(
            _with_length(stored),
            headers,
            stored_status=stored.status,
            head_status=status,
            set_cookie=self._terms.set_cookie,
            targeted=self._terms.targeted,
        )
        if lines is None:
            self._engine.stack.forget_soon(stale.entry.key)
        else:
            self._freshened(stored, lines)

    def _may_stand_in(self) -> bool:
        """Whether the stale entry may be served in place of a failure; never an invalidated one."""
        stale = self._stale
        return (
            stale is not None
            and usable_on_error(
                now=self._engine.clock(),
                fresh_until=stale.entry.fresh_until,
                keep_until=stale.entry.keep_until,
                stale_if_error=stale.entry.stale_if_error,
            )
            and self._engine.index.permits(stale.entry)
        )

    def _stand_in(self) -> None:
        """Answer everybody with the stale entry."""
        assert self._stale is not None  # noqa: S101  # see `_may_stand_in`
        engine, entry = self._engine, self._stale.entry
        stored = entry.payload
        assert isinstance(stored, StoredResponse)  # noqa: S101
        engine.flights.land(self._flight)
        self._flight.answer(StaleStored(self._stale))
        age = engine.clock() - entry.created
        member = cache_status.hit(entry.fresh_until - engine.clock(), "stale-if-error")
        self._closing = self._answer(stored, aged(stored.headers, age), member, engine.wall() - age)


def _response_of(slot: Slot) -> StoredResponse:
    response = slot.entry.payload
    assert isinstance(response, StoredResponse)  # noqa: S101  # markers were followed
    return response


def _conditions(stored: StoredResponse, terms: Terms) -> Headers:
    """The conditions for a validation; a tag of our own making means nothing to the origin."""
    etag = stored.etag
    if terms.annotated and etag == etag_of(stored.body):
        etag = None
    return validators(etag, stored.last_modified)


def _with_length(stored: StoredResponse) -> Headers:
    """The stored field lines, which tell the length of the content one way or the other."""
    if first(stored.headers, b"content-length") is not None:
        return stored.headers
    return (*stored.headers, (b"content-length", b"%d" % len(stored.body)))
