"""May this response be stored, and on what terms (RFC 9111 §3)?

Only its own client gets a response unless `judge` returned a `Store` for it.
"""

from hashlib import blake2b

import msgspec

from .._types import Headers
from . import headers as fields
from .cache_control import CacheControl, governing, of_request, parse
from .content import WITH_CONTENT
from .dates import parse_http_date
from .freshness import age_value, explicit_lifetime, forbids_stale, heuristic_lifetime, initial_age
from .invalidation import Target, group_tags, of_origin, resolved
from .personal import exchange_names, is_proof
from .ranges import content_range
from .reasons import Reason
from .status_codes import ANNOTATED, HEURISTIC, NEGATIVE, UNDERSTOOD
from .terms import Terms
from .vary import MAX_NAMES, selecting_fields

ON_ERROR = 3600.0
"""Seconds of `Terms.stale_on_error=True`."""

KEEP_AT_LEAST = 3600.0
KEEP_AT_MOST = 86400.0
"""Seconds: between them, what can be validated is kept stale as long as it was fresh."""


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """How a response may be stored and used. Times are seconds.

    Attributes:
        lifetime: For how long it is fresh, counted from when it was generated: its age counts
            against it.
        age: Its age when it was received (RFC 9111 §4.2.3, corrected_initial_age).
        stale_while_revalidate: For how long after that it may be served while it is renewed.
        stale_if_error: For how long after that it may replace the response of a failing origin.
        stale_allowed: It does not forbid being used when stale.
        always_validate: It is never used without validation (`no-cache`).
        keep_for_validation: For how long it can be validated, counted from the end of its
            freshness or from receipt, whichever is later; 0 if it has no validator.
        immutable: It does not change while it is fresh (RFC 8246).
        vary: The request fields that chose it, lower-case, sorted.
        headers: The field lines to store.
        tags: Its cache groups as tags (RFC 9875).
        etag: The value of its `ETag`, as it is.
        last_modified: The value of its `Last-Modified`, as it is, if that is a date.
    """

    lifetime: float
    age: float
    stale_while_revalidate: float
    stale_if_error: float
    stale_allowed: bool
    always_validate: bool
    keep_for_validation: float
    immutable: bool
    vary: tuple[bytes, ...]
    headers: Headers
    tags: tuple[str, ...]
    etag: bytes | None
    last_modified: bytes | None


def judge(
    *,
    method: str,
    status: int,
    headers: Headers,
    request_headers: Headers,
    terms: Terms,
    now: float,
    request_time: float,
    target: Target | None = None,
    origin: tuple[str, bytes] | None = None,
) -> Store | Reason:
    """Decide about one response.

    Args:
        method: The request's method.
        status: The response's status code.
        headers: The response's field lines, normalised, as the application sent them.
        request_headers: The request's field lines, lower-case names.
        terms: The rule's terms.
        now: Unix seconds at which the response's header arrived.
        request_time: Unix seconds at which the request was sent.
        origin: The scheme and host of the request; its cache groups are also tags of that origin.
        target: The request's URL: without it no answer to a POST is stored for GET in `from_origin`
            mode.

    Returns:
        How to store it, or the first reason not to.
    """
    if reason := fields.invalid_reason(headers, terms.header_limit):
        return reason
    directives, targeted = governing(headers, terms.targeted)
    storable = _storable(headers, directives, terms)
    reason = (
        _unfit_exchange(method, status, headers, terms)
        or _forbidden(directives, status, request_headers, terms)
        # Under an annotation the stricter of the two fields counts.
        or (
            targeted and terms.annotated and _forbidden_too(headers, status, request_headers, terms)
        )
        or _unshareable(directives, storable, request_headers, terms)
    )
    if reason:
        return reason
    vary = selecting_fields(headers)
    if vary is None:
        return Reason.VARY_STAR
    if len(vary) > MAX_NAMES:
        return Reason.VARY_NAMES
    explicit = explicit_lifetime(headers, directives, targeted=targeted, now=now)
    if method == "POST" and not terms.annotated:
        if explicit is None:
            return Reason.NO_FRESHNESS
        if not terms.body and not _names_target(headers, target):
            return Reason.CONTENT_LOCATION
    etag, last_modified = stored_validators(headers, now)
    # A POST has no conditions by which it could be validated (RFC 9110 §13.1.2).
    asks_again = method == "POST" and terms.body
    validates = (etag is not None or last_modified is not None) and not asks_again
    lifetime = _annotated_lifetime(status, terms)
    if lifetime is not None:
        age = float(age_value(headers))
    else:
        lifetime = explicit
        if lifetime is None and not terms.annotated:
            lifetime = _implied_lifetime(headers, directives, status, terms, now, validates)
        if lifetime is None:
            return Reason.STATUS if terms.annotated else Reason.NO_FRESHNESS
        age = initial_age(headers, now=now, request_time=request_time)
    stale_allowed = not forbids_stale(directives, annotated=terms.annotated)
    while_revalidate, if_error = _stale_windows(directives, terms) if stale_allowed else (0.0, 0.0)
    keep = kept_for_validation(lifetime) if validates else 0.0
    always_validate = directives.no_cache and not terms.annotated
    if always_validate and not keep:
        return Reason.NO_CACHE
    if not keep and lifetime + max(while_revalidate, if_error) <= age:
        return Reason.STALE
    return Store(
        lifetime=lifetime,
        age=age,
        stale_while_revalidate=while_revalidate,
        stale_if_error=if_error,
        stale_allowed=stale_allowed,
        always_validate=always_validate,
        keep_for_validation=keep,
        immutable=directives.immutable,
        vary=vary,
        headers=storable,
        tags=_tags(headers, origin),
        etag=etag,
        last_modified=last_modified,
    )


def kept_for_validation(lifetime: float) -> float:
    """Seconds past its freshness that something is kept which can be validated."""
    return min(max(lifetime, KEEP_AT_LEAST), KEEP_AT_MOST)


def _tags(headers: Headers, origin: tuple[str, bytes] | None) -> tuple[str, ...]:
    """The cache groups as tags: by name, for the manager's calls, and by name and origin."""
    groups = group_tags(headers, b"cache-groups")
    return groups if origin is None else (*groups, *of_origin(groups, *origin))


def _storable(headers: Headers, directives: CacheControl, terms: Terms) -> Headers:
    """The field lines that other clients may get."""
    named = (*directives.no_cache_fields, *directives.private_fields, *terms.strip)
    return fields.end_to_end(headers, also=(*named, *exchange_names(headers, terms.keep)))


def stored_validators(headers: Headers, now: float) -> tuple[bytes | None, bytes | None]:
    """The `ETag` as it is, and the `Last-Modified` as it is if it is a date (RFC 9110 §8.8)."""
    last_modified = fields.first(headers, b"last-modified")
    if last_modified is not None and parse_http_date(last_modified, now) is None:
        last_modified = None
    return fields.first(headers, b"etag"), last_modified


def _unfit_exchange(method: str, status: int, headers: Headers, terms: Terms) -> Reason | None:
    """Why the method, the status or the kind of content forbids storing."""
    by_content = terms.body and method in WITH_CONTENT
    if method != "GET" and not by_content and not (method == "POST" and terms.post):
        return Reason.METHOD
    if status < 200 or status == 304:
        return Reason.STATUS
    if status == 206:
        # A POST or QUERY with a range bypasses the cache, so no part answers one.
        part = content_range(headers) if terms.partial and not by_content else None
        if part is None or fields.content_length(headers) not in (None, part.length):
            return Reason.PARTIAL
    if fields.is_event_stream(headers):
        return Reason.EVENT_STREAM
    if (fields.content_length(headers) or 0) > terms.max_entry:
        return Reason.OVERSIZED
    return None


def _forbidden(
    directives: CacheControl, status: int, request_headers: Headers, terms: Terms
) -> Reason | None:
    """Why the directives forbid storing."""
    if directives.must_understand and status not in UNDERSTOOD and status != 206:
        return Reason.NOT_UNDERSTOOD
    # Where the status is understood, must-understand overrides no-store (RFC 9111 §5.2.2.3).
    if directives.no_store and not directives.must_understand:
        return Reason.NO_STORE
    if directives.private:
        return Reason.PRIVATE
    if terms.honor_request_directives and of_request(request_headers).no_store:
        return Reason.REQUEST_NO_STORE
    return None


def _forbidden_too(
    headers: Headers, status: int, request_headers: Headers, terms: Terms
) -> Reason | None:
    """Why `Cache-Control` forbids storing where a targeted field replaces it."""
    directives = parse(fields.values(headers, b"cache-control"))
    return _forbidden(directives, status, request_headers, terms)


def _unshareable(
    directives: CacheControl, storable: Headers, request_headers: Headers, terms: Terms
) -> Reason | None:
    """Why the request or the response is for one client only.

    `Set-Cookie` and its like are looked for in what would be stored: with `private="set-cookie"`
    and `strip` the client keeps its cookie and the rest is stored.
    """
    if not terms.set_cookie and any(name == b"set-cookie" for name, _ in storable):
        return Reason.SET_COOKIE
    if any(is_proof(*line) and line[0] not in terms.keep for line in storable):
        return Reason.PERSONAL_FIELD
    if terms.authorized or not any(name == b"authorization" for name, _ in request_headers):
        return None
    return None if _is_for_all(directives) else Reason.AUTHORIZATION


def _is_for_all(directives: CacheControl) -> bool:
    """Whether a response may be shared although a request carries `Authorization` (§3.5)."""
    return directives.public or directives.must_revalidate or directives.s_maxage is not None


def may_answer_authorized(headers: Headers, terms: Terms) -> bool:
    """Whether a stored response answers requests with `Authorization` too.

    *Deliberate*: RFC 9111 §3.5 is about responses to such a request. A response to a request
    without credentials may be wrong for one with them, too.

    Args:
        headers: The stored field lines.
        terms: The rule's terms.
    """
    return _is_for_all(governing(headers, terms.targeted)[0])


def _annotated_lifetime(status: int, terms: Terms) -> float | None:
    if not terms.annotated:
        return None
    if status in ANNOTATED or status == 206:
        return terms.lifetime
    return terms.negative if status in NEGATIVE else None


def _implied_lifetime(
    headers: Headers,
    directives: CacheControl,
    status: int,
    terms: Terms,
    now: float,
    validates: bool,
) -> float | None:
    """The lifetime of a response that states none: a guess if allowed, 0 for `no-cache`."""
    if terms.heuristics:
        guess = heuristic_lifetime(headers, directives, status=status, now=now)
        if guess is not None:
            return guess
    if directives.no_cache and validates and (status in HEURISTIC or directives.public):
        return 0.0
    return None


def _stale_windows(directives: CacheControl, terms: Terms) -> tuple[float, float]:
    """Seconds of stale-while-revalidate and of stale-if-error."""
    on_error = ON_ERROR if terms.stale_on_error is True else _seconds(terms.stale_on_error)
    while_revalidate, if_error = terms.stale_while_revalidate, terms.stale_if_error
    if not terms.annotated:
        if directives.stale_while_revalidate is not None:
            while_revalidate = directives.stale_while_revalidate
        if directives.stale_if_error is not None:
            if_error = directives.stale_if_error
    return _seconds(while_revalidate), max(_seconds(if_error), on_error)


def _seconds(span: float | None) -> float:
    """The span as a number; none is one object for all entries."""
    return float(span) if span else 0.0


def _names_target(headers: Headers, target: Target | None) -> bool:
    """Whether `Content-Location` says that this is a representation of the target."""
    location = fields.first(headers, b"content-location")
    return target is not None and location is not None and resolved(location, target) == target


def etag_of(body: bytes) -> bytes:
    """A strong entity tag made from the content."""
    return b'"' + blake2b(body, digest_size=16).hexdigest().encode("ascii") + b'"'


def retagged(headers: Headers, made_of: bytes, body: bytes, status: int) -> Headers:
    """The field lines with a validator that fits the content, where a layer has changed that.

    Args:
        headers: The field lines of a response.
        made_of: The content that the application made.
        body: The content that leaves.
        status: The status code.
    """
    if body == made_of or fields.first(headers, b"etag") != etag_of(made_of):
        return headers
    own = ((b"etag", etag_of(body)),) if status == 200 else ()
    return (*fields.without(headers, {b"etag"}), *own)


def client_headers(headers: Headers, etag: bytes | None, terms: Terms) -> Headers:
    """The field lines, with `Cache-Control` and `ETag` added where an annotated route sets none.

    Without `Cache-Control` and `Expires` a client is told to validate each time, so that an
    invalidation takes effect at once, or to keep the response for `client_cache` seconds.

    Args:
        headers: The field lines to store.
        etag: An entity tag to add where there is none; None adds none.
        terms: The rule's terms. Nothing is added in `from_origin` mode.
    """
    if not terms.annotated:
        return headers
    names = {name for name, _ in headers}
    added: list[tuple[bytes, bytes]] = []
    if b"cache-control" not in names and b"expires" not in names:
        advice = b"no-cache" if terms.client_cache is None else b"max-age=%d" % terms.client_cache
        added.append((b"cache-control", advice))
    if etag is not None and b"etag" not in names:
        added.append((b"etag", etag))
    return (*headers, *added)
