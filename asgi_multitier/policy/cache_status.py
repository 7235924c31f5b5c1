"""`Cache-Status` (RFC 9211): what this cache did with a request, in a form that machines read."""

from enum import StrEnum

from .._types import Headers
from .reasons import Reason

NAME = b"cache-status"
CACHE = b"asgi-multitier"
"""How this cache names itself in the field."""


class Forward(StrEnum):
    """Why a request went forward to the application (RFC 9211 §2.2)."""

    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    VARY_MISS = "vary-miss"
    MISS = "miss"
    REQUEST = "request"
    STALE = "stale"
    PARTIAL = "partial"


def hit(ttl: float, detail: str | None = None) -> bytes:
    """The member for a response from the cache.

    Args:
        ttl: Seconds of freshness that are left, negative if stale; fractions are cut off.
        detail: A token such as the tier that held it.
    """
    member = b"%b; hit; ttl=%d" % (CACHE, ttl)
    return member if detail is None else member + b"; detail=" + detail.encode("ascii")


def forwarded(
    reason: Forward,
    *,
    stored: bool = False,
    collapsed: bool = False,
    fwd_status: int | None = None,
    ttl: float | None = None,
    detail: Reason | str | None = None,
) -> bytes:
    """The member for a response of the application.

    Args:
        reason: Why the request went forward.
        stored: The response was stored (§2.5).
        collapsed: The request got the response to another request (§2.6).
        fwd_status: The application's status where it differs from the one sent, such as 304 (§2.3).
        ttl: Seconds of freshness of what was stored.
        detail: A token: why the response was not stored, or why the request bypassed the cache.
    """
    parts = [CACHE, b"fwd=" + reason.encode("ascii")]
    if fwd_status is not None:
        parts.append(b"fwd-status=%d" % fwd_status)
    if stored:
        parts.append(b"stored")
    if collapsed:
        parts.append(b"collapsed")
    if ttl is not None:
        parts.append(b"ttl=%d" % ttl)
    if detail is not None:
        parts.append(b"detail=" + detail.encode("ascii"))
    return b"; ".join(parts)


def appended(headers: Headers, member: bytes) -> Headers:
    """The field lines with this member after those of the caches closer to the origin (§2)."""
    return (*headers, (NAME, member))
