"""How old a response is and how long it is fresh (RFC 9111 §4.2). Moments are Unix seconds.

HTTP dates have whole seconds, so a time is compared with a date after its fraction is cut off: else
a response would be up to a second old when it is made.
"""

import math

from .._types import Headers
from . import headers as fields
from .cache_control import MAX_DELTA, CacheControl, delta_seconds
from .dates import parse_http_date
from .status_codes import HEURISTIC

HEURISTIC_SHARE = 0.1
"""Of the time since the last modification (RFC 9111 §4.2.2)."""

HEURISTIC_MOST = 86400.0
"""Seconds: the longest lifetime that is guessed."""


def age_value(headers: Headers) -> int:
    """The seconds of `Age`: its first member if that is all digits, else 0 (RFC 9111 §5.1)."""
    given = fields.combined(headers, b"age")
    if given is None:
        return 0
    return delta_seconds(given.partition(b",")[0].strip(b" \t")) or 0


def date_value(headers: Headers, received: float) -> float:
    """The moment of `Date`, or that of receipt where it is absent, given twice or not a date."""
    lines = fields.values(headers, b"date")
    moment = parse_http_date(lines[0].strip(b" \t"), received) if len(lines) == 1 else None
    return math.floor(received) if moment is None else moment


def initial_age(headers: Headers, *, now: float, request_time: float) -> float:
    """corrected_initial_age of RFC 9111 §4.2.3: seconds of age at receipt, 0 or more.

    Args:
        headers: Normalised field lines of the response.
        now: When the response was received.
        request_time: When the request was sent.
    """
    apparent_age = max(0.0, math.floor(now) - date_value(headers, now))
    response_delay = max(0.0, now - request_time)
    return max(apparent_age, age_value(headers) + response_delay)


def explicit_lifetime(
    headers: Headers, directives: CacheControl, *, targeted: bool, now: float
) -> float | None:
    """The seconds of freshness that a response states, or None if it states none.

    s-maxage, else max-age, else Expires (RFC 9111 §4.2.1). An `Expires` that is not a date, or
    is given twice, counts as one in the past.

    Args:
        headers: Normalised field lines of the response.
        directives: The directives that govern it.
        targeted: They come from a targeted field: `Expires` does not count (RFC 9213 §2.2).
        now: When the response was received.
    """
    if directives.s_maxage is not None:
        return float(directives.s_maxage)
    if directives.max_age is not None:
        return float(directives.max_age)
    lines = fields.values(headers, b"expires")
    if targeted or not lines:
        return None
    expires = parse_http_date(lines[0].strip(b" \t"), now) if len(lines) == 1 else None
    if expires is None:
        return 0.0
    return min(max(0.0, expires - date_value(headers, now)), float(MAX_DELTA))


def heuristic_lifetime(
    headers: Headers, directives: CacheControl, *, status: int, now: float
) -> float | None:
    """A guess at the seconds of freshness of a response that states none; None if none is made.

    Args:
        headers: Normalised field lines of the response.
        directives: The directives that govern it: `public` allows a guess for any status.
        status: The status code.
        now: When the response was received.
    """
    if status not in HEURISTIC and not directives.public:
        return None
    modified = last_modified_moment(headers, now)
    if modified is None:
        return None
    unchanged = date_value(headers, now) - modified
    return min(max(0.0, unchanged * HEURISTIC_SHARE), HEURISTIC_MOST)


def last_modified_moment(headers: Headers, now: float) -> float | None:
    """The moment of `Last-Modified`, or None if it is absent or no date."""
    value = fields.first(headers, b"last-modified")
    return None if value is None else parse_http_date(value, now)


def forbids_stale(directives: CacheControl, *, annotated: bool) -> bool:
    """Whether a response forbids its use when stale (RFC 9111 §4.2.4).

    Args:
        directives: The directives that govern the response.
        annotated: An annotation decides the lifetime. It then replaces `s-maxage` with all that it
            implies (§5.2.2.10), and `no-cache`; the two revalidation directives stand.
    """
    if directives.must_revalidate or directives.proxy_revalidate:
        return True
    return not annotated and (directives.s_maxage is not None or directives.no_cache)
