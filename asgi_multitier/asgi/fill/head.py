"""A HEAD that the application answers as one.

Its answer may renew what is stored (RFC 9111 §4.3.5). Other requests of the same kind that wait
meanwhile get the answer too, where a GET's answer with these field lines would be shared. A HEAD
needs no more than the head, so they get it as soon as it is there, and nothing of it is stored.
"""

from ..._types import Headers, Message, Scope
from ...engine.engine import Engine
from ...engine.flights import Flight
from ...engine.runs import Run
from ...entry import Slot, Variants
from ...policy.headers import end_to_end, with_length
from ...policy.reasons import Reason
from ...policy.storing import Store
from ...policy.validation import HeadVerdict, head_updates, is_held, not_modified_headers
from ..entries import objection_of
from ..framework import FILL_KEY
from ..layers import Outside
from ..replay import response_messages
from ..request import Request
from .answers import Answer
from .keeping import Keeping
from .question import WHOLE, StoredCandidates, response_of, scope_for_app


class Head:
    """A HEAD that the application answers: what it means for what is stored, and for waiting HEADs.

    Args:
        engine: The cache.
        request: The HEAD.
        flight: One of its own, begun before the application is asked: for what is stored.
        shared: The flight of HEADs that wait for the same answer; None if this one is asked alone.
        stale: What is stored, if anything is.
        marker: What is known of the URL's variants.

    Attributes:
        scope: The request as the application gets it.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        flight: "Flight[Answer]",
        *,
        shared: "Flight[Answer] | None" = None,
        stale: Slot | None,
        marker: Variants | None,
    ) -> None:
        self._engine = engine
        self._request = request
        self._stale = StoredCandidates(stale).permitted(engine.index).stale
        self._asked_at = engine.wall()
        self._shared = shared
        self._outside = Outside(request.scope, request.common)
        policy, tally = request.plan.policy, request.plan.tally
        own = Run(engine, flight, policy, tally)
        self._keeping = Keeping(engine, request, own, marker)
        for_all = Run(engine, shared or flight, policy, tally)
        self._sharing = Keeping(engine, request, for_all, marker)
        self.scope: Scope = (
            request.scope if shared is None else self._outside.watch(self._for_all())
        )

    def _for_all(self) -> Scope:
        """The request with what its key covers: its answer is for others too."""
        whole = scope_for_app(self._request, WHOLE, background=False)
        return {**whole, "method": "HEAD", FILL_KEY: self._engine}

    def on_response(self, status: int, headers: Headers) -> list[Message]:
        """Take the start of the application's answer.

        Args:
            status: The status code.
            headers: The field lines, normalised.

        Returns:
            What the client gets in its place: 304, if it has the response already and was not
            asked for with its conditions; nothing, if it gets the application's own.
        """
        if self._shared is None and (self._stale is None or status != 200):
            return []
        chosen = self._request.confirms(self.scope)
        if chosen and status == 200:
            self._learn(headers)
        if self._shared is None:
            return []
        self._outside.publish(self.scope)
        self._share(self._shared, status, headers, chosen=chosen)
        return self._not_modified(status, headers)

    def _learn(self, headers: Headers) -> None:
        """Renew what is stored, or drop it, by the application's answer."""
        stale, request = self._stale, self._request
        if stale is None:
            return
        stored, terms = response_of(stale), request.plan.terms
        lines = head_updates(
            with_length(stored.status, stored.headers, len(stored.body)),
            headers,
            terms,
            received=self._engine.wall(),
            stored_status=stored.status,
            head_status=200,
        )
        if lines is HeadVerdict.OUTDATED:
            self._engine.stack.forget_soon(stale.entry.key)
        elif not isinstance(lines, HeadVerdict):
            self._keeping.freshen(stored, lines, self._asked_at)

    def _share(
        self, shared: "Flight[Answer]", status: int, headers: Headers, *, chosen: bool
    ) -> None:
        """Answer the waiting HEADs: with this answer, or that each is to ask alone."""
        shared.begin()
        objection = objection_of(self._outside, self._request, self.scope)
        if not chosen:
            objection = Reason.MISMATCH
        verdict = objection or self._sharing.judge(status, headers, self._asked_at)
        if isinstance(verdict, Store):
            self._sharing.share_head(status, verdict)
        else:
            self._sharing.release(verdict, status)

    def _not_modified(self, status: int, headers: Headers) -> list[Message]:
        request = self._request
        if not is_held(request.headers, status, headers, self._engine.wall()):
            return []
        return response_messages(304, not_modified_headers(request.told(end_to_end(headers))))
