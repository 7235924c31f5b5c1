"""The answer to a POST that is also what a GET of the same URL would bring (RFC 9110 §9.3.3).

A POST invalidates its own URL twice: before its response leaves and when the application returns.
Its own answer is not what it invalidates, so the entry takes a newer birth each time, in the same
moment, if it was valid up to then. The entry stays in this process: another process could not tell
on which side of the invalidation it was born.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from .._types import Headers, Message, Receive, Scope, Send
from ..coherence.log import Operation
from ..engine.engine import Engine
from ..manager.invalidation import Begin
from ..policy.invalidation import Target
from ..policy.reasons import Reason
from ..policy.storing import Store, judge
from ..selectors import Selector
from .capture import Capture, ResponseHandler
from .client import Client
from .entries import UnfitTags, entry_of, objection_of, seed_of
from .fill import as_stored
from .layers import Outside
from .replay import response_messages
from .request import Request


class PostCaching(ResponseHandler):
    """One POST whose answer may be kept: an application around the application.

    Args:
        engine: The cache.
        request: The request, with the primary key that a GET of its URL has.
        target: Its URL.
        begin: Puts an invalidation into force.
        name, tags: The name and tags of the response.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        target: Target,
        begin: Begin,
        name: str,
        tags: tuple[str, ...],
    ) -> None:
        self._begin = begin
        self._engine = engine
        self._request = request
        self._target = target
        self._asked_at = engine.wall()
        self._entry = seed_of(engine, request, request.primary, name, tags)
        self._outside = Outside(request.scope, request.common)
        self._kept = False
        self._valid = True
        self._messages: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and keep its answer if it may be kept."""
        limit = self._engine.config.max_entry
        capture = Capture(self, Client(receive, send), limit=limit)
        try:
            async with capture:
                await self._request.app(self._outside.watch(scope), receive, capture.send)
            await capture.finish()
        finally:
            self._outside.leave(scope)

    def begin(self, selectors: Sequence[Selector]) -> Operation:
        """Put the request's invalidation into force, and let its own answer outlive it."""
        engine, entry = self._engine, self._entry
        self._valid = self._valid and engine.index.permits(entry)
        slot = engine.stack.find(entry.key)
        operation = self._begin(selectors)
        self._entry = replace(entry, born=engine.index.born())
        if self._kept and self._valid and slot is not None and slot.entry is entry:
            engine.stack.keep(self._entry)
        return operation

    # Called by the capture.

    def judge(self, status: int, headers: Headers) -> Store | Reason:
        """May the answer be kept for later GETs?"""
        if not 200 <= status < 300:
            # A failure does not show what a GET would bring, whatever its fields say.
            return Reason.STATUS
        if (objection := self._objection()) is not None:
            return objection
        verdict = judge(
            method="POST",
            status=status,
            headers=headers,
            request_headers=self._request.headers,
            terms=self._request.plan.terms,
            now=self._engine.wall(),
            request_time=self._asked_at,
            target=self._target,
            origin=(self._target.scheme, self._target.host),
        )
        if isinstance(verdict, Store) and verdict.vary:
            # What selects a representation for GET may stand in no POST.
            return Reason.VARIANTS
        return verdict

    def _objection(self) -> Reason | None:
        return objection_of(self._outside, self._request, self._request.scope)

    def pass_on(self, reason: Reason, status: int, headers: Headers) -> Headers:  # noqa: ARG002
        """The answer is its client's alone, as usual."""
        self._engine.events.not_stored(reason, self._request.plan.resolved.label)
        return self._request.told(headers)

    def stream_headers(self, headers: Headers) -> Headers:
        """It is sent on while it comes."""
        return self._request.told(headers)

    def commit(self, store: Store, status: int, headers: Headers, body: bytes) -> None:
        """It is complete."""
        response = as_stored(status, store.headers, body, store.last_modified)
        self._messages = response_messages(status, self._request.told(headers), body)
        plan, events = self._request.plan, self._engine.events
        try:
            self._entry = entry_of(self._entry, response, store, plan, self._engine.clock())
        except UnfitTags as unfit:
            if isinstance(unfit.__cause__, Exception):
                events.callback_failed("tags_from", unfit.__cause__, plan.resolved.label)
            events.not_stored(Reason.TAGS, plan.resolved.label)
            return
        own = not self._valid or self._objection() is not None
        self._kept = not own and self._engine.stack.keep(self._entry) is not None
        events.fills += self._kept

    def replies(self) -> list[Message]:
        """The answer, unchanged."""
        return self._messages
