"""A HEAD that the application answers: it may speak of what is stored (RFC 9111 §4.3.5)."""

from collections.abc import Callable

from .._types import Headers, Scope
from ..coalescing import Flight
from ..engine import Engine
from ..entry import Slot, StoredResponse, Variants
from ..plan import Plan
from ..policy.headers import first
from ..policy.validation import HeadVerdict, head_updates
from ..request import Request
from .answers import Answer
from .keeping import Keeping
from .question import Stock, response_of
from .sharing import Sharing


class Head:
    """What is stored for a URL, while the application answers a HEAD of it.

    Args:
        engine: The cache.
        request: The HEAD.
        flight: One of its own, begun before the application is asked.
        stale: What is stored, if anything is.
        marker: What is known of the URL's variants.
        on_chosen: Takes the scope when the application has answered; whether the router chose
            the endpoint whose rule this is.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        flight: "Flight[Answer]",
        *,
        stale: Slot | None,
        marker: Variants | None,
        on_chosen: Callable[[Plan, Scope], bool],
    ) -> None:
        self._engine = engine
        self._request = request
        self._stale = Stock(stale).permitted(engine.index).stale
        self._on_chosen = on_chosen
        self._asked_at = engine.wall()
        self._keeping = Keeping(engine, request, flight, Sharing(engine.stack), marker)

    def learn(self, status: int, headers: Headers) -> None:
        """Renew what is stored, or drop it, by what the application says of it."""
        stale, request = self._stale, self._request
        if stale is None or status != 200 or not self._on_chosen(request.plan, request.scope):
            return
        stored, terms = response_of(stale), request.plan.terms
        lines = head_updates(
            _with_length(stored),
            headers,
            terms,
            received=self._engine.wall(),
            stored_status=stored.status,
            head_status=status,
        )
        if lines is HeadVerdict.OUTDATED:
            self._engine.stack.forget_soon(stale.entry.key)
        elif not isinstance(lines, HeadVerdict):
            self._keeping.freshen(stored, lines, self._asked_at)


def _with_length(stored: StoredResponse) -> Headers:
    """The stored field lines, which tell the length of the content one way or the other."""
    if first(stored.headers, b"content-length") is not None:
        return stored.headers
    return (*stored.headers, (b"content-length", b"%d" % len(stored.body)))
