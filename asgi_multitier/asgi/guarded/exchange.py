"""One request of a guarded route: from its arrival to what the framework gets.

The middleware lets the request pass, and sets it into a context variable. When the framework has
let it in, the function around the endpoint calls `takes` and `answer`. A plain hit is answered
there; everything else is the story of any other request (`asgi.exchange`), in a task of its own,
with the endpoint as its origin.
"""

import asyncio
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Iterable
from typing import Any

from ..._types import Header, Message, Receive, Send
from ...coherence.index import Index
from ...config.policy import Policy
from ...engine.engine import Engine
from ...entry import Born, Slot, StoredResponse
from ...policy.headers import joined
from ...policy.reasons import Reason
from ...policy.request import Field
from ...policy.storing import Store, client_headers, etag_of, judge
from ...policy.validation import unconditional
from ...routing.endpoints import Call
from ...routing.guarded import arrived
from ..exchange import Exchange
from ..replay import PARTIAL, hit_line
from ..request import Request
from .leaving import Leaving, Shown
from .made import OWN_FIELDS, Aside, Made, made_of, plain_response, status_for
from .naming import key_of, labels_of
from .origin import EndpointOrigin
from .sink import Sink
from .watched import takes_request, watched


class GuardedRequest(Request):
    """A guarded request as the story of any request knows it: for the whole answer.

    Args:
        request: The request as it came.
        origin: Its endpoint.
        key: Its primary key.
        born: The position in the log at its arrival: dependencies have read since.
        labels: The name and the tags of the response.
    """

    __slots__ = ("_born", "_labels", "_origin")

    foreground = True

    def __init__(
        self,
        request: Request,
        origin: EndpointOrigin,
        key: str,
        born: Born,
        labels: tuple[str, tuple[str, ...]],
    ) -> None:
        found = {field: lines for field, lines in request.found.items() if field in _KEPT}
        scope = {**request.scope, "method": "GET"}
        super().__init__(
            scope, found, request.plan, request.table, origin, lambda _: True, request.common
        )
        self._headers = unconditional(request.headers)
        self.plain = False
        self.primary = key
        self._born = born
        self._origin = origin
        self._labels = labels

    def name_and_tags(self) -> tuple[str, tuple[str, ...]] | None:
        """As rendered with the endpoint's arguments."""
        return self._labels

    def born(self, index: Index) -> Born:  # noqa: ARG002
        """That of its arrival."""
        return self._born

    def objection(self) -> Reason | None:
        """Why the answer is its client's alone, as the run of the endpoint has shown."""
        return self._origin.objection


_KEPT = frozenset((Field.CACHE_CONTROL, Field.PRAGMA, Field.FORWARDED, Field.ORIGIN))
"""What of a request's fields may choose another answer; its guard has seen the credentials."""


class GuardedExchange:
    """One request of a guarded route, and its answer.

    Args:
        engine: The cache.
        request: The request.
        send: The client's channel.
    """

    def __init__(self, engine: Engine, request: Request, send: Send) -> None:
        self._engine = engine
        self._request = request
        self._plan = request.plan
        self._policy = request.plan.policy
        self._tally = request.plan.tally
        self._born = engine.index.born()
        self._armed = True
        self.reason: Reason | None = Reason.GUARD
        self.origin: EndpointOrigin | None = None
        self.task: asyncio.Task[None] | None = None
        self.sink: Sink | None = None
        self._leaving = Leaving(engine, request, self, send)

    # At the edge of the application.

    async def run(self, receive: Receive) -> None:
        """Let the framework answer, and see what leaves.

        Raises:
            Exception: What the application has raised, unless something stale stands in.
        """
        token = arrived.set(self)
        try:
            await self._request.app(self._leaving.scope, receive, self._leaving.send)
        except Exception:
            if not await self._leaving.replaced():
                raise
        finally:
            arrived.reset(token)
            self._end()
        await self._leaving.finish()
        if self.task is not None:
            # Its answer is sent; what is left is to count it, and to tell other processes.
            await asyncio.wait({self.task})
        if self.reason is not None:
            self._request.confirms(self._leaving.scope)

    def _end(self) -> None:
        if self.reason is not None:
            self._tally.passed(self.reason)
        if self.origin is not None and self.task is not None:
            if not self.origin.answered:
                # It waits for no answer any more, and gives none: another request leads.
                self.task.cancel()
            self.origin.abandon()

    # Called by the function around the endpoint.

    def takes(self, policy: Policy, call: Call) -> bool:
        """Whether this call is the one that the request is for."""
        planned = self._plan.resolved.policy
        if not self._armed or planned is not policy or call.request is None:
            return False
        scope, own = call.request.scope, self._request.scope
        self._armed = False
        same: bool = scope["path"] == own["path"] and scope["query_string"] == own["query_string"]
        if not same:
            self.reason = Reason.MISMATCH
        return same

    async def answer(self, call: Call) -> Any:
        """The response: a stored one, or what the endpoint returns.

        Raises:
            Exception: What the endpoint has raised.
        """
        if loop_here() is None:
            self.reason = Reason.EVENT_LOOP
            return await call.run()
        key = await key_of(self._engine, self._request, call)
        if key is None:
            self.reason = Reason.PARTITION
            return await call.run()
        slot = self._engine.stack.peek(key)
        if slot is not None and self._is_plain(slot):
            self.reason = None
            self._tally.hit(1)
            return self._stored(call, slot)
        return await self._ask(call, key)

    # What is stored.

    def _is_plain(self, slot: Slot) -> bool:
        """Whether it may be served without further checks."""
        entry = slot.entry
        return (
            isinstance(entry.payload, StoredResponse)
            and entry.payload.status != PARTIAL
            and entry.is_current(self._engine.clock())
            and self._request.directives is None
        )

    def _stored(self, call: Call, slot: Slot) -> Any:
        entry, clock = slot.entry, self._engine.clock()
        response = entry.payload
        assert isinstance(response, StoredResponse)  # noqa: S101  # `_is_plain` has seen it
        age = clock - entry.created
        member = hit_line(int(entry.fresh_until - entry.created) - int(age), 1)[1]
        shown = Shown(response.body, age, member, slot)
        return self._response(call, response.status, response.headers, shown)

    def _response(self, call: Call, status: int, lines: Iterable[Header], given: Shown) -> Any:
        """A response for the framework, with what dependencies have set for this request."""
        self._leaving.show(given)
        own = [line for line in lines if line[0] != OWN_FIELDS]
        if call.response is not None and len(own) == len(list(lines)):
            aside = Aside(call.response)
            if aside.lines:
                own = list(joined(tuple(own), aside.lines))
            status = status_for(call, status, aside)
        return plain_response(status, own, given.body)

    # The rest.

    async def _ask(self, call: Call, key: str) -> Any:
        """Ask as any other request does, with the endpoint as the origin."""
        labels = labels_of(self._engine, self._request, call)
        if isinstance(labels, Reason):
            self.reason = labels
            return await call.run()
        self.reason = None
        origin = self.origin = EndpointOrigin(self._engine.config.max_entry)
        request = GuardedRequest(self._request, origin, key, self._born, labels)
        sink = self.sink = Sink()
        story = Exchange(self._engine, request, _never, sink)
        task = self.task = asyncio.create_task(story.run(), name="asgi-multitier guarded")
        task.add_done_callback(_retrieved)
        await asyncio.wait({task, origin.wanted}, return_when=asyncio.FIRST_COMPLETED)
        if origin.wanted.done() and not sink.complete:
            return await self._lead(call, origin, key)
        if (error := task.exception()) is not None:
            raise error
        if not sink.complete:
            # The cache was closed meanwhile, or the story has broken off.
            self.reason = Reason.UNSTABLE
            return await call.run()
        return self._told(call, sink)

    def _told(self, call: Call, sink: Sink) -> Any:
        """What the story has brought from elsewhere, as a response for the framework."""
        shown = Shown(sink.body, sink.age, sink.member)
        return self._response(call, sink.status, sink.own_lines, shown)

    async def _lead(self, call: Call, origin: EndpointOrigin, key: str) -> Any:
        """Call the endpoint in this request, for all that wait."""
        called = call
        if self._policy.guarded is True and self._policy.vary_by is None and takes_request(call):
            made = watched(call, self._request.common, self._engine.config.credentials)
            if made is None:
                origin.doubtful = True
            else:
                called, origin.watched = made
        aside = Aside(call.response)
        with self._engine.flights.running_for(key):
            async with asyncio.timeout(self._policy.hard_timeout):
                made_here = await made_of(called, await called.run())
        return self._made(call, made_here, aside, origin)

    def _made(self, call: Call, made: Made, aside: Aside, origin: EndpointOrigin) -> Any:
        """What the framework gets of the endpoint's own response."""
        shown = list(made.lines)
        status = made.status
        if made.joins:
            shown = list(joined(tuple(shown), aside.lines)) if aside.lines else shown
            status = status_for(call, status, aside)
        elif made.body is not None or made.streams:
            made.lines.append((OWN_FIELDS, b"1"))
        background = getattr(made.response, "background", None)
        if made.body is None:
            if made.streams:
                response = made.response
                response.raw_headers[:] = shown
                response.body_iterator = origin.heard(response.body_iterator, response.charset)
            self._leaving.lead(made)
            return made.response
        return self._whole(made, status, shown, background)

    def _whole(self, made: Made, status: int, shown: list[Header], background: Any) -> Any:
        verdict = self._verdict(made)
        terms = self._plan.terms
        body = made.body or b""
        if isinstance(verdict, Store):
            etag = etag_of(body) if made.status == 200 else None
            shown = list(client_headers(tuple(shown), etag, terms))
        self._leaving.lead(made)
        return plain_response(status, shown, body, background)

    def _verdict(self, made: Made) -> Store | Reason:
        """Whether it looks as if it will be stored: then hits and this answer look the same."""
        return judge(
            method="GET",
            status=made.status,
            headers=tuple(made.lines),
            request_headers=unconditional(self._request.headers),
            terms=self._plan.terms,
            now=self._engine.wall(),
            request_time=self._engine.wall(),
            origin=self._plan.origin,
        )


async def _never() -> Message:
    """The channel of a request that the framework listens to itself."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError  # it waits until it is cancelled


def _retrieved(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()
