"""The fields of a request that matter to a cache, found in one pass over its field lines.

The scan is one dictionary look-up a line, and nothing is built for a request without such a field.
What a name means is decided when it is first seen, and cached under the spelling that was sent, so
that no spelling of a credential is missed.
"""

from collections.abc import Collection, Iterable
from enum import IntEnum
from typing import TypeAlias

from .._types import Header
from .credentials import Credentials, folded
from .headers import is_token
from .reasons import Reason


class Field(IntEnum):
    """The meaning of a request field."""

    HOST = 0
    AUTHORIZATION = 1
    CREDENTIALS = 2
    COOKIE = 3
    BODY_LENGTH = 4
    BODY_CODING = 5
    EXPECT = 6
    UPGRADE = 7
    OVERRIDE = 8
    FORWARDED = 9
    RANGE = 10
    CONDITION = 11
    CACHE_CONTROL = 12
    PRAGMA = 13
    ORIGIN = 14
    DOUBTFUL = 15


_OVERRIDES = tuple(
    b"x-http-method-override x-http-method x-method-override x-original-url x-original-uri"
    b" x-original-method x-rewrite-url x-override-url x-http-host-override x-http-destinationurl"
    b" x-forwarded-path x-forwarded-uri x-forwarded-method x-wap-profile".split()
)
"""Fields by which frameworks and proxies let a client replace the method or the target."""

_FORWARDED = tuple(
    b"forwarded x-forwarded-host x-forwarded-proto x-forwarded-protocol x-forwarded-scheme"
    b" x-forwarded-port x-forwarded-prefix x-forwarded-server x-forwarded-ssl x-url-scheme"
    b" x-scheme x-host x-proxy-host x-real-host x-script-name front-end-https".split()
)
"""Fields from which applications build absolute URLs. They are part of the key: a reverse proxy
sends the same ones on every request, and a forged one leads to an entry of its own."""

_BEFORE_PROXY = frozenset((b"external", b"forwarded", b"ingress", b"original"))
_OF_URL = frozenset(
    b"context host hostname https path prefix proto protocol scheme ssl uri url".split()
)
"""A name with a word of both sets is one more of them."""

_CONDITIONS = (b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since")

_KNOWN: dict[bytes, Field] = {
    b"host": Field.HOST,
    b"authorization": Field.AUTHORIZATION,
    b"cookie": Field.COOKIE,
    b"content-length": Field.BODY_LENGTH,
    b"transfer-encoding": Field.BODY_CODING,
    b"expect": Field.EXPECT,
    b"upgrade": Field.UPGRADE,
    b"range": Field.RANGE,
    b"if-range": Field.RANGE,
    b"cache-control": Field.CACHE_CONTROL,
    b"pragma": Field.PRAGMA,
    b"origin": Field.ORIGIN,
    **dict.fromkeys(_OVERRIDES, Field.OVERRIDE),
    **dict.fromkeys(_FORWARDED, Field.FORWARDED),
    **dict.fromkeys(_CONDITIONS, Field.CONDITION),
}

KNOWN_FIELDS = frozenset(_KNOWN)
"""Fields with a meaning that no setting changes."""

FieldLines: TypeAlias = dict[Field, list[Header]]
"""The lines that matter, other than Host, by meaning."""

_MOST_CACHED = 4096
_LONGEST_CACHED = 64
"""The most names that are cached, and the bytes of the longest: clients choose them."""


class Watch:
    """What request fields mean, by their names.

    Args:
        credentials: Which fields identify the user.

    Attributes:
        known: Names that were seen, as sent, with their meaning; None for no meaning.
    """

    __slots__ = ("_credentials", "known")

    def __init__(self, credentials: Credentials) -> None:
        self.known: dict[bytes, Field | None] = {}
        self._credentials = credentials

    def learn(self, name: bytes) -> Field | None:
        """The meaning of a name that is seen for the first time."""
        field = self._classified(bytes(name))
        if len(name) <= _LONGEST_CACHED:
            if len(self.known) >= _MOST_CACHED:
                # Each name is decided in the same way again.
                self.known.clear()
            self.known[name] = field
        return field

    def _classified(self, name: bytes) -> Field | None:
        lower = name.lower()
        known = _KNOWN.get(lower)
        if known is not None:
            return known
        if lower in self._credentials.harmless:
            return None
        if b"_" in lower or not is_token(lower):
            return Field.DOUBTFUL
        if self._credentials.include(lower):
            return Field.CREDENTIALS
        return Field.FORWARDED if builds_urls(lower) else None


def builds_urls(name: bytes) -> bool:
    """Whether applications build absolute URLs from the field of this name, lower-case."""
    if (known := _KNOWN.get(name)) is not None:
        return known is Field.FORWARDED
    words = name.split(b"-")
    return not _BEFORE_PROXY.isdisjoint(words) and not _OF_URL.isdisjoint(words)


_HOST = Field.HOST


def scan(headers: Iterable[Header], watched: Watch) -> tuple[bytes | None, FieldLines | None]:
    """The value of the only Host line, and the other lines that matter.

    Returns:
        The host as sent, or None unless there is exactly one; and what was found, None if nothing.
    """
    host: bytes | None = None
    hosts = 0
    found: FieldLines | None = None
    known = watched.known
    for line in headers:
        try:
            # Faster than `get`, as nearly every name is known.
            field = known[line[0]]
        except KeyError:
            field = watched.learn(line[0])
        if field is None:
            continue
        if field is _HOST:  # faster than a comparison of numbers
            host = line[1]
            hosts += 1
        elif found is None:
            found = {field: [line]}
        elif field in found:
            found[field].append(line)
        else:
            found[field] = [line]
    if hosts != 1:
        host = None
    return host, found


CHOICES = frozenset((Field.CONDITION, Field.RANGE))
"""What lets a request get less than the whole answer."""


_OF_ONE_USER = frozenset((Field.AUTHORIZATION, Field.CREDENTIALS, Field.COOKIE))


def may_be_encoded(found: FieldLines, *, shared: bool) -> bool:
    """Whether the response to a request may be sent in another content coding.

    What belongs to one user is not compressed: its length would tell something about it to those
    who see the traffic and can add to it.

    Args:
        found: What the scan found.
        shared: The rule says that the response is the same for all, or that it may be compressed
            although it is not.
    """
    return shared or _OF_ONE_USER.isdisjoint(found)


def tag_asked_for(found: FieldLines) -> bytes | None:
    """The value of `If-None-Match`, where that is all that a request asks of its answer.

    Browsers do so of what they hold (RFC 9110 §13.1.2). None for any other condition or range.
    """
    conditions = found.get(Field.CONDITION, ())
    if len(conditions) != 1 or Field.RANGE in found:
        return None
    name, value = conditions[0]
    return value if name.lower() == b"if-none-match" else None


def range_asked_for(found: FieldLines) -> bytes | None:
    """The value of `Range`, where that is all that a request asks of its answer (RFC 9110 §14.2).

    None for several, with a condition or with `If-Range`.
    """
    ranges = found.get(Field.RANGE, ())
    if len(ranges) != 1 or Field.CONDITION in found:
        return None
    name, value = ranges[0]
    return value if name.lower() == b"range" else None


_REFUSED: tuple[tuple[Field, Reason], ...] = (
    (Field.OVERRIDE, Reason.OVERRIDE),
    (Field.UPGRADE, Reason.UPGRADE),
    (Field.BODY_CODING, Reason.REQUEST_BODY),
    (Field.EXPECT, Reason.REQUEST_BODY),
)


def refusal(found: FieldLines, *, method: str, target: bytes) -> Reason | None:
    """Why this request bypasses the cache under every rule, or None.

    Args:
        found: What the scan found.
        method: The request's.
        target: Its path and query, as sent.
    """
    for field, reason in _REFUSED:
        if field not in found:
            continue
        if field is Field.OVERRIDE and _overrides_nothing(found[field], method, target):
            continue
        return reason
    for _, value in found.get(Field.BODY_LENGTH, ()):
        if value.strip() != b"0":
            return Reason.REQUEST_BODY
    return None


def beyond_method(found: FieldLines, method: str) -> Reason | None:
    """Why a POST or a QUERY asks for what only the origin gives; None if it does not.

    A range of a POST is not defined (RFC 9110 §14.2), and one of a QUERY is rare (RFC 10008 §2.8).
    A condition of a POST that does not hold means 412 (RFC 9110 §13.1.2), not that the client has
    the response.
    """
    if Field.RANGE in found:
        return Reason.RANGE
    return Reason.PRECONDITION if method == "POST" and Field.CONDITION in found else None


def _overrides_nothing(lines: Iterable[Header], method: str, target: bytes) -> bool:
    """Whether all repeat the request's method or target, as some proxies do on every request."""
    own = {True: method.encode("latin-1") if method == "GET" else None, False: target}
    return all(value == own[b"method" in name.lower()] for name, value in lines)


def is_doubtful(headers: Iterable[Header], found: FieldLines, keyed: Collection[bytes]) -> bool:
    """Whether servers and applications may read a field name differently.

    CGI gateways, such as WSGI servers, make one field of `X-Lang` and `X_Lang`, and servers differ
    in what they make of a name that HTTP does not allow. A name that is in the key, in the same
    spelling, is not doubtful, unless another spelling of it is sent too.

    Args:
        headers: The request's field lines.
        found: What the scan found.
        keyed: Names of request fields that are part of the key, lower-case.
    """
    if any(name.lower() not in keyed for name, _ in found.get(Field.DOUBTFUL, ())):
        return True
    spelt = {folded(name) for name in keyed if b"_" in name}
    if not spelt:
        return False
    alike = {lower for name, _ in headers if folded(lower := name.lower()) in spelt}
    return not alike.issubset(keyed) or len(set(map(folded, alike))) < len(alike)


def credential_refusal(
    found: FieldLines,
    *,
    public: bool,
    keyed: frozenset[bytes],
    cookies_keyed: bool,
    partitioned: bool,
) -> Reason | None:
    """Why the credentials of a request make it bypass the cache, or None.

    Args:
        found: What the scan found.
        public: The rule says that the response is the same for all.
        keyed: Names of request fields that are part of the key.
        cookies_keyed: The rule names the cookies that it keys on.
        partitioned: The rule separates users by itself (`vary_by`).
    """
    if public or partitioned:
        return None
    if any(name.lower() not in keyed for name, _ in found.get(Field.AUTHORIZATION, ())):
        return Reason.AUTHORIZATION
    if any(name.lower() not in keyed for name, _ in found.get(Field.CREDENTIALS, ())):
        return Reason.CREDENTIALS
    if Field.COOKIE in found and not cookies_keyed and b"cookie" not in keyed:
        return Reason.COOKIE
    return None


def choosing_fields(found: FieldLines, *, cookies: bool) -> tuple[bytes, ...]:
    """Fields of a request that choose its response although its rule does not name them.

    Deliberate: fields such as `X-Forwarded-Host` are left out. They choose as well, but the proxy
    that sets them is nearer than any cache downstream.

    Args:
        found: What the scan found.
        cookies: Whether the whole `Cookie` is in the key.
    """
    names = (b"Origin",) if Field.ORIGIN in found else ()
    return (*names, b"Cookie") if cookies and Field.COOKIE in found else names
