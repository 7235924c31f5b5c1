"""What the client of one request gets from the cache, `Cache-Status` included (RFC 9211).

Messages are made here and sent elsewhere.
"""

from .._types import Header, Headers, Message
from ..engine.engine import Engine
from ..entry import Entry, Slot, StoredResponse
from ..policy import cache_status
from ..policy.cache_status import Forward
from ..policy.headers import end_to_end
from ..policy.reasons import Reason
from ..policy.storing import client_headers
from ..policy.validation import is_held, not_modified_headers
from .replay import aged, answer, response_messages, ttl_of
from .representation import represented
from .request import Request


class Replies:
    """The answers to one request.

    Args:
        engine: The cache.
        request: The request.

    Attributes:
        forward: Why the request goes forward, if it does.
        detail: The `detail` of `Cache-Status`, if any.
    """

    __slots__ = ("_engine", "_request", "detail", "forward")

    def __init__(self, engine: Engine, request: Request) -> None:
        self._engine = engine
        self._request = request
        self.forward: Forward = Forward.URI_MISS
        self.detail: Reason | None = None

    # From the tiers.

    def hit(self, slot: Slot, detail: str) -> list[Message]:
        """A stored entry that may be used as it is."""
        return self._of(slot.entry, cache_status.hit(self._ttl(slot.entry), detail), slot)

    def in_place(
        self, slot: Slot, detail: str, *, status: int | None = None, collapsed: bool = False
    ) -> list[Message]:
        """A stale entry in place of the origin's answer.

        Args:
            slot: The entry.
            detail: Why.
            status: The origin's own status; None if it has raised, or has not answered.
            collapsed: Whether another request's run was waited for.
        """
        member = cache_status.forwarded(
            self.forward,
            fwd_status=status,
            collapsed=collapsed,
            ttl=self._ttl(slot.entry),
            detail=detail,
        )
        return self._of(slot.entry, member, slot)

    def collapsed(self, entry: Entry, *, stored: bool = True) -> list[Message]:
        """What another request's run has brought."""
        member = cache_status.forwarded(
            self.forward, collapsed=True, stored=stored, ttl=self._ttl(entry)
        )
        return self._of(entry, member)

    def validated(
        self, response: StoredResponse, lines: Headers, kept: Slot | Reason
    ) -> list[Message]:
        """What the rule's validator has found unchanged: a hit, unless it could not be kept.

        Args:
            response: The response.
            lines: Its field lines.
            kept: Where it is stored now, or why it is not.
        """
        if isinstance(kept, Reason):
            return self.filled(response, lines, kept, 304)
        return self.hit(kept, Reason.VALIDATED)

    # Of this request's own run.

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
                ttl=self._ttl(kept.entry),
                detail=self.detail,
            )
        return self._answer(response, lines, member, self._engine.wall())

    def passed(self, headers: Headers, reason: Reason) -> Headers:
        """The field lines of a response that is this client's alone."""
        member = cache_status.forwarded(self.forward, detail=reason)
        return cache_status.appended(self._request.told(headers), member)

    def not_modified(self, status: int, headers: Headers) -> list[Message]:
        """The answer to a client that has this response already; nothing, if it has not."""
        if not is_held(self._request.headers, status, headers, self._engine.wall()):
            return []
        member = cache_status.forwarded(self.forward, fwd_status=status, detail=self.detail)
        told = self._request.told(end_to_end(headers))
        lines = cache_status.appended(not_modified_headers(told), member)
        return response_messages(304, lines)

    def streamed(self, headers: Headers, *, advised: bool) -> Headers:
        """The field lines of a response that is sent on while it comes.

        Args:
            headers: Those of the application.
            advised: Whether the client gets a lifetime for it: it is certain that it can be shared.
        """
        terms = self._request.plan.terms
        return cache_status.appended(
            self._request.told(client_headers(headers, None, terms) if advised else headers),
            cache_status.forwarded(self.forward, detail=self.detail),
        )

    # Without one.

    def refused(self, status: int, reason: Reason, *lines: Header) -> list[Message]:
        """An answer of the cache's own, without content."""
        member = cache_status.forwarded(self.forward, detail=reason)
        headers = [(b"content-length", b"0"), *lines, (cache_status.NAME, member)]
        return response_messages(status, headers)

    def _ttl(self, entry: Entry) -> int:
        return ttl_of(entry, self._engine.clock())

    def _of(self, entry: Entry, member: bytes, slot: Slot | None = None) -> list[Message]:
        response = entry.payload
        assert isinstance(response, StoredResponse)  # noqa: S101  # markers were followed
        age = self._engine.clock() - entry.created
        lines = aged(response.headers, age)
        self._request.slot = slot
        return self._answer(response, lines, member, self._engine.wall() - age, slot)

    def _answer(
        self,
        response: StoredResponse,
        lines: Headers,
        member: bytes,
        received: float,
        slot: Slot | None = None,
    ) -> list[Message]:
        request = self._request
        response, lines = represented(self._engine, request, response, request.told(lines), slot)
        return answer(
            response,
            lines,
            member,
            method=request.method,
            request_headers=request.headers,
            received=received,
            now=self._engine.wall(),
        )
