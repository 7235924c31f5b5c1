"""What the client hears whose request opened the flight, `Cache-Status` included."""

from dataclasses import dataclass

from ..._types import Headers, Message
from ...engine.engine import Engine
from ...entry import Slot, StoredResponse
from ...policy import cache_status
from ...policy.cache_status import Forward
from ...policy.headers import end_to_end
from ...policy.reasons import Reason
from ...policy.storing import client_headers
from ...policy.validation import is_held, not_modified_headers
from ..replay import aged, answer, ttl_of
from ..request import Request
from .question import response_of


@dataclass(frozen=True, slots=True)
class Leader:
    """The request that a run answers, and how.

    Attributes:
        engine: The cache.
        request: The request.
        forward: Why it goes forward.
        detail: What says more about that.
    """

    engine: Engine
    request: Request
    forward: Forward
    detail: Reason | None

    def filled(
        self,
        response: StoredResponse,
        lines: Headers,
        kept: Slot | Reason,
        fwd_status: int | None = None,
    ) -> list[Message]:
        """What the run brought.

        Args:
            response: The response.
            lines: The field lines that this client is to get.
            kept: Where it is stored, or why it is not.
            fwd_status: The origin's own status, where this client gets another.
        """
        if isinstance(kept, Reason):
            member = cache_status.forwarded(self.forward, fwd_status=fwd_status, detail=kept)
        else:
            member = cache_status.forwarded(
                self.forward,
                stored=True,
                fwd_status=fwd_status,
                ttl=ttl_of(kept.entry, self.engine.clock()),
                detail=self.detail,
            )
        return self._answer(response, lines, member, self.engine.wall())

    def found(self, slot: Slot) -> list[Message]:
        """What another process's run has brought."""
        ttl = ttl_of(slot.entry, self.engine.clock())
        member = cache_status.forwarded(self.forward, collapsed=True, stored=True, ttl=ttl)
        return self._from(slot, member)

    def stood_in(self, slot: Slot, fwd_status: int | None) -> list[Message]:
        """A stale entry, in place of the origin's failure: its status, None if it has raised."""
        member = cache_status.forwarded(
            self.forward,
            fwd_status=fwd_status,
            ttl=ttl_of(slot.entry, self.engine.clock()),
            detail="stale-if-error",
        )
        return self._from(slot, member)

    def passed(self, headers: Headers, reason: Reason) -> Headers:
        """The field lines of a response that is this client's alone."""
        member = cache_status.forwarded(self.forward, detail=reason)
        return cache_status.appended(self.request.told(headers), member)

    def not_modified(self, status: int, headers: Headers) -> list[Message]:
        """The answer to a client that has this response already; nothing, if it has not."""
        if not is_held(self.request.headers, status, headers, self.engine.wall()):
            return []
        member = cache_status.forwarded(self.forward, fwd_status=status, detail=self.detail)
        told = self.request.told(end_to_end(headers))
        lines = cache_status.appended(not_modified_headers(told), member)
        return [
            {"type": "http.response.start", "status": 304, "headers": list(lines)},
            {"type": "http.response.body", "body": b""},
        ]

    def streamed(self, headers: Headers, *, advised: bool) -> Headers:
        """The field lines of a response that is sent on while it comes.

        Args:
            headers: Those of the application.
            advised: Whether its client is told how long to keep it, as it is sure to be for all.
        """
        terms = self.request.plan.terms
        return cache_status.appended(
            self.request.told(client_headers(headers, None, terms) if advised else headers),
            cache_status.forwarded(self.forward, detail=self.detail),
        )

    def _from(self, slot: Slot, member: bytes) -> list[Message]:
        response = response_of(slot)
        age = self.engine.clock() - slot.entry.created
        lines = aged(response.headers, age)
        return self._answer(response, lines, member, self.engine.wall() - age)

    def _answer(
        self, response: StoredResponse, lines: Headers, member: bytes, received: float
    ) -> list[Message]:
        return list(
            answer(
                response,
                self.request.told(lines),
                member,
                method=self.request.method,
                request_headers=self.request.headers,
                received=received,
                now=self.engine.wall(),
            )
        )
