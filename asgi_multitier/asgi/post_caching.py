"""The answer to a POST that says what a GET of the same URL would bring (RFC 9110 §9.3.3).

A POST invalidates its own URL twice: before its response leaves and when the application returns.
Its own answer is not what it invalidates, so it is born again each time, in the same moment, as
long as it was valid up to then. It stays in this process: another one could not tell on which side
of the invalidation it was born.
"""

from collections.abc import Sequence
from dataclasses import replace

from .._types import Headers, Message, Receive, Scope, Send
from ..coherence.log import Operation
from ..engine.engine import Engine
from ..entry import StoredResponse
from ..manager.invalidation import Begin
from ..policy.headers import with_length, without
from ..policy.invalidation import Target
from ..policy.reasons import Reason
from ..policy.storing import Store, judge
from ..selectors import Selector
from .capture import Capture, Client
from .entries import entry_of, objection_of, seed_of
from .layers import Outside
from .replay import AGE
from .request import Request


class Posted:
    """One POST whose answer may be kept: an application around the application.

    Args:
        engine: The cache.
        request: The request, with the primary key that a GET of its URL has.
        target: Its URL.
        begin: Puts an invalidation into force.
        name, tags: What the response is called.
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
        self._closing: list[Message] = []

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
        slot = engine.stack.local.get(entry.key)
        operation = self._begin(selectors)
        self._entry = replace(entry, born=engine.index.born())
        if self._kept and self._valid and slot is not None and slot.entry is entry:
            engine.stack.keep(self._entry)
        return operation

    # What the capture asks.

    def judge(self, status: int, headers: Headers) -> Store | Reason:
        """May the answer be kept for those who ask by GET?"""
        if not 200 <= status < 300:
            # A failure says nothing of what a GET would bring, whatever it says of itself.
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
        self._engine.events.refused[reason] += 1
        return self._request.told(headers)

    def opening(self, headers: Headers) -> Headers:
        """It is sent on while it comes."""
        return self._request.told(headers)

    def streams(self) -> None:
        """More is to come: nobody waits for it."""

    def commit(self, store: Store, status: int, headers: Headers, body: bytes) -> None:
        """It is complete."""
        response = StoredResponse(
            status=status,
            headers=with_length(status, without(store.headers, {AGE}), len(body)),
            body=body,
            etag=store.etag,
            last_modified=store.last_modified,
        )
        plan = self._request.plan
        self._entry = entry_of(self._entry, response, store, plan, self._engine.clock())
        own = not self._valid or self._objection() is not None
        self._kept = not own and self._engine.stack.keep(self._entry) is not None
        self._engine.events.fills += self._kept
        start: Message = {
            "type": "http.response.start",
            "status": status,
            "headers": list(self._request.told(headers)),
        }
        self._closing = [start, {"type": "http.response.body", "body": body}]

    def closing(self) -> list[Message]:
        """The answer, unchanged."""
        return self._closing

    def spoilt(self, reason: Reason) -> None:
        """Never: nothing is held back."""

    def declines(self, reason: Reason, status: int, headers: Headers) -> bool:  # noqa: ARG002
        """Never: the application was asked what its client asked."""
        return False

    def spared(self, status: int, headers: Headers) -> list[Message]:  # noqa: ARG002
        """Nothing: conditions of a POST are the application's."""
        return []
