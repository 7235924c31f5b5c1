"""Single byte ranges (RFC 9110 §14), out of a whole representation or a stored part of one."""

import re
from enum import Enum, auto
from typing import Final, NamedTuple

import msgspec

from .._types import Headers
from . import headers as fields
from .dates import parse_http_date

_RANGE = re.compile(rb"([0-9]*)-([0-9]*)")
_CONTENT_RANGE = re.compile(
    rb"bytes[ \t]+([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE
)
_STRONG = re.compile(rb'"[^"]*"')
_OF_ITS_CONTENT = fields.CONTENT_DIGESTS | {b"content-length", b"content-range"}
"""Fields that describe the bytes of one message, part or whole."""

PART_ONLY = _OF_ITS_CONTENT | {b"age"}
"""Fields that describe one part alone."""

_UNREACHABLE = 10**18
"""Replaces any number with more digits: no representation is that long."""


class Unsatisfiable(Enum):
    """The response is 416: the range is outside of the representation."""

    UNSATISFIABLE = auto()


UNSATISFIABLE: Final = Unsatisfiable.UNSATISFIABLE


class Span(NamedTuple):
    """Bytes of a representation, both ends included, as on the wire."""

    first: int
    last: int


class ContentRange(msgspec.Struct, frozen=True):
    """The place of a part in its representation (RFC 9110 §14.4).

    Attributes:
        first: Position of its first byte.
        last: Position of its last byte.
        size: Bytes of the whole representation, None if unknown.
    """

    first: int
    last: int
    size: int | None

    @property
    def length(self) -> int:
        """The bytes that the part has."""
        return self.last - self.first + 1


def serves_parts(headers: Headers) -> bool:
    """Whether the origin says that it serves ranges of this response (RFC 9110 §14.3)."""
    lines = fields.values(headers, b"accept-ranges")
    return any(b"bytes" in line.lower() for line in lines)


def select(
    range_value: bytes,
    if_range: bytes | None = None,
    *,
    size: int,
    etag: bytes | None = None,
    last_modified: bytes | None = None,
    date: float | None = None,
    now: float = 0.0,
) -> Span | Unsatisfiable | None:
    """What a GET with `Range` gets from a stored 200. Linear in the field.

    Args:
        range_value: The value of `Range`.
        if_range: The value of `If-Range`, None if absent.
        size: Bytes of the stored content.
        etag: The stored `ETag`, if any.
        last_modified: The stored `Last-Modified`, if any.
        date: Unix seconds of the stored `Date`, or of its receipt.
        now: Unix seconds.

    Returns:
        The span for a 206, `UNSATISFIABLE` for a 416, or None for the whole as a 200: the field is
        malformed, in other units, requests several ranges, or its condition does not hold.
    """
    if if_range is not None and not _still_same(
        if_range.strip(b" \t"), etag=etag, last_modified=last_modified, date=date, now=now
    ):
        return None
    asked = _asked(range_value)
    return None if asked is None else _placed(*asked, size)


def _asked(range_value: bytes) -> tuple[int | None, int | None] | None:
    """First and last position, or (None, length) for a suffix; None if not one byte range."""
    unit, equals, listed = range_value.strip(b" \t").partition(b"=")
    if not equals or unit.lower() != b"bytes":
        return None
    wanted = [part for raw in listed.split(b",") if (part := raw.strip(b" \t"))]
    match = _RANGE.fullmatch(wanted[0]) if len(wanted) == 1 else None
    if match is None or wanted[0] == b"-":
        return None
    first, last = (_position(digits) for digits in match.groups())
    malformed = first is not None and last is not None and last < first
    return None if malformed else (first, last)


def _position(digits: bytes) -> int | None:
    significant = digits.lstrip(b"0")
    if len(significant) > 18:
        return _UNREACHABLE
    return int(significant or b"0") if digits else None


def _placed(first: int | None, last: int | None, size: int) -> Span | Unsatisfiable | None:
    if first is None:
        if not last:
            return UNSATISFIABLE
        # A suffix of empty content is satisfiable, but no 206 can express it: send the whole.
        return Span(max(0, size - last), size - 1) if size else None
    if first >= size:
        return UNSATISFIABLE
    return Span(first, size - 1 if last is None else min(last, size - 1))


def _still_same(
    condition: bytes,
    *,
    etag: bytes | None,
    last_modified: bytes | None,
    date: float | None,
    now: float,
) -> bool:
    """`If-Range` by strong comparison (RFC 9110 §13.1.5): a tag without W/, or an old date."""
    if _STRONG.fullmatch(condition):
        return condition == etag
    moment = parse_http_date(condition, now)
    if moment is None or last_modified is None or date is None:
        return False
    # A date is a strong validator once a second has passed since (§8.8.2.2).
    return parse_http_date(last_modified, now) == moment and date - moment >= 1


def partial_headers(headers: Headers, span: Span, size: int | None) -> Headers:
    """The field lines of a 206 with this span (RFC 9110 §15.3.7).

    Args:
        headers: Those of the stored response.
        span: The bytes sent.
        size: Bytes of the whole representation, None if unknown.
    """
    whole = b"*" if size is None else b"%d" % size
    return (
        *fields.without(headers, _OF_ITS_CONTENT),
        (b"content-range", b"bytes %d-%d/%b" % (span.first, span.last, whole)),
        (b"content-length", b"%d" % (span.last - span.first + 1)),
    )


def unsatisfiable_headers(size: int) -> Headers:
    """The field lines of a 416 without content (RFC 9110 §15.5.17)."""
    return ((b"content-range", b"bytes */%d" % size), (b"content-length", b"0"))


def content_range(headers: Headers) -> ContentRange | None:
    """The place of a single-part 206; None if it does not state one.

    A multipart response has no `Content-Range`.
    """
    lines = fields.values(headers, b"content-range")
    match = _CONTENT_RANGE.fullmatch(lines[0].strip(b" \t")) if len(lines) == 1 else None
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    size = None if match[3] == b"*" else int(match[3])
    if last < first or (size is not None and last >= size):
        return None
    return ContentRange(first, last, size)


def is_complete(status: int, headers: Headers, received: int) -> bool:
    """Whether content of `received` bytes, whole or part, has the length that its header states."""
    part = content_range(headers) if status == 206 else None
    return fields.has_stated_length(headers, received) and (part is None or part.length == received)


def select_from_part(range_value: bytes, part: ContentRange) -> Span | Unsatisfiable | None:
    """What a GET with `Range` gets from a stored 206.

    Returns:
        The span, in positions of the whole representation; `UNSATISFIABLE`; or None if the part
        does not contain all that is requested.
    """
    asked = _asked(range_value)
    if asked is None:
        return None
    if part.size is None:
        first, last = asked
        if first is None or last is None:
            return None
        span: Span | Unsatisfiable | None = Span(first, last)
    else:
        span = _placed(*asked, part.size)
    if isinstance(span, Span) and not (part.first <= span.first and span.last <= part.last):
        return None
    return span


def missing(part: ContentRange) -> bytes | None:
    """The `Range` of the rest of a part; None if the rest is not one range.

    A part with bytes missing on both sides costs more to complete than to replace.
    """
    if part.first == 0:
        return None if part.size == part.last + 1 else b"bytes=%d-" % (part.last + 1)
    return b"bytes=0-%d" % (part.first - 1) if part.size == part.last + 1 else None


def rest_of(headers: Headers) -> Headers:
    """The request fields for the rest of a stored part; none if it is not one range.

    With a strong validator the origin sends the whole where the representation has changed.

    Args:
        headers: The field lines of the stored 206.
    """
    part = content_range(headers)
    wanted = None if part is None else missing(part)
    if wanted is None:
        return ()
    tag = fields.first(headers, b"etag")
    if tag is None or not _STRONG.fullmatch(tag):
        return ((b"range", wanted),)
    return (b"range", wanted), (b"if-range", tag)


class Part(NamedTuple):
    """A stored or received 206: its field lines and content."""

    headers: Headers
    body: bytes


class Combined(NamedTuple):
    """Two parts joined: a 200 if they are the whole, else a larger 206."""

    status: int
    headers: Headers
    body: bytes


def combine(stored: Part, newer: Part) -> Combined | None:
    """Join two parts of one representation (RFC 9110 §15.3.7.3, RFC 9111 §3.4).

    Returns:
        The joined response, with the newer part's field lines over the stored ones; None unless
        both have the same strong validator and the length that they state, and touch or overlap.
    """
    old, new = content_range(stored.headers), content_range(newer.headers)
    if old is None or new is None or not _same_representation(stored, newer):
        return None
    if old.length != len(stored.body) or new.length != len(newer.body):
        return None
    size = new.size if new.size is not None else old.size
    if old.size not in (None, size) or max(old.first, new.first) > min(old.last, new.last) + 1:
        return None
    if size is not None and max(old.last, new.last) >= size:
        return None
    span = Span(min(old.first, new.first), max(old.last, new.last))
    body = _joined(old, stored.body, new, newer.body)
    names = {name for name, _ in newer.headers}
    lines = (*fields.without(stored.headers, names), *newer.headers)
    if span.first == 0 and size == span.last + 1:
        whole = fields.without(lines, _OF_ITS_CONTENT)
        return Combined(200, (*whole, (b"content-length", b"%d" % size)), body)
    return Combined(206, partial_headers(lines, span, size), body)


def _same_representation(one: Part, other: Part) -> bool:
    tags = {fields.first(part.headers, b"etag") for part in (one, other)}
    (tag, *others) = tags
    return not others and tag is not None and _STRONG.fullmatch(tag) is not None


def _joined(old: ContentRange, old_body: bytes, new: ContentRange, new_body: bytes) -> bytes:
    """The newer bytes, with what the older part has before and after them."""
    before = old_body[: max(0, new.first - old.first)]
    behind = old_body[max(0, new.last - old.first + 1) :]
    return before + new_body + behind
