"""Whether the content of a request is read for the cache, and whether what was read is all of it.

Its field lines say how long it is and how it comes (RFC 9112 §6).
"""

from .headers import content_length, normalised
from .reasons import Reason
from .request import Field, FieldLines


def unread_reason(found: FieldLines, limit: int, bound: int | None = None) -> Reason | None:
    """Why the content of a request is not read, as far as its field lines say; None if it is.

    Args:
        found: What the scan found.
        limit: Bytes of content that are read at most.
        bound: Bytes after which reading more would fail; None if there is no such bound.
    """
    codings = [value.strip().lower() for _, value in found.get(Field.BODY_CODING, ())]
    expected = {value.strip().lower() for _, value in found.get(Field.EXPECT, ())}
    if codings not in ([], [b"chunked"]) or not expected <= {b"100-continue"}:
        # What servers and applications make of any other differs.
        return Reason.REQUEST_BODY
    if bound is not None and bound < limit:
        if Field.BODY_LENGTH not in found:
            return Reason.REQUEST_BODY
        limit = bound
    longer = any(_is_more(value.strip(), limit) for _, value in found.get(Field.BODY_LENGTH, ()))
    return Reason.REQUEST_BODY_OVERSIZED if longer else None


def _is_more(length: bytes, limit: int) -> bool:
    """Whether a `Content-Length` is a number, and above the limit."""
    return length.isdigit() and (len(length) > _LONGEST_NUMBER or int(length) > limit)


_LONGEST_NUMBER = 18
"""Digits of the longest number that is read: any longer one is larger than all limits."""


def is_all(found: FieldLines, size: int) -> bool:
    """Whether so many bytes may be all of a request's content, as far as its field lines say.

    Of a server they always are. A layer around the cache may have read the content for itself and
    left nothing, or made another of it: then what the application is asked is not known.

    Args:
        found: What the scan found.
        size: Bytes that were read, to the end.
    """
    stated = content_length(normalised(found.get(Field.BODY_LENGTH, ())))
    if stated is not None:
        return stated == size
    return size > 0 or Field.BODY_CODING not in found


def without_framing(found: FieldLines) -> FieldLines:
    """What was found, without what says how long the content is and how it comes."""
    return {field: lines for field, lines in found.items() if field not in _FRAMING}


_FRAMING = frozenset((Field.BODY_LENGTH, Field.BODY_CODING, Field.EXPECT))
