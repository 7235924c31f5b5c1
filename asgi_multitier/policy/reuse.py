"""May a stored response answer this request now (RFC 9111 §4)?

A fresh hit under a rule that ignores the directives of requests needs none of this: it compares
`now` with `fresh_until`. Times are readings of one clock, in seconds.
"""

from enum import StrEnum
from typing import NamedTuple

from ..entry import Entry
from .cache_control import CacheControl
from .reasons import Reason
from .status_codes import NEGATIVE, ORIGIN_FAILURES


class Use(StrEnum):
    """What may be done with a stored response."""

    FRESH = "fresh"
    """Serve it."""

    STALE = "stale"
    """Serve it although it is stale: the client accepts that (`max-stale`)."""

    STALE_WHILE_REVALIDATE = "stale-while-revalidate"
    """Serve it, and renew it in the background."""

    VALIDATE = "validate"
    """Send a request to the origin first, conditional if it has validators."""

    GONE = "gone"
    """Treat it as not stored."""


class Decision(NamedTuple):
    """What may be done, and why it is not simply served."""

    use: Use
    reason: Reason | None = None


def assess(entry: Entry, *, now: float, request: CacheControl | None = None) -> Decision:
    """Decide how a stored response may be used.

    Args:
        entry: The stored response.
        now: The clock's reading.
        request: The request's directives where the rule honours them, else None.

    Returns:
        The use; the reason is given for all but FRESH.
    """
    if now >= entry.keep_until:
        return Decision(Use.GONE, Reason.STALE)
    fresh = now < entry.fresh_until
    if request is not None:
        if request.no_store:
            return Decision(Use.GONE, Reason.REQUEST_NO_STORE)
        if objection := _objection(request, entry, now):
            # A stale response is validated because it is stale, whatever the request says.
            return Decision(Use.VALIDATE, objection if fresh else Reason.STALE)
    if entry.always_validate:
        return Decision(Use.VALIDATE, Reason.NO_CACHE)
    if fresh:
        return Decision(Use.FRESH)
    if entry.stale_allowed and now < entry.fresh_until + entry.stale_while_revalidate:
        return Decision(Use.STALE_WHILE_REVALIDATE, Reason.STALE)
    tolerated = request.max_stale if request is not None else None
    if tolerated is not None and entry.stale_allowed and now <= entry.fresh_until + tolerated:
        return Decision(Use.STALE, Reason.STALE)
    return Decision(Use.VALIDATE, Reason.STALE)


def _objection(request: CacheControl, entry: Entry, now: float) -> Reason | None:
    """Why the request's directives do not accept the stored response (RFC 9111 §5.2.1)."""
    if request.no_cache:
        return Reason.REQUEST_NO_CACHE
    fresh = now < entry.fresh_until
    # RFC 8246 §2: what does not change while it is fresh is of any age.
    if request.max_age is not None and not (entry.immutable and fresh):
        tolerated = 0 if fresh else request.max_stale or 0
        if request.max_age == 0 or now - entry.created > request.max_age + tolerated:
            return Reason.REQUEST_MAX_AGE
    if request.min_fresh is not None and entry.fresh_until - now < request.min_fresh:
        return Reason.REQUEST_MIN_FRESH
    return None


def usable_on_error(entry: Entry, now: float) -> bool:
    """Whether a stored response may be served in place of a failing origin's (RFC 5861 §4)."""
    return now < min(entry.keep_until, entry.fresh_until + entry.stale_if_error)


def is_origin_failure(status: int) -> bool:
    """Whether a status of the origin counts as an error that a stale response may replace."""
    return status in ORIGIN_FAILURES


def displaces(status: int) -> bool:
    """Whether a response that cannot be stored removes the stored one all the same.

    A stored response is kept while the origin fails or refuses this one client (RFC 9111 §4.3.3
    leaves that to the cache). A newer one, or one that says that there is none, removes it.
    """
    return status in NEGATIVE or (200 <= status < 400 and status not in (206, 304))
