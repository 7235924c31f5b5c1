"""The run of one flight, from its launch to its answer."""

from collections.abc import Callable
from functools import partial

from ..._types import ASGIApp, Scope
from ...engine.coalescing import Flight
from ...engine.engine import Engine
from ...engine.fleet import Claim, run_in_fleet
from ...entry import Slot, Variants
from ...policy.cache_status import Forward
from ...policy.key import storage_key
from ...policy.reasons import Reason
from ..capture import Client
from ..plan import Plan
from ..request import Request
from .answers import Answer, Stored
from .attempt import Attempt
from .keeping import Keeping
from .leader import Leader
from .question import WHOLE, Question, Stock, question_of
from .sharing import Sharing, stored_elsewhere


class Fill:
    """One run of the origin on behalf of the cache.

    Args:
        engine: The cache.
        app: The application.
        request: Whose request opened the flight.
        flight: The flight.
        forward: Why the request goes forward.
        detail: What says more about that, for `Cache-Status`.
        client: Whom the response is for; None for a background refresh.
        stock: What lies here for the request.
        marker: What is known of the URL's variants.
        on_chosen: Takes the scope when the application has answered; whether the router chose
            the endpoint whose rule this is.
        own: Whether the application is asked for no more than the request asks for.
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
        stock: Stock,
        marker: Variants | None,
        on_chosen: Callable[[Plan, Scope], bool],
        own: bool = False,
        fleet: bool = True,
    ) -> None:
        self._engine = engine
        self._request = request
        self._flight = flight
        self._stock = stock
        self._own = own
        self._policy = request.plan.policy
        self._fleet = fleet and self._policy.coalesce == "fleet"
        self._leader = Leader(engine, request, forward, detail)
        self._sharing = Sharing(engine.stack)
        self._keeping = Keeping(engine, request, flight, self._sharing, marker)
        self._new_attempt = partial(
            Attempt,
            engine,
            app,
            request,
            flight,
            client=client,
            leader=self._leader,
            keeping=self._keeping,
            sharing=self._sharing,
            on_chosen=on_chosen,
        )
        self._attempt = self._new_attempt()

    @property
    def started(self) -> bool:
        """Whether the origin has begun to answer."""
        return self._attempt.capture.started

    @property
    def streaming(self) -> bool:
        """Whether the run now serves its client alone."""
        return self._attempt.capture.streaming

    @property
    def declined(self) -> Reason | None:
        """Why the client is to be answered by the application alone, if it is."""
        return self._attempt.declined

    async def run(self) -> None:
        """Answer the flight: by the origin, unless another process is asking it already."""
        engine, flight = self._engine, self._flight
        leases = engine.leases if self._fleet else None
        if leases is None or not engine.stack.has_shared or not engine.flights.flies(flight):
            await self._ask_origin()
            return
        patience = self._policy.coalesce_timeout or engine.config.coalesce_timeout
        name = storage_key(flight.probe.key)
        slot = await run_in_fleet(
            leases,
            name,
            patience,
            self._look_elsewhere,
            self._run_holding,
            turn=flight.turn,
        )
        if slot is not None:
            await self._serve_elsewhere(slot)

    async def _ask_origin(self) -> None:
        """Ask for no more than is needed; for all, if what came does not do."""
        self._stock = self._stock.permitted(self._engine.index)
        await self._attempt.ask(self._question(), self._stock)
        if self._attempt.again:
            self._attempt = self._new_attempt()
            await self._attempt.ask(WHOLE, self._stock)

    def _question(self) -> Question:
        return question_of(self._request, self._stock, own=self._own)

    # In the fleet.

    async def _look_elsewhere(self) -> Slot | None:
        """What another process has stored by now, if it answers this request."""
        key = self._flight.probe.key
        marker, slot = await stored_elsewhere(self._engine, self._request, key)
        if marker is not None:
            self._keeping.marker = marker
        return slot

    async def _run_holding(self, claim: Claim) -> None:
        """Run the origin while the others wait for what it brings."""
        self._flight.renew(self._engine.index)
        self._sharing.hold(claim)
        await self._ask_origin()
        await self._sharing.told()

    async def _serve_elsewhere(self, slot: Slot) -> None:
        """Answer everybody here with what another process's run has brought."""
        self._engine.flights.land(self._flight)
        self._flight.answer(Stored(slot))
        for message in self._leader.found(slot):
            await self._attempt.capture.deliver(message)
