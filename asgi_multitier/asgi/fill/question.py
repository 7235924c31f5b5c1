"""What the application is asked: with what is stored for the request, and what its key covers."""

from enum import Enum, auto

import msgspec

from ..._types import Headers, Scope
from ...coherence.index import Index
from ...entry import Slot, StoredResponse
from ...policy.headers import without
from ...policy.ranges import rest_of
from ...policy.request import Field
from ...policy.storing import etag_of
from ...policy.terms import Terms
from ...policy.validation import DIRECTIVES, unconditional, validators
from ..request import Request


class StoredCandidates(msgspec.Struct, frozen=True):
    """What is stored for a request and does not answer it by itself.

    Attributes:
        stale: An entry that may be validated or stand in.
        part: A stored part.
    """

    stale: Slot | None = None
    part: Slot | None = None

    def permitted(self, index: Index) -> "StoredCandidates":
        """Without what was invalidated since it was found: a run is born after that."""
        return StoredCandidates(_permitted(self.stale, index), _permitted(self.part, index))


def _permitted(slot: Slot | None, index: Index) -> Slot | None:
    return slot if slot is not None and index.permits(slot.entry) else None


class Asks(Enum):
    """What is asked for besides the request itself."""

    NOTHING = auto()
    """All of the answer, to be shared."""

    OWN = auto()
    """What its own range and conditions say: the answer is not for others."""

    VALIDATION = auto()
    REST = auto()
    """Of a stored part (RFC 9111 §3.4)."""


class Question(msgspec.Struct, frozen=True):
    """What the application is asked.

    Attributes:
        asks: What for.
        fields: The field lines that say so.
    """

    asks: Asks = Asks.NOTHING
    fields: Headers = ()


WHOLE = Question()
"""All of the answer."""

_OWN = Question(Asks.OWN)


def question_of(request: Request, stored: StoredCandidates, *, own: bool) -> Question:
    """Ask for less than the whole, if that can be.

    Args:
        request: The request.
        stored: What is stored for it.
        own: Whether it is for this request only.
    """
    asks, fields = Asks.NOTHING, WHOLE.fields
    if stored.part is not None and Field.RANGE not in request.found:
        asks, fields = Asks.REST, rest_of(response_of(stored.part).headers)
    elif request.method == "POST":
        pass  # an application refuses one whose condition does not hold (RFC 9110 §13.1.2)
    elif stored.stale is not None and isinstance(stored.stale.entry.payload, StoredResponse):
        asks = Asks.VALIDATION
        fields = _conditions(stored.stale.entry.payload, request.plan.terms)
    if fields:
        return Question(asks, fields)
    return _OWN if own else WHOLE


def _conditions(stored: StoredResponse, terms: Terms) -> Headers:
    """The conditions for a validation; the origin knows no entity tag of the cache's own."""
    etag = stored.etag
    if terms.annotated and etag == etag_of(stored.body):
        etag = None
    return validators(etag, stored.last_modified)


def scope_for_app(request: Request, question: Question, *, background: bool) -> Scope:
    """The request as the application gets it: with what the key covers, and whole.

    Requests with a condition, for a part or by HEAD are answered out of the whole response, which
    is shared.

    Args:
        request: The request.
        question: What is asked for.
        background: Whether no client is to get the answer.
    """
    scope = dict(request.scope)
    headers = request.headers
    scope["method"] = request.asked_by
    if question.asks is not Asks.OWN:
        headers = unconditional(headers)
    if background:
        headers = without(headers, DIRECTIVES)
    scope["headers"] = [*headers, *question.fields]
    if request.plan.query is not None:
        scope["query_string"] = request.plan.query
    if extensions := scope.get("extensions"):
        hidden = ("http.response.pathsend", "http.response.zerocopysend")
        scope["extensions"] = {k: v for k, v in extensions.items() if k not in hidden}
    return scope


def response_of(slot: Slot) -> StoredResponse:
    """The stored response; markers were followed."""
    response = slot.entry.payload
    assert isinstance(response, StoredResponse)  # noqa: S101  # markers were followed
    return response
