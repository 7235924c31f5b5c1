"""What is no plain hit: a stored response that needs a closer look, or a run of the endpoint.

It is the story of any other request (`asgi.exchange`), in a task of its own, with the endpoint as
its origin.
"""

import asyncio
from contextlib import nullcontext
from typing import Any

from ..._types import Header, Headers, Message
from ...coherence.index import Index
from ...engine.engine import Engine
from ...entry import Born, Slot
from ...policy.headers import merged
from ...policy.reasons import Reason
from ...policy.request import Field
from ...policy.storing import Store, client_headers, etag_of, judge
from ...policy.validation import unconditional
from ...routing.endpoints import Call
from ..exchange import Exchange
from ..request import Request
from .made import OWN_FIELDS, Aside, Made, Shown, made_of, plain_response, response_for, status_for
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

    @property
    def accepts(self) -> tuple[bytes, ...]:
        """None: the layers of the application get the content as it is stored; see `leaving`."""
        return ()

    def told(self, headers: Headers) -> Headers:
        """As they are: what caches downstream need to know is said where the response leaves."""
        return headers

    def objection(self) -> Reason | None:
        """Why the answer is its client's alone, as the run of the endpoint has shown."""
        return self._origin.objection


_KEPT = frozenset((Field.CACHE_CONTROL, Field.PRAGMA, Field.FORWARDED, Field.ORIGIN))
"""What of a request's fields may choose another answer; its guard has seen the credentials."""


class Miss:
    """One request of a guarded route that no plain hit answers.

    Args:
        engine: The cache.
        request: The request as it came.
        key: Its primary key.
        born: The position in the log at its arrival.
        labels: The name and the tags of its response.

    Attributes:
        origin: Its endpoint as the origin of a run.
        task: The story.
        sink: What the story says.
        made: What the endpoint has returned, if it ran here.
        shown: What the framework has got; None if that comes in chunks, or is not understood.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        key: str,
        born: Born,
        labels: tuple[str, tuple[str, ...]],
    ) -> None:
        self._engine = engine
        self._request = request
        self._key = key
        self._plan = request.plan
        self._policy = request.plan.policy
        self.origin: EndpointOrigin = EndpointOrigin(engine.config.max_entry, engine.events.traces)
        self.sink: Sink = Sink()
        self._own_request = GuardedRequest(request, self.origin, key, born, labels)
        story = Exchange(engine, self._own_request, _never, self.sink)
        self.task = asyncio.create_task(story.run(), name="asgi-multitier guarded")
        self.task.add_done_callback(_retrieved)
        self.made: Made | None = None
        self.shown: Shown | None = None

    @property
    def slot(self) -> Slot | None:
        """Where what the story has answered with is stored; None if that is not known."""
        return self._own_request.slot

    async def is_told(self) -> bool:
        """Wait for what the story asks or says first; False if it has broken off.

        Raises:
            Exception: What has broken it.
        """
        task, wanted = self.task, self.origin.wanted
        await asyncio.wait({task, wanted}, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done() and (error := task.exception()) is not None:
            raise error
        return wanted.done() or self.sink.complete

    async def answer(self, call: Call) -> Any:
        """The response for the framework: of the endpoint, if the story has asked for it.

        Raises:
            Exception: What the endpoint has raised.
        """
        sink = self.sink
        if not sink.complete:
            return await self._lead(call)
        self.shown = Shown(sink.body, sink.age, sink.member)
        return response_for(call, sink.status, sink.own_lines, sink.body)

    def end(self) -> None:
        """The request has ended."""
        if not self.origin.answered:
            # It waits for no answer any more, and gives none: another request leads.
            self.task.cancel()
        self.origin.abandon()

    async def told(self) -> None:
        """Wait until the story has said what became of the endpoint's answer."""
        await asyncio.wait({self.task, self.sink.told}, return_when=asyncio.FIRST_COMPLETED)

    async def counted(self) -> None:
        """Wait until the story is over: its client has the answer, other processes may not."""
        await asyncio.wait({self.task})

    async def _lead(self, call: Call) -> Any:
        """Call the endpoint in this request, for all that wait."""
        called = call
        if self._policy.guarded is True and self._policy.vary_by is None and takes_request(call):
            made = watched(
                call, self._request.common, self._engine.config.credentials, self._request.content
            )
            if made is None:
                self.origin.doubtful = True
            else:
                called, self.origin.watched = made
        aside = Aside(call.response)
        traces = self._engine.events.traces
        inside = nullcontext() if traces is None else traces.within(self.origin.span)
        with inside, self._engine.flights.running_for(self._key):
            async with asyncio.timeout(self._policy.hard_timeout):
                self.made = await made_of(called, await called.run())
        return self._own(call, self.made, aside)

    def _own(self, call: Call, made: Made, aside: Aside) -> Any:
        """What the framework gets of the endpoint's own response."""
        shown = list(made.lines)
        status = made.status
        if made.joins:
            shown = list(merged(tuple(shown), aside.lines)) if aside.lines else shown
            status = status_for(call, status, aside)
        elif made.body is not None or made.streams:
            made.lines.append((OWN_FIELDS, b"1"))
        background = getattr(made.response, "background", None)
        if made.body is None:
            if made.streams:
                response = made.response
                response.raw_headers[:] = shown
                heard = self.origin.heard(response.body_iterator, response.charset)
                response.body_iterator = heard
            return made.response
        return self._whole(made, status, shown, background)

    def _whole(self, made: Made, status: int, shown: list[Header], background: Any) -> Any:
        verdict = self._verdict(made)
        terms = self._plan.terms
        body = made.body or b""
        if isinstance(verdict, Store):
            etag = etag_of(body) if made.status == 200 else None
            shown = list(client_headers(tuple(shown), etag, terms))
        self.shown = Shown(body)
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
