"""What is made of one response of the application, asked on behalf of a flight."""

import asyncio

from msgspec.structs import replace

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
from ..capture import Discard, ResponseHandler
from ..entries import objection_of
from ..framework import FILL_KEY
from ..layers import Outside
from ..replay import AGE, PARTIAL, aged
from ..replies import Replies
from ..request import Request
from .answers import Answer, StaleStored
from .keeping import Keeping, as_stored
from .question import Asks, Question, StoredCandidates, response_of, scope_for_app

REFUSES_METHOD = frozenset({405, 501})
"""Statuses that say of a GET that another method may be answered (RFC 9110 §15.5.6, §15.6.2)."""

STREAM_PATIENCE = 0.25
"""Seconds that others wait for a response that is sent on while it comes; then one more run begins,
and so on: no request waits for a stream's end or a slow reader, and not each has its own run."""


class Attempt(ResponseHandler):
    """Handles the response of the application, asked once.

    Args:
        engine: The cache.
        request: Whose request opened the flight.
        run: The flight's run.
        question: What the application is asked.
        stored: What is stored for the request.
        background: Whether no client is to get the response.
        replies: Makes what the client gets.
        keeping: Stores the response and answers the other requests.

    Attributes:
        scope: The request as the application gets it.
        deadline: The scope of `hard_timeout`; it ends when the application has begun to answer.
        outcome: How the client was answered.
        again: Whether the answer is of no use, and all of it is to be asked for.
        declined: Why the client is to be answered by the application alone, if it is.
        sent_304: Whether the client had the response already and got a 304.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        run: "Run[Answer]",
        question: Question,
        stored: StoredCandidates,
        *,
        background: bool,
        replies: Replies,
        keeping: Keeping,
    ) -> None:
        self._engine = engine
        self._request = request
        self._run = run
        self._flight = run.flight
        self._background = background
        self._replies = replies
        self._keeping = keeping
        self._terms = request.plan.terms
        self._question = question
        self._stored = stored
        self._outside = Outside(request.scope, request.common)
        scope = scope_for_app(request, question, background=background)
        scope[FILL_KEY] = engine
        self.scope: Scope = self._outside.watch(scope)
        self._asked_at = engine.wall()
        self._messages: list[Message] = []
        self.deadline: asyncio.Timeout | None = None
        self.again: bool = False
        self.outcome: Outcome = Outcome.MISS
        self.declined: Reason | None = None
        self.sent_304: bool = False

    # Called by the capture.

    def judge(self, status: int, headers: Headers) -> Store | Reason | Discard:
        """May this response be stored, or does a stored one take its place?"""
        if self.deadline is not None:
            self.deadline.reschedule(None)
        self._flight.begin()
        if not self._background:
            self._outside.publish(self.scope)
        if not self._request.confirms(self.scope):
            return Reason.MISMATCH
        asks = self._question.asks
        objection = self._objection()
        if status == 304 and asks is Asks.VALIDATION:
            if objection is None:
                self._validated(headers)
            else:
                # What holds for this client may not hold for the shared copy.
                self.again = True
            return Discard.DISCARD
        if asks is Asks.REST:
            if status == 416:
                self.again = True
                return Discard.DISCARD
            self.holds_back = status == PARTIAL
        if is_origin_failure(status) and (stale := self.substitute()) is not None:
            self.stand_in(stale, status=status)
            return Discard.DISCARD
        verdict = objection or self._keeping.judge(status, headers, self._asked_at)
        if isinstance(verdict, Store) and self._wants_part and content_length(headers) is not None:
            # It is short, or it is declined: the client gets what it asked for out of the whole.
            self.holds_back: bool = True
        return verdict

    def _objection(self) -> Reason | None:
        """Why the run's answer is its client's alone, whatever it looks like."""
        own = self._request.objection()
        return own or objection_of(self._outside, self._request, self.scope)

    def pass_on(self, reason: Reason, status: int, headers: Headers) -> Headers:
        """The response is its client's alone."""
        self._release(reason, status)
        return self._replies.passed(headers, reason)

    def declines(self, reason: Reason, status: int, headers: Headers) -> bool:
        """Whether it is all of a response, for a client that asked for a part and may have it.

        It is too large to be kept, or its application serves parts itself. Or it refuses GET.
        """
        if not self._background and self._request.method == "HEAD" and status in REFUSES_METHOD:
            # It refuses GET, the method it was asked with: it may answer HEAD.
            self._decline(Reason.METHOD, status)
            return True
        if not self._wants_part or status != 200:
            return False
        if reason is not Reason.OVERSIZED and not serves_parts(headers):
            return False
        self._decline(reason, status)
        return True

    def not_modified(self, status: int, headers: Headers) -> list[Message]:
        """The 304 for a client that has the response already."""
        if self._background or self._question.asks is Asks.OWN:
            return []
        messages = self._replies.not_modified(status, headers)
        self.sent_304 = bool(messages)
        return messages

    @property
    def _wants_part(self) -> bool:
        """Whether there is a client that asked for less than the application was asked for."""
        if self._background or self._question.asks in (Asks.OWN, Asks.REST):
            return False
        return self._request.method == "GET" and Field.RANGE in self._request.found

    def _decline(self, reason: Reason, status: int) -> None:
        self.declined = reason
        self._release(reason, status)

    def _release(self, reason: Reason, status: int) -> None:
        """Let all waiting requests ask alone: the response is not for them."""
        engine, stale = self._engine, self._stored.stale
        engine.events.not_stored(reason, self._request.plan.resolved.label)
        if stale is not None and displaces(status) and reason is not Reason.INCOMPLETE:
            engine.stack.forget_soon(stale.entry.key)
        self._keeping.release(reason, status)

    def stream_headers(self, headers: Headers) -> Headers:
        """The response is sent on while it comes."""
        return self._replies.streamed(headers, advised=not self._outside.undecided)

    def on_streaming(self) -> None:
        """It may have no end: waiting requests do not wait for that."""
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
            # Nor may a cache downstream keep it longer than the application allows.
            self._reply(response, headers, self._keeping.refuse(objection))
            return
        lines = client_headers(headers, etag, terms)
        if status == PARTIAL and part is not None:
            self._commit_part(response, lines, store, part)
        else:
            self._reply(response, lines, self._keeping.keep(response, store))

    def on_incomplete(self, reason: Reason) -> None:
        """What was held back did not come whole: ask for the whole, or as the client asks."""
        if self._question.asks is Asks.REST:
            self.again = True
        else:
            self._decline(reason, 200)

    def replies(self) -> list[Message]:
        """What the client gets."""
        messages, self._messages = self._messages, []
        return messages

    # What becomes of it.

    def _hurry(self) -> None:
        """The response takes long: waiting requests begin one more run."""
        if not self._flight.answered:
            if self._engine.flights.flies(self._flight):
                self._flight.hurry()
            self._run.publisher.publish([])

    def _reply(
        self,
        response: StoredResponse,
        lines: Headers,
        kept: Slot | Reason,
        fwd_status: int | None = None,
    ) -> None:
        """Prepare what the leader gets."""
        self._messages = self._replies.filled(response, lines, kept, fwd_status)

    def _commit_part(self, newer: StoredResponse, lines: Headers, store: Store, part: Slot) -> None:
        """Keep a part, joined with the one that is stored where they belong together."""
        whole = _joined(response_of(part), newer, self._engine.config.max_entry)
        if self._question.asks is not Asks.REST:
            self._reply(newer, lines, self._keeping.keep(whole, store))
        elif whole.status == 200:
            kept = {name for name, _ in newer.headers} | PART_ONLY
            own = without(end_to_end(lines), kept)
            shown = (*without(whole.headers, {name for name, _ in own}), *own)
            self._reply(whole, shown, self._keeping.keep(whole, store), PARTIAL)
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
        self._run.validated(kept)
        lines = with_own(lines, headers, terms)
        if isinstance(kept, Slot):
            lines = aged(lines, self._engine.clock() - kept.entry.created)
        self._reply(response, lines, kept, fwd_status=304)

    def substitute(self) -> Slot | None:
        """The stale entry, if it may be served in place of a failure."""
        stale, engine = self._stored.stale, self._engine
        if stale is None or not engine.stack.stands_in(stale.entry):
            return None
        return stale

    def stand_in(
        self, stale: Slot, *, status: int | None = None, error: BaseException | None = None
    ) -> None:
        """Answer all requests with the stale entry, in place of this status or exception."""
        name, route = self._request.label, self._request.plan.resolved.label
        if self._background:
            self._engine.events.refresh_failed(name, f"it answered {status}", route)
        else:
            report_stand_in(self._engine, self._flight, name, error, route)
        self._run.stood_in(error)
        self._run.answered(StaleStored(stale, status))
        self.outcome = Outcome.STALE
        self._run.led(Outcome.STALE)
        self._messages = self._replies.in_place(stale, Reason.STALE_IF_ERROR, status=status)


def _joined(stored: StoredResponse, newer: StoredResponse, limit: int) -> StoredResponse:
    """A part with the one that is stored; itself, if they do not belong together."""
    joined = combine(Part(stored.headers, stored.body), Part(newer.headers, newer.body))
    if joined is None or len(joined.body) > limit:
        return newer
    headers = without(joined.headers, {AGE})
    return replace(newer, status=joined.status, headers=headers, body=joined.body)
