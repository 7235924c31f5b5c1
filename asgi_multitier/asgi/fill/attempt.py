"""One time that the application is asked on behalf of a flight, and what is made of its answer."""

import asyncio
from dataclasses import replace

from ..._types import Headers, Message, Scope
from ...engine.engine import Engine
from ...engine.runs import Run, report_stand_in
from ...entry import Slot, StoredResponse
from ...events import Outcome
from ...policy.headers import content_length, end_to_end, without
from ...policy.ranges import PART_ONLY, Part, combine, serves_parts
from ...policy.reasons import Reason
from ...policy.request import Field
from ...policy.reuse import displaces, is_origin_failure
from ...policy.storing import Store, client_headers, etag_of
from ...policy.validation import freshen, selects, with_own
from ..capture import Capture, Client, Discard, Unheard
from ..entries import objection_of
from ..framework import FILL_KEY
from ..inbox import Inbox
from ..layers import Outside
from ..replay import AGE, PARTIAL, aged
from ..replies import Replies
from ..request import Request
from .answers import Answer, Passed, StaleStored
from .keeping import Keeping, as_stored
from .question import WHOLE, Asks, Question, StoredCandidates, response_of, scope_for_app

REFUSES_METHOD = frozenset({405, 501})
"""Statuses that say of a GET that another method may be answered (RFC 9110 §15.5.6, §15.6.2)."""

STREAM_PATIENCE = 0.25
"""Seconds that others wait for a response that is sent on while it comes; then one more is begun,
and so on: nobody waits for a stream's end, or for a slow reader, and there is no run for each."""


class Attempt:
    """The application, asked once.

    It is the handler of its capture: what the application sends is judged here.

    Args:
        engine: The cache.
        request: Whose request opened the flight.
        run: The flight's run.
        client: Whom the response is for; None for a background refresh.
        replies: What that one hears.
        keeping: What everybody else gets.

    Attributes:
        capture: The application's `send`.
        outcome: How its client was answered.
        again: Whether the answer is of no use, and all of it is to be asked for.
        declined: Why the client is to be answered by the application alone, if it is.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        run: "Run[Answer]",
        *,
        client: Client | None,
        replies: Replies,
        keeping: Keeping,
    ) -> None:
        self._engine = engine
        self._request = request
        self._run = run
        self._flight = run.flight
        self._client = client
        self._replies = replies
        self._keeping = keeping
        self._terms = request.plan.terms
        self._inbox = Inbox(client, self._client_left)
        self._stored = StoredCandidates()
        self._question = WHOLE
        self._scope: Scope = {}
        self._outside = Outside(request.scope, request.common)
        self._asked_at = 0.0
        self._deadline: asyncio.Timeout | None = None
        self._closing: list[Message] = []
        self.capture = Capture(self, client, limit=engine.config.max_entry)
        self.again = False
        self.outcome = Outcome.MISS
        self.declined: Reason | None = None
        self._spared = False

    def _client_left(self) -> None:
        self._flight.led = False
        self._engine.flights.abandon(self._flight)

    async def ask(self, question: Question, stored: StoredCandidates) -> None:
        """Ask the application; unless it is to be asked again, the flight has its answer then.

        Args:
            question: What it is asked.
            stored: What lies here for the request.
        """
        request = self._request
        self._question, self._stored = question, stored
        scope = scope_for_app(request, question, background=self._client is None)
        scope[FILL_KEY] = self._engine
        self._scope = self._outside.watch(scope)
        self._asked_at = self._engine.wall()
        try:
            hard = request.plan.policy.hard_timeout
            async with asyncio.timeout(hard) as self._deadline, self.capture:
                await self._request.app(self._scope, self._inbox.receive, self.capture.send)
        except Exception as error:
            if self._is_unwanted:
                return
            if isinstance(error, Unheard):
                raise
            if self._deadline is not None and self._deadline.expired():
                self._engine.events.failures["hard-timeout"] += 1
            await self._failed(error)
            return
        finally:
            self._inbox.open()
        await self.capture.finish()
        if not self.again:
            self._flight.answer(Passed(Reason.INCOMPLETE))

    @property
    def _is_unwanted(self) -> bool:
        """Whether the rest of the answer is nobody's, as the application may have found out."""
        return self.declined is not None or (self._spared and self.capture.streaming)

    async def _failed(self, error: Exception) -> None:
        """The application raised: a stale entry stands in for all who have heard nothing.

        Of a background run it is a failed refresh, and who waits for it has a stale entry too.

        Raises:
            Exception: The error, for who has heard something, and where nothing may stand in.
        """
        may_stand_in = self._client is not None and not self.capture.streaming
        stale = self._substitute() if may_stand_in else None
        if stale is None:
            # What its client would have had of the application alone.
            await self.capture.let_go(lambda lines: self._replies.passed(lines, Reason.INCOMPLETE))
            raise error
        self._stand_in(stale, error=error)
        if not self.capture.silent:
            raise error
        for message in self.closing():
            await self.capture.deliver(message)

    # What the capture asks.

    def judge(self, status: int, headers: Headers) -> Store | Reason | Discard:
        """May this response be stored, or does a stored one take its place?"""
        if self._deadline is not None:
            self._deadline.reschedule(None)
        self._flight.begun = True
        if self._client is not None:
            self._outside.tell(self._scope)
        if not self._request.confirms(self._scope):
            return Reason.MISMATCH
        asks = self._question.asks
        objection = self._objection()
        if status == 304 and asks is Asks.VALIDATION:
            if objection is None:
                self._validated(headers)
            else:
                # What holds for this client says nothing of everybody's copy.
                self.again = True
            return Discard.DISCARD
        if asks is Asks.REST:
            if status == 416:
                self.again = True
                return Discard.DISCARD
            self.capture.holds_back = status == PARTIAL
        if is_origin_failure(status) and (stale := self._substitute()) is not None:
            self._stand_in(stale, status=status)
            return Discard.DISCARD
        verdict = objection or self._keeping.judge(status, headers, self._asked_at)
        if isinstance(verdict, Store) and self._wants_part and content_length(headers) is not None:
            # It is short, or it is declined: the client gets what it asked for out of the whole.
            self.capture.holds_back = True
        return verdict

    def _objection(self) -> Reason | None:
        """Why the run's answer is its client's alone, whatever it looks like."""
        return objection_of(self._outside, self._request, self._scope)

    def pass_on(self, reason: Reason, status: int, headers: Headers) -> Headers:
        """The response is its client's alone."""
        self._release(reason, status)
        self._inbox.open()
        return self._replies.passed(headers, reason)

    def declines(self, reason: Reason, status: int, headers: Headers) -> bool:
        """Whether it is all of a response, for a client that asked for a part and may have it.

        It is too large to be kept, or its application serves parts itself. Or it refuses GET.
        """
        if self._client is not None and self._request.method == "HEAD" and status in REFUSES_METHOD:
            # It refuses GET, which it was asked with: HEAD is another question.
            self._decline(Reason.METHOD, status)
            return True
        if not self._wants_part or status != 200:
            return False
        if reason is not Reason.OVERSIZED and not serves_parts(headers):
            return False
        self._decline(reason, status)
        return True

    def spared(self, status: int, headers: Headers) -> list[Message]:
        """What a client gets at once that has this response already: 304."""
        if self._client is None or self._question.asks is Asks.OWN:
            return []
        replies = self._replies.not_modified(status, headers)
        self._spared = bool(replies)
        return replies

    @property
    def _wants_part(self) -> bool:
        """Whether there is a client that asked for less than the application was asked for."""
        if self._client is None or self._question.asks in (Asks.OWN, Asks.REST):
            return False
        return self._request.method == "GET" and Field.RANGE in self._request.found

    def _decline(self, reason: Reason, status: int) -> None:
        self.declined = reason
        self._release(reason, status)
        self._inbox.open()

    def _release(self, reason: Reason, status: int) -> None:
        """Let all go alone who wait: the response is not for them."""
        engine, stale = self._engine, self._stored.stale
        engine.events.refused[reason] += 1
        if stale is not None and displaces(status) and reason is not Reason.INCOMPLETE:
            engine.stack.forget_soon(stale.entry.key)
        self._keeping.release(reason, status)

    def opening(self, headers: Headers) -> Headers:
        """The response is sent on while it comes."""
        return self._replies.streamed(headers, advised=not self._outside.undecided)

    def streams(self) -> None:
        """It may have no end: those who wait do not wait for that."""
        self._flight.streams = True
        loop = asyncio.get_running_loop()
        timer = loop.call_later(STREAM_PATIENCE, self._hurry)
        if self._flight.task is not None:
            self._flight.task.add_done_callback(lambda _: timer.cancel())

    def commit(self, store: Store, status: int, headers: Headers, body: bytes) -> None:
        """The response is complete."""
        terms, part = self._terms, self._stored.part
        etag = etag_of(body) if terms.annotated and status == 200 else None
        kept = client_headers(store.headers, etag, terms)
        response = as_stored(status, kept, body, store.last_modified)
        if (objection := self._objection()) is not None:
            # Nor may a cache downstream keep it longer than the application says.
            self._close(response, headers, self._keeping.refuse(objection))
            return
        lines = client_headers(headers, etag, terms)
        if status == PARTIAL and part is not None:
            self._commit_part(response, lines, store, part)
        else:
            self._close(response, lines, self._keeping.keep(response, store))

    def spoilt(self, reason: Reason) -> None:
        """What was held back did not come whole: ask for the whole, or as the client asks."""
        if self._question.asks is Asks.REST:
            self.again = True
        else:
            self._decline(reason, 200)

    def closing(self) -> list[Message]:
        """The leader's answer."""
        messages, self._closing = self._closing, []
        return messages

    # What becomes of it.

    def _hurry(self) -> None:
        """The response takes its time: those who wait begin one more."""
        if not self._flight.answered:
            if self._engine.flights.flies(self._flight):
                self._flight.hurry()
            self._run.publisher.publish([])

    def _close(
        self,
        response: StoredResponse,
        lines: Headers,
        kept: Slot | Reason,
        fwd_status: int | None = None,
    ) -> None:
        """Prepare what the leader gets."""
        self._closing = self._replies.filled(response, lines, kept, fwd_status)

    def _commit_part(self, newer: StoredResponse, lines: Headers, store: Store, part: Slot) -> None:
        """Keep a part, joined with the one that is stored where they belong together."""
        whole = _joined(response_of(part), newer, self._engine.config.max_entry)
        if self._question.asks is not Asks.REST:
            self._close(newer, lines, self._keeping.keep(whole, store))
        elif whole.status == 200:
            kept = {name for name, _ in newer.headers} | PART_ONLY
            own = without(end_to_end(lines), kept)
            shown = (*without(whole.headers, {name for name, _ in own}), *own)
            self._close(whole, shown, self._keeping.keep(whole, store), PARTIAL)
        else:
            self.again = True

    def _validated(self, headers: Headers) -> None:
        """The origin says that the stored response still holds (RFC 9111 §4.3.4)."""
        assert self._stored.stale is not None  # noqa: S101  # only a stale entry is validated
        stored, terms = response_of(self._stored.stale), self._terms
        if not selects(stored.headers, headers):
            self.again = True
            return
        lines = freshen(stored.headers, headers, terms, received=self._engine.wall())
        response, kept = self._keeping.freshen(stored, lines, self._asked_at)
        lines = with_own(lines, headers, terms)
        if isinstance(kept, Slot):
            lines = aged(lines, self._engine.clock() - kept.entry.created)
        self._close(response, lines, kept, fwd_status=304)

    def _substitute(self) -> Slot | None:
        """The stale entry, if it may be served in place of a failure."""
        stale, engine = self._stored.stale, self._engine
        if stale is None or not engine.stack.stands_in(stale.entry):
            return None
        return stale

    def _stand_in(
        self, stale: Slot, *, status: int | None = None, error: Exception | None = None
    ) -> None:
        """Answer everybody with the stale entry, in place of this status or exception."""
        route = self._request.label
        if self._client is None:
            self._engine.events.refresh_failed(route, f"it answered {status}")
        else:
            report_stand_in(self._engine, self._flight, route, error)
        self._run.answered(StaleStored(stale, status))
        self.outcome = Outcome.STALE
        self._closing = self._replies.in_place(stale, Reason.STALE_IF_ERROR, status=status)


def _joined(stored: StoredResponse, newer: StoredResponse, limit: int) -> StoredResponse:
    """A part with the one that is stored; itself, if they do not belong together.

    Args:
        stored: The part that is stored.
        newer: The part that came.
        limit: Bytes of body kept at most.
    """
    joined = combine(Part(stored.headers, stored.body), Part(newer.headers, newer.body))
    if joined is None or len(joined.body) > limit:
        return newer
    headers = without(joined.headers, {AGE})
    return replace(newer, status=joined.status, headers=headers, body=joined.body)
