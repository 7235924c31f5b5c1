"""A request that nothing stored answers: it goes forward to the application (RFC 9211 §2.2).

It waits for the run of the application that is under way, or leads one. What cannot be shared is
asked for by this request alone.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from math import ceil

from .._types import Message, Receive, Send
from ..engine.caller import Caller, Lead, StandIn, Step
from ..engine.engine import Engine
from ..engine.flights import Flight
from ..engine.runs import refresh
from ..entry import Entry, Slot, StoredResponse, Variants
from ..events import Outcome
from ..policy import cache_status
from ..policy.cache_status import Forward
from ..policy.personal import RETRY_AFTER
from ..policy.reasons import Reason
from .client import Client
from .entries import seed_of
from .fill import (
    Answer,
    Fill,
    Head,
    HeadAnswer,
    Overtaken,
    Passed,
    Personal,
    StaleStored,
    Stored,
    StoredCandidates,
)
from .leading import lead
from .lookup import LookUp
from .receiving import Presence, from_the_start
from .replies import Replies
from .request import HEAD_MARK, Request
from .sending import observed, with_cache_status, without_content
from .traced import note
from .uses import is_for_a_part, is_own_head, is_range_alone, is_unshared


class ClientLeft(Exception):  # noqa: N818  # an outcome, not a fault
    """The client has left while its request waited: the others go on."""


class Forwarding:
    """How one request gets its answer from the application: one story, from `ask` to the answer.

    Args:
        engine: The cache.
        request: The request.
        receive, send: The client's channel.
        replies: Makes what the client gets.
        look_up: What the request has found in the tiers, and how long that took.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        receive: Receive,
        send: Send,
        *,
        replies: Replies,
        look_up: LookUp,
    ) -> None:
        self._engine = engine
        self._request = request
        self._receive = receive
        self._send = send
        self._replies = replies
        self._look_up = look_up
        self._policy = request.plan.policy
        self._tally = request.plan.tally
        self._caller: Caller[Answer] = Caller(
            engine, self._policy, self._tally, request.label, request.plan.resolved.label
        )
        self._vary: tuple[bytes, ...] = ()
        self._name: tuple[str, tuple[str, ...]] = ("", ())

    async def ask(self, key: str, stale: Slot | None, *, last: bool) -> bool:
        """Answer the request by a run of the application; False if it is worth looking again.

        Args:
            key: The key of the variant that is asked for, as far as that is known.
            stale: A stored entry that may be validated or stand in.
            last: Whether the request does not look in the tiers again.

        Raises:
            ClientLeft: The client has left.
            Exception: What the application has raised.
        """
        directives = self._request.directives
        if directives is not None and directives.only_if_cached:
            await self._gateway_timeout()
            return True
        reason = self._find_name()
        if reason is not None:
            await self.alone(reason)
            return True
        caller = self._caller
        caller.stale = stale
        if is_own_head(self._request) and not self._policy.coalesce:
            await self._head(key)
            return True
        if is_for_a_part(self._request):
            await self._lead(self._engine.flights.apart(self._seed(key)))
            return True
        name = self._flight_key(key)
        if is_unshared(self._request, (key, name), self._engine.flights):
            await self._ask_as_it_came(key)
            return True
        step = caller.join_or_lead(name)
        answer = await self._join(step) if isinstance(step, Flight) else step
        if not isinstance(answer, Lead):
            return await self._take(answer, key, last=last)
        if not is_own_head(self._request):
            await self._lead(caller.open(answer, self._seed(name)))
        elif name == key:
            # It has waited for a GET.
            await self._ask_as_it_came(key)
        else:
            flight = caller.open(answer, self._seed(name))
            flight.led = True
            await self._engine.flights.launch(flight, self._asking_head(key, flight), caller.route)
        return True

    async def _take(self, answer: "Answer | StandIn | Step", key: str, *, last: bool) -> bool:
        """Make the client's answer of a run's; False if it is worth looking again."""
        if isinstance(answer, StandIn):
            await self._stand_in(answer)
        elif answer is Step.NESTED:
            note(self._engine, "pass", reason=Reason.NESTED)
            await self._pass_by(Reason.NESTED)
        elif answer is Step.REFUSED:
            note(self._engine, "pass", reason=Reason.OVERLOADED)
            # RFC 9110 §15.6.4
            seconds = ceil(self._caller.patience.lead or 1)
            after = (RETRY_AFTER, b"%d" % seconds)
            await self._reply(self._replies.refused(503, Reason.OVERLOADED, after))
        elif isinstance(answer, Passed):
            await self._ask_as_it_came(key)
        elif isinstance(answer, Step | Personal):
            return False
        else:
            return await self._take_entry(answer, last=last)
        return True

    async def _take_entry(
        self, answer: "Stored | StaleStored | Overtaken | HeadAnswer", *, last: bool
    ) -> bool:
        """Answer with what another request's run brought, if that answers this one as well."""
        if isinstance(answer, Overtaken):
            # After several times, what was asked for before the last invalidation will do: this
            # request came before it as well.
            if not last:
                return False
            entry = answer.entry
        elif isinstance(answer, HeadAnswer):
            entry, self._vary = answer.entry, answer.fields
        else:
            entry = answer.slot.entry
        if not self._is_for_me(entry):
            return False
        if isinstance(answer, StaleStored):
            self._tally.count(Outcome.STALE)
            why, status = Reason.STALE_IF_ERROR, answer.status
            note(self._engine, "stale", entry, reason=why)
            await self._reply(
                self._replies.in_place(answer.slot, why, status=status, collapsed=True)
            )
            return True
        self._tally.count(Outcome.COALESCED)
        note(self._engine, "coalesced", entry)
        await self._reply(self._replies.collapsed(entry, stored=isinstance(answer, Stored)))
        return True

    async def _stand_in(self, found: StandIn, *, collapsed: bool = True) -> None:
        """Answer with a stale entry; `collapsed` if another request's run was waited for."""
        note(self._engine, "stale", found.slot.entry, reason=found.why)
        if found.why is Reason.OVERLOADED:
            await self._reply(self._replies.hit(found.slot, found.why))
            return
        await self._reply(self._replies.in_place(found.slot, found.why, collapsed=collapsed))

    def _flight_key(self, key: str) -> str:
        """Under which key the request waits for others, or others for it.

        A HEAD that the application answers itself waits for a GET, if there is one that is not
        late; else for another HEAD of what its fields choose, as far as that is known.
        """
        if not is_own_head(self._request):
            return key
        flight = self._engine.flights.find(key)
        if flight is not None and not flight.is_late(self._caller.patience.lead):
            return key
        chosen = self._request.variant_key(self._vary) if self._vary else key
        return f"{chosen}{HEAD_MARK}"

    async def _ask_as_it_came(self, key: str) -> None:
        """Ask for this request alone: what is not shared is asked for with all its fields."""
        if self._request.method == "HEAD":
            await self._head(key)
        elif is_range_alone(self._request):
            await self.alone(Reason.RANGE)
        else:
            await self._lead(self._engine.flights.apart(self._seed(key)), own=True)

    def _find_name(self) -> Reason | None:
        """Find the response's name and tags; why it cannot be given them, or None."""
        try:
            found = self._request.name_and_tags()
        except Exception as error:  # noqa: BLE001  # a callable of the rule
            self._engine.events.callback_failed("tags", error, self._request.plan.resolved.label)
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
            stored=StoredCandidates(self._caller.stale, self._look_up.part),
            marker=self._look_up.marker,
            own=own or is_for_a_part(self._request),
        )

    async def _lead(self, flight: "Flight[Answer]", *, own: bool = False) -> None:
        """Run the application for all that wait; `own`: for no more than this request asks for."""
        send = without_content(self._send) if self._request.method == "HEAD" else self._send
        client = Client(self._receive, send)
        instead = await lead(
            self._engine,
            self._fill(flight, client, own=own),
            client,
            self._caller,
            self._tally,
            fleet=self._look_up.patience > 0,
        )
        if isinstance(instead, StandIn):
            await self._stand_in(instead, collapsed=False)
        elif instead is not None:
            self._receive = self._unread(self._receive)
            await self._pass_by(instead)

    def _unread(self, receive: Receive) -> Receive:
        """A channel of the client, as if nothing had been read from it."""
        return from_the_start(receive, self._request.content or b"")

    async def _join(self, flight: "Flight[Answer]") -> "Answer | Lead[Answer] | StandIn | Step":
        """Wait for a run under way; raises `ClientLeft` once the client is not there any more."""
        presence = Presence(self._receive)
        self._receive = self._unread(presence.receive)
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
        if isinstance(entry.payload, StoredResponse) and request.is_for_others(entry.payload):
            return False
        if entry.key == primary:
            return True
        if self._vary:
            return entry.key == request.variant_key(self._vary)
        slot = self._engine.stack.peek(primary)
        if slot is None or not isinstance(slot.entry.payload, Variants):
            return False
        return entry.key == request.variant_key(slot.entry.payload.fields)

    def refresh(self, slot: Slot) -> None:
        """Renew an entry in the background, if that is not done already and may begin now."""
        if self._find_name() is None:
            self._caller.stale = slot
            route = self._caller.route
            refresh(self._engine, self._seed(slot.entry.key), self._renew, route)

    async def _renew(self, flight: "Flight[Answer]") -> None:
        await self._fill(flight, None).renew()

    # Outside the cache.

    async def alone(self, reason: Reason) -> None:
        """Let the application answer this request by itself."""
        self._passed(reason)
        await self._pass_by(reason)

    def _passed(self, reason: Reason) -> None:
        self._tally.passed(reason)
        note(self._engine, "pass", reason=reason)

    async def _pass_by(self, reason: Reason, head: Head | None = None) -> None:
        member = cache_status.forwarded(self._replies.forward, detail=reason)
        send = with_cache_status(self._send, member, self._request.plan.terms)
        scope = self._request.scope
        if head is not None:
            scope, send = head.scope, observed(send, head.on_response)
        await self._request.app(scope, self._receive, send)

    async def _head(self, key: str) -> None:
        """Let the application answer a HEAD alone."""
        await self._asking_head(key, None)()

    def _asking_head(
        self, key: str, shared: "Flight[Answer] | None"
    ) -> Callable[[], Awaitable[None]]:
        """Count a HEAD; what lets the application answer it may renew what is stored for GET.

        HEADs that wait for the answer are in the flight `shared`.
        """
        head = Head(
            self._engine,
            self._request,
            self._engine.flights.apart(self._seed(key)),
            shared=shared,
            stale=self._caller.stale,
            marker=self._look_up.marker,
        )
        self._passed(Reason.METHOD)
        return partial(self._pass_by, Reason.METHOD, head)

    async def _gateway_timeout(self) -> None:
        """RFC 9111 §5.2.1.7: `only-if-cached`, and nothing stored that would do."""
        self._passed(Reason.ONLY_IF_CACHED)
        self._replies.forward = Forward.REQUEST
        await self._reply(self._replies.refused(504, Reason.ONLY_IF_CACHED))

    async def _reply(self, messages: list[Message]) -> None:
        for message in messages:
            await self._send(message)
