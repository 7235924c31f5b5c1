"""Fill: the application as the origin of a run, for everybody who asks for the same."""

from ...engine.engine import Engine
from ...engine.flights import Flight
from ...engine.runs import Run
from ...entry import StoredResponse, Variants
from ...events import Outcome
from ...policy.reasons import Reason
from ..capture import Client, Unheard
from ..replay import PARTIAL
from ..replies import Replies
from ..request import Request
from .answers import Answer, Stored
from .attempt import Attempt
from .keeping import Keeping
from .question import WHOLE, StoredCandidates, question_of


class Fill:
    """One run of the application on behalf of the cache.

    Args:
        engine: The cache.
        request: Whose request opened the flight.
        flight: The flight.
        replies: What its client hears.
        client: Its channel; None for a background refresh.
        stored: What lies here for the request.
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
        self._run: Run[Answer] = Run(engine, flight, request.plan.policy)
        self._keeping = Keeping(engine, request, self._run, marker)
        self._attempt = self._new_attempt()
        self._elsewhere = False

    def _new_attempt(self) -> Attempt:
        return Attempt(
            self._engine,
            self._request,
            self._run,
            client=self._client,
            replies=self._replies,
            keeping=self._keeping,
        )

    @property
    def started(self) -> bool:
        """Whether the application has begun to answer."""
        return self._attempt.capture.started

    @property
    def streaming(self) -> bool:
        """Whether the run now serves its client alone."""
        return self._attempt.capture.streaming

    @property
    def declined(self) -> Reason | None:
        """Why the client is to be answered by the application alone, if it is."""
        return self._attempt.declined

    @property
    def outcome(self) -> Outcome:
        """How the request that opened the flight was answered."""
        return Outcome.COALESCED if self._elsewhere else self._attempt.outcome

    async def answer(self, *, fleet: bool) -> None:
        """Answer the flight and its client.

        Args:
            fleet: Whether there is time to ask other processes first.
        """
        found = await self._run.answer(self, fleet=fleet)
        if isinstance(found, Stored):
            self._elsewhere = True
            for message in self._replies.collapsed(found.slot.entry):
                await self._attempt.capture.deliver(message)

    async def renew(self) -> None:
        """Answer the flight in the background."""
        await self._run.renew(self, self._request.label)

    # What the run asks.

    async def ask(self) -> None:
        """Ask for no more than is needed; for all, if what came does not do."""
        self._stored = self._stored.permitted(self._engine.index)
        question = question_of(self._request, self._stored, own=self._own)
        try:
            await self._attempt.ask(question, self._stored)
            if self._attempt.again:
                self._attempt = self._new_attempt()
                await self._attempt.ask(WHOLE, self._stored)
        except Unheard:
            # Of a background run, nothing is lost by that.
            if self._client is not None:
                raise

    async def find_elsewhere(self) -> Stored | None:
        """What another process has stored by now, if it answers this request."""
        stack, key = self._engine.stack, self._run.flight.seed.key
        found = await stack.fetch(key)
        if found is not None and isinstance(marker := found.slot.entry.payload, Variants):
            self._keeping.marker = marker
            found = await stack.fetch(self._request.variant_key(marker.fields))
        if found is None or not isinstance(response := found.slot.entry.payload, StoredResponse):
            return None
        current = found.slot.entry.is_current(self._engine.clock())
        return Stored(found.slot) if current and response.status != PARTIAL else None
