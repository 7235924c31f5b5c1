"""Validators, both ways: 304 to a client, and conditional requests to the origin.

RFC 9110 §8.8 and §13, RFC 9111 §4.3. Entity tags are compared as they are: a malformed one equals
only itself.
"""

import re
from enum import Enum, auto
from math import inf

from .._types import Headers
from ..entry import StoredResponse
from . import headers as fields
from .cache_control import governing
from .dates import DATE, format_http_date, parse_http_date
from .personal import own_names
from .terms import Terms

IF_NONE_MATCH = b"if-none-match"
IF_MODIFIED_SINCE = b"if-modified-since"

NOT_FORWARDED = frozenset((IF_NONE_MATCH, IF_MODIFIED_SINCE, b"if-range", b"range"))
"""Fields removed from a request whose response is to be stored whole, for all clients."""

DIRECTIVES = frozenset((b"cache-control", b"pragma"))
"""Directives of a client to caches."""

_ORIGIN_ONLY = frozenset((b"if-match", b"if-unmodified-since"))
_ENTITY_TAG = re.compile(rb'(?:W/)?"([^"]*)"')
_BEFORE = re.compile(rb"[ \t,]*(?:W/)?")
_AFTER = re.compile(rb"[ \t]*(?:,|\Z)")

_NOT_IN_304 = frozenset(
    b"content-length content-type content-encoding content-language content-range content-md5"
    b" content-digest repr-digest digest accept-ranges".split()
)
"""Metadata of a representation that the client already has (RFC 9110 §15.4.5)."""

_NOT_UPDATED = fields.CONTENT_DIGESTS | {
    b"content-length",
    b"content-encoding",
    b"content-range",
    b"repr-digest",
    b"digest",
}
"""Fields that describe the stored bytes, which an update does not change (RFC 9111 §3.2).

A layer that adds digests adds that of empty content to a 304.
"""


def is_conditional(request_headers: Headers) -> bool:
    """Whether the request carries a condition that a cache evaluates."""
    return any(name in (IF_NONE_MATCH, IF_MODIFIED_SINCE) for name, _ in request_headers)


def is_for_origin(request_headers: Headers) -> bool:
    """Whether it carries a condition that only the origin evaluates (RFC 9111 §4.3.2)."""
    return any(name in _ORIGIN_ONLY for name, _ in request_headers)


def unconditional(request_headers: Headers) -> Headers:
    """The request's field lines without those on which a shared response cannot depend."""
    return fields.without(request_headers, NOT_FORWARDED)


def not_modified(
    request_headers: Headers, stored: StoredResponse, *, date: float, now: float
) -> bool:
    """Whether a stored response answers this GET or HEAD with 304 (RFC 9111 §4.3.2).

    `If-None-Match` is compared weakly and replaces `If-Modified-Since` (RFC 9110 §13.2.2). Linear
    in the request's fields.

    Args:
        request_headers: Field lines of the request, lower-case names.
        stored: The response; only a success that is whole can be "not modified".
        date: Unix seconds of the stored `Date`, or of its receipt; it is used where there is no
            Last-Modified.
        now: Unix seconds.
    """
    if not 200 <= stored.status < 300 or stored.status == 206:
        return False
    listed = fields.combined(request_headers, IF_NONE_MATCH)
    if listed is not None:
        return _is_listed(listed.strip(b" \t"), stored.etag)
    since = _single_date(request_headers, IF_MODIFIED_SINCE, now)
    if since is None:
        return False
    given = stored.last_modified
    modified = None if given is None else parse_http_date(given, now)
    return (date if modified is None else modified) <= since


def names_tag(request_headers: Headers, etag: bytes) -> bool:
    """Whether `If-None-Match` lists this entity tag, by weak comparison (RFC 9110 §13.1.2)."""
    listed = (fields.combined(request_headers, IF_NONE_MATCH) or b"").strip(b" \t")
    return listed != b"*" and _is_listed(listed, etag)


def is_held(request_headers: Headers, status: int, headers: Headers, now: float) -> bool:
    """Whether the client of this GET or HEAD already has a response that is not stored.

    Only the response's own validators count: it has no date of receipt to use instead.

    Args:
        request_headers: Field lines of the request, lower-case names.
        status: The response's status.
        headers: Its field lines, normalised.
        now: Unix seconds.
    """
    own = [fields.first(headers, name) for name in (b"etag", b"last-modified")]
    response = StoredResponse(status, headers, b"", *own)
    return not_modified(request_headers, response, date=inf, now=now)


def _single_date(headers: Headers, name: bytes, now: float) -> float | None:
    lines = fields.values(headers, name)
    return parse_http_date(lines[0].strip(b" \t"), now) if len(lines) == 1 else None


def _is_listed(listed: bytes, etag: bytes | None) -> bool:
    if listed == b"*":
        return True
    if etag is None:
        return False
    if listed == etag:
        return True
    tag = _ENTITY_TAG.fullmatch(etag)
    if tag is None:
        return etag in [member.strip(b" \t") for member in listed.split(b",")]
    return _is_member(listed, b'"%b"' % tag[1])


def _is_member(listed: bytes, quoted: bytes) -> bool:
    """Whether a list of tags holds this one, strong or weak.

    A tag contains no quotes, so quotes open and close in turn: a match is a tag if an even number
    of them precedes it. Searching and counting in C reads ten thousand tags in a millisecond.
    """
    quotes = counted = 0
    at = listed.find(quoted)
    while at >= 0:
        quotes += listed.count(b'"', counted, at)
        counted = at
        before = listed[listed.rfind(b'"', 0, at) + 1 : at]
        if quotes % 2 == 0 and _BEFORE.fullmatch(before) and _AFTER.match(listed, at + len(quoted)):
            return True
        at = listed.find(quoted, at + 1)
    return False


def not_modified_headers(headers: Headers) -> Headers:
    """The field lines of a 304, from those of the stored response (RFC 9110 §15.4.5)."""
    return fields.without(headers, _NOT_IN_304)


def validators(etag: bytes | None, last_modified: bytes | None) -> Headers:
    """The conditions by which the origin validates a stored response (RFC 9111 §4.3.1).

    They replace those of the client: first `unconditional`, then these.
    """
    lines = []
    if etag is not None:
        lines.append((IF_NONE_MATCH, etag))
    if last_modified is not None:
        lines.append((IF_MODIFIED_SINCE, last_modified))
    return tuple(lines)


def selects(stored: Headers, update: Headers) -> bool:
    """Whether a 304 is about this stored response (RFC 9111 §4.3.4).

    It is the answer to the stored response's own validators, so it is unless it names only others.
    *Deliberate*: where one of the two is confirmed and the other is new, the update counts; the
    origin said that the content is the same.
    """
    confirmed = [
        fields.first(stored, name) == given
        for name in (b"etag", b"last-modified")
        if (given := fields.first(update, name)) is not None
    ]
    return any(confirmed) or not confirmed


def freshen(stored: Headers, update: Headers, terms: Terms, *, received: float) -> Headers:
    """The stored field lines, updated with those of a 304 or of a HEAD response (RFC 9111 §3.2).

    Fields of one connection, those that the update has for its own client and those that describe
    the stored bytes are not taken over. `Age` and `Date` of the stored response are removed: they
    are about the exchange in which it was received. An update without a `Date` gets the time of its
    receipt where the stored response has one (RFC 9110 §6.6.1).

    Args:
        stored: The field lines of the stored response.
        update: Those of the response to the validation, normalised.
        terms: The rule's terms.
        received: Unix seconds at which the update arrived.

    Returns:
        The lines to judge and to store again. Their `Vary` may have changed.
    """
    newer = fields.end_to_end(update, also=_NOT_UPDATED | _own_names(update, terms))
    names = {name for name, _ in newer}
    if DATE not in names and fields.first(stored, DATE) is not None:
        newer = (*newer, (DATE, format_http_date(received)))
    return (*fields.without(stored, names | {b"age", DATE}), *newer)


def with_own(lines: Headers, update: Headers, terms: Terms) -> Headers:
    """Updated field lines, as sent to the client whose request caused the validation.

    Args:
        lines: What `freshen` has made.
        update: The field lines of the response to the validation, normalised.
        terms: The rule's terms.
    """
    own = _own_names(update, terms)
    given = tuple(line for line in fields.end_to_end(update) if line[0] in own)
    return (*fields.without(lines, {name for name, _ in given}), *given)


def _own_names(update: Headers, terms: Terms) -> frozenset[bytes]:
    """The names of the fields that an update has for its own client."""
    directives, _ = governing(update, terms.targeted)
    names = {*directives.no_cache_fields, *directives.private_fields, *terms.strip}
    if not terms.set_cookie:
        names.add(b"set-cookie")
    return own_names(update, terms.keep) | names - _NOT_UPDATED


class HeadVerdict(Enum):
    """What a HEAD response says about the stored response to GET, where it does not update it."""

    NOTHING = auto()
    OUTDATED = auto()


def head_updates(
    stored: Headers,
    head: Headers,
    terms: Terms,
    *,
    received: float,
    stored_status: int,
    head_status: int,
) -> Headers | HeadVerdict:
    """The stored response to GET, updated with a HEAD response's field lines (RFC 9111 §4.3.5).

    Both are 200. Another validator or length shows that the stored response is out of date. Only an
    equal validator shows that it is not: two contents may have the same length.

    Args:
        stored: The field lines of the stored response.
        head: Those of the response to HEAD, normalised.
        terms: The rule's terms.
        received: Unix seconds at which the response to HEAD arrived.
        stored_status: The stored status.
        head_status: The status of the response to HEAD.
    """
    if head_status != 200:
        return HeadVerdict.NOTHING
    if stored_status != 200:
        return HeadVerdict.OUTDATED
    same = {
        name: fields.first(stored, name) == given
        for name in (b"etag", b"last-modified", b"content-length")
        if (given := fields.first(head, name)) is not None
    }
    if not all(same.values()):
        return HeadVerdict.OUTDATED
    if same.keys() <= {b"content-length"}:
        return HeadVerdict.NOTHING
    return freshen(stored, head, terms, received=received)
