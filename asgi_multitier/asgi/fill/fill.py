"""Fill: the application as the origin of a run, for all requests that ask for the same."""

import asyncio
from contextlib import suppress

from ...engine.engine import Engine
from ...engine.flights import Flight
from ...engine.runs import Run
from ...entry import StoredResponse, Variants
from ...events import Outcome
from ...policy.reasons import Reason
from ...policy.validation import freshen
from ..capture import Capture
from ..client import Client, ClientGone
from ..replay import PARTIAL
from ..replies import Replies
from ..request import Request
from .answers import Answer, Passed, Stored
from .attempt import Attempt
from .keeping import Keeping
from .question import WHOLE, Question, StoredCandidates, question_of, response_of


class Fill:
    """One run of the application on behalf of the cache.

    Args:
        engine: The cache.
        request: Whose request opened the flight.
        flight: The flight; an attribute as well.
        replies: Makes what its client gets.
        client: Its channel; None for a background refresh.
        stored: What is stored for the request.
        marker: What is known of the URL's variants.
        own: Whether the application is asked for no more than the request asks for.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        flight: "Flight[Answer]",
        replies: Replies,
        *,
        client: Client | None,
        stored: StoredCandidates,
        marker: Variants | None,
        own: bool = False,
    ) -> None:
        self._engine = engine
        self._request = request
        self._replies = replies
        self._client = client
        self._stored = stored
        self._own = own
        self._elsewhere = False
        self._validated = False
        self.flight = flight
        self._run: Run[Answer] = Run(engine, flight, request.plan.policy, request.plan.tally)
        self._keeping = Keeping(engine, request, self._run, marker)
        self._attempt: Attempt | None = None
        self._capture: Capture | None = None

    @property
    def started(self) -> bool:
        """Whether the application has begun to answer."""
        return self._capture is not None and self._capture.started

    @property
    def streaming(self) -> bool:
        """Whether the run now serves its client alone."""
        return self._capture is not None and self._capture.streaming

    @property
    def foreground(self) -> bool:
        """Whether its client waits for it in any case."""
        return self._request.foreground

    @property
    def declined(self) -> Reason | None:
        """Why the client is to be answered by the application alone, if it is."""
        return None if self._attempt is None else self._attempt.declined

    @property
    def outcome(self) -> Outcome:
        """How the request that opened the flight was answered."""
        if self._elsewhere:
            return Outcome.COALESCED
        if self._validated:
            return Outcome.VALIDATED
        return Outcome.MISS if self._attempt is None else self._attempt.outcome

    async def answer(self, *, fleet: bool) -> None:
        """Answer the flight and its client.

        Args:
            fleet: Whether there is time to ask other processes first.
        """
        found = await self._run.answer(self, fleet=fleet)
        if isinstance(found, Stored) and self._client is not None:
            self._elsewhere = True
            self._run.led(Outcome.COALESCED)
            with suppress(OSError):
                for message in self._replies.collapsed(found.slot.entry):
                    await self._client.deliver(message)

    async def renew(self) -> None:
        """Answer the flight in the background."""
        await self._run.renew(self, self._request.label, self._request.plan.resolved.label)

    # Called by the run.

    async def ask(self) -> None:
        """Ask for no more than is needed; for all, if what came does not do."""
        if await self._lives_on():
            return
        question = question_of(self._request, self._stored, own=self._own)
        try:
            if (await self._ask(question)).again:
                await self._ask(WHOLE)
        except ClientGone:
            # Of a background run, nothing is lost by that.
            if self._client is not None:
                raise

    async def _lives_on(self) -> bool:
        """Whether the rule's validator says that the stale response still holds: it is the answer.

        What follows is what follows when the application itself says so, by 304.
        """
        engine, request, policy = self._engine, self._request, self._request.plan.policy
        validator, asked_at = policy.validator, engine.wall()
        slot = await self._run.unchanged(
            None if validator is None else lambda: validator(request.view),
            lambda: self._stored.stale,
            policy.hard_timeout,
            request.plan.resolved.label,
        )
        if slot is None:
            # What was invalidated meanwhile stands in for nothing.
            self._stored = self._stored.permitted(engine.index)
            return False
        stored = response_of(slot)
        lines = freshen(stored.headers, (), request.plan.terms, received=engine.wall())
        response, kept = self._keeping.freshen(stored, lines, asked_at, answers=False)
        self._validated = True
        self._run.validated(kept)
        self._run.led(Outcome.VALIDATED)
        if self._client is not None:
            with suppress(OSError):
                for message in self._replies.validated(response, lines, kept):
                    await self._client.deliver(message)
        return True

    async def _ask(self, question: Question) -> Attempt:
        """Ask the application once; unless it is to be asked again, the flight has its answer."""
        engine, request, client = self._engine, self._request, self._client
        attempt = self._attempt = Attempt(
            engine,
            request,
            self._run,
            question,
            self._stored,
            background=client is None,
            replies=self._replies,
            keeping=self._keeping,
        )
        limit, content = engine.config.max_entry, request.content or b""
        capture = self._capture = Capture(attempt, client, limit=limit, content=content)
        hard = request.plan.policy.hard_timeout
        try:
            async with asyncio.timeout(hard) as attempt.deadline, capture:
                await request.app(attempt.scope, capture.receive, capture.send)
        except (Exception, SystemExit) as error:
            if attempt.declined is not None or (attempt.sent_304 and capture.streaming):
                # No client wants the rest, as the application may have found out.
                return attempt
            if isinstance(error, ClientGone):
                raise
            if attempt.deadline is not None and attempt.deadline.expired():
                engine.events.failures["hard-timeout"] += 1
            await self._failed(attempt, capture, error)
            return attempt
        await capture.finish()
        if not (attempt.again or self.flight.answered):
            self._run.refused(Reason.INCOMPLETE)
            self.flight.answer(Passed(Reason.INCOMPLETE))
        return attempt

    async def _failed(self, attempt: Attempt, capture: Capture, error: BaseException) -> None:
        """The application raised: a stale entry stands in for all who were sent nothing.

        A background run has failed then, and requests that wait for it have a stale entry too.

        Raises:
            Exception: The error, for a client that was sent something, or if nothing may stand in.
        """
        may_stand_in = self._client is not None and not capture.streaming
        stale = attempt.substitute() if may_stand_in else None
        if stale is None:
            # What its client would have got without a cache.
            await capture.let_go(lambda lines: self._replies.passed(lines, Reason.INCOMPLETE))
            raise error
        attempt.stand_in(stale, error=error)
        if not capture.silent:
            raise error
        for message in attempt.replies():
            await capture.forward(message)

    async def find_elsewhere(self) -> Stored | None:
        """What another process has stored by now, if it answers this request."""
        stack, key = self._engine.stack, self.flight.seed.key
        found = await stack.fetch(key)
        if found is not None and isinstance(marker := found.slot.entry.payload, Variants):
            self._keeping.marker = marker
            found = await stack.fetch(self._request.variant_key(marker.fields))
        if found is None or not isinstance(response := found.slot.entry.payload, StoredResponse):
            return None
        current = found.slot.entry.is_current(self._engine.clock())
        return Stored(found.slot) if current and response.status != PARTIAL else None
