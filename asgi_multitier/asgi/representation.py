"""Which representation of a stored response a request gets: in which content coding.

Three ways lead here: the prepared answer of a plain hit, that to a request with conditions, and
what leaves the layers of the application for a guarded request. All ask `Request.codings` what the
request accepts, and `Encodings.find` what is there; so does a plain hit of a guarded route, for
which `guarded.replay` has what was prepared.
"""

from math import inf

from msgspec.structs import replace

from .._types import Headers
from ..engine.encodings import InCoding
from ..engine.engine import Engine
from ..entry import Slot, StoredResponse
from ..policy.encoded import coding_held, encoded_etag, encoded_headers, is_encodable
from ..policy.validation import not_modified
from .replay import Replay, prepare
from .request import Request


def prepared(engine: Engine, request: Request, slot: Slot, level: int) -> Replay | None:
    """The answer to a request without conditions, ready to be sent; None if there is none.

    Args:
        engine: The cache.
        request: The request.
        slot: What is stored for it.
        level: Of the tier that it was found in.
    """
    own = prepare(slot, request.plan.terms, level)
    codings = request.codings
    found = engine.encodings.find(slot, codings, request.plan.terms) if codings and own else None
    return own if own is None or found is None else encoded_replay(found, own)


def encoded_replay(found: InCoding, own: Replay) -> Replay:
    """What was found in a coding, ready to be sent, once it is renewed.

    Args:
        found: The content.
        own: The response without a coding, ready to be sent.
    """
    replay: Replay | None = found.encoded.replay
    if replay is None:
        replay = found.encoded.replay = own.encoded(found.coding, found.body)
    return replay


def represented(
    engine: Engine,
    request: Request,
    response: StoredResponse,
    lines: Headers,
    slot: Slot | None,
) -> tuple[StoredResponse, Headers]:
    """The response and the field lines of the representation that a request gets.

    If the client says that it has one that it accepts, it is that one, so that a 304 confirms it;
    else the preferred one of those that are there.

    Args:
        engine: The cache.
        request: The request.
        response: The response as it is stored, was made just now, or has left the application.
        lines: The field lines that this client would get with it.
        slot: Where it is stored with this content; None if that is not known, or it was made just
            now.
    """
    codings, terms = request.codings, request.plan.terms
    if not codings or not is_encodable(response.headers, terms.targeted):
        return response, lines
    found = None if slot is None else engine.encodings.find(slot, codings, terms)
    held = coding_held(request.headers, response.etag, codings)
    if held is not None:
        confirmed = replace(response, etag=_tag(response, held))
        now = engine.wall()
        if not_modified(request.headers, confirmed, date=inf, now=now):
            return confirmed, encoded_headers(lines, held, 0)  # nothing is said of its length
    if found is None:
        return response, lines
    encoded = replace(response, body=found.body, etag=_tag(response, found.coding))
    return encoded, encoded_headers(lines, found.coding, len(found.body))


def _tag(response: StoredResponse, coding: bytes) -> bytes | None:
    return None if response.etag is None else encoded_etag(response.etag, coding)
