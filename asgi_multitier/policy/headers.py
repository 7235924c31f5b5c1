"""Header fields as ordered pairs of bytes: reading them, and choosing which may be stored.

Names are lower-case from `normalised` on; no other module changes their case. Nothing here turns
fields into a dict: two lines of one name are two lines (RFC 9110 §5.3).
"""

import re
from collections.abc import Collection, Iterable, Sequence

from .._types import Header, Headers
from .reasons import Reason

MAX_LINES = 100
"""Field lines of a response that is stored: servers and clients commonly refuse more."""

DESCRIBES_CONTENT = frozenset(
    (b"content-encoding", b"content-length", b"content-range", b"content-type", b"vary")
)
"""Fields without which the content of a stored response cannot be read as it was sent."""

CONTENT_DIGESTS = frozenset((b"content-md5", b"content-digest"))
"""Digests of the content of one message: they fit no part of it and no other (RFC 9530 §2)."""

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_COMMA_OR_QUOTED = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+)("?+)|,', re.DOTALL)


def normalised(raw: Iterable[Iterable[bytes]]) -> Headers:
    """The field lines of an ASGI message, with lower-case names, as tuples of bytes.

    Args:
        raw: Pairs of name and value, of any iterable type.

    Raises:
        ValueError: If something in it is not a pair.
        TypeError: If a name or value is not bytes-like.
    """
    return tuple((bytes(memoryview(name)).lower(), bytes(memoryview(value))) for name, value in raw)


def is_token(name: bytes) -> bool:
    """Whether these bytes are an RFC 9110 §5.6.2 token."""
    return _TOKEN.fullmatch(name) is not None


def values(headers: Headers, name: bytes) -> list[bytes]:
    """The values of all lines of that name, in order."""
    return [value for key, value in headers if key == name]


def first(headers: Headers, name: bytes) -> bytes | None:
    """The first line's value without outer white space; None if absent or empty."""
    for key, value in headers:
        if key == name:
            return value.strip(b" \t") or None
    return None


def combined(headers: Headers, name: bytes) -> bytes | None:
    """All lines of that name as one value (RFC 9110 §5.2), or None where there is none."""
    lines = values(headers, name)
    return b", ".join(lines) if lines else None


def split(value: bytes) -> tuple[list[bytes], list[bytes]]:
    """The members of a comma-separated list, outside quoted strings, and those that are doubtful.

    Everything from a quote that is never closed is doubtful: it is one broken member, or several
    members after a stray quote. Callers use it only to forbid. Linear in the value.

    Returns:
        Sound members and doubtful ones, stripped; empty members are left out (RFC 9110 §5.6.1.2).
    """
    if b'"' not in value:
        return _stripped(value.split(b",")), []
    sound: list[bytes] = []
    start = 0
    for match in _COMMA_OR_QUOTED.finditer(value):
        opened, closed = match.group(1, 2)
        if opened is None:
            sound.append(value[start : match.start()])
            start = match.end()
        elif not closed:
            return _stripped(sound), _stripped(value[start:].split(b","))
    sound.append(value[start:])
    return _stripped(sound), []


def members(value: bytes) -> list[bytes]:
    """The members of a list that respects quoted strings, doubtful ones included."""
    sound, doubtful = split(value)
    return sound + doubtful


def _stripped(parts: Sequence[bytes]) -> list[bytes]:
    return [part for raw in parts if (part := raw.strip(b" \t"))]


def invalid_reason(headers: Headers, limit: int = 16 * 1024) -> Reason | None:
    """Why this header block must not be stored, or None if it may.

    A name that is not a token, or a control byte in a value, makes some servers close the
    connection: one such entry would make its URL fail for all clients.

    Args:
        headers: Normalised field lines.
        limit: Bytes that names and values, with four for each line's punctuation, may take.
    """
    if len(headers) > MAX_LINES:
        return Reason.HEADERS_OVERSIZED
    size = 0
    for name, value in headers:
        size += len(name) + len(value) + 4
        if size > limit:
            return Reason.HEADERS_OVERSIZED
        if not _TOKEN.fullmatch(name) or _FORBIDDEN.search(value):
            return Reason.BAD_HEADERS
    return None


def merged(headers: Headers, others: Iterable[Header]) -> Headers:
    """The field lines with those of others whose names they lack; a cookie is one more."""
    names = {name for name, _ in headers}
    return (
        *headers,
        *(line for line in others if line[0] not in names or line[0] == b"set-cookie"),
    )


def end_to_end(headers: Headers, also: Collection[bytes] = ()) -> Headers:
    """The lines that may be stored and sent to other clients (RFC 9111 §3.1).

    Left out: what belongs to one connection (RFC 9110 §7.6.1), all `Proxy-*`, and `Trailer`, as no
    trailers are stored.

    Args:
        headers: Normalised field lines.
        also: Lower-case names to leave out besides: those that `no-cache="..."` and `private="..."`
            list.
    """
    unwanted = {*also, *connection_options(headers), *_HOP_BY_HOP}
    return tuple(
        line for line in headers if line[0] not in unwanted and not line[0].startswith(b"proxy-")
    )


def connection_options(headers: Headers) -> list[bytes]:
    """The lower-case names that `Connection` lists."""
    listed = combined(headers, b"connection")
    return [] if listed is None else [name.lower() for name in members(listed)]


def without(headers: Headers, names: Collection[bytes]) -> Headers:
    """The lines whose names are not among these: the same object where that is all of them."""
    kept = [line for line in headers if line[0] not in names]
    return headers if len(kept) == len(headers) else tuple(kept)


def content_length(headers: Headers) -> int | None:
    """The number of bytes that `Content-Length` states; None if absent or invalid.

    Several equal values count as one (RFC 9110 §8.6); differing or malformed ones count as absent.
    """
    given = combined(headers, b"content-length")
    if given is None:
        return None
    distinct = set(members(given))
    if len(distinct) != 1:
        return None
    (digits,) = distinct
    return int(digits) if digits.isdigit() and len(digits) <= 18 else None


def with_length(status: int, headers: Headers, size: int) -> Headers:
    """The lines with the length of a stored content, which is known now, where they lack it."""
    if status in (204, 304) or any(name == b"content-length" for name, _ in headers):
        return headers
    return (*headers, (b"content-length", b"%d" % size))


def has_stated_length(headers: Headers, received: int) -> bool:
    """Whether a body of `received` bytes has the length that its header states (RFC 9112 §8)."""
    if not any(name == b"content-length" for name, _ in headers):
        return True
    return content_length(headers) == received


def is_event_stream(headers: Headers) -> bool:
    """Whether the content is a stream of server-sent events, which has no end to wait for."""
    kind = first(headers, b"content-type") or b""
    return kind.partition(b";")[0].strip(b" \t").lower() == b"text/event-stream"
