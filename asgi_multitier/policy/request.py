"""What a request says that a cache must hear, found in one pass over its field lines.

The scan is on the hit path: one dictionary look-up a line, and nothing is built for a request that
carries no field of interest. Names arrive in lower case from every ASGI server; the usual other
spellings are in the table too, so that a sloppy caller cannot slip a credential past it.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import TypeAlias

from .._types import Header
from .reasons import Reason


class Field(IntEnum):
    """Request fields that matter, by what they do."""

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


CREDENTIAL_FIELDS: frozenset[str] = frozenset(
    {
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "apikey",
        "x-auth-token",
        "x-access-token",
        "x-csrf-token",
        "x-amz-security-token",
        "x-goog-iap-jwt-assertion",
        "x-session-token",
        "x-user-token",
        "x-token",
        "x-jwt-assertion",
        "x-forwarded-access-token",
        "x-forwarded-user",
        "x-remote-user",
        "cf-access-jwt-assertion",
    }
)
"""Fields that carry a credential by custom. A configurable set: see `CacheConfig.credentials`."""

_OVERRIDES = (
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-rewrite-url",
    "x-override-url",
    "x-http-host-override",
    "x-http-destinationurl",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-forwarded-method",
    "x-wap-profile",
)
"""Fields with which frameworks and proxies let a client replace the method or the target."""

_FORWARDED = (
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-url-scheme",
    "x-scheme",
    "x-host",
    "x-script-name",
    "front-end-https",
)
"""Fields from which applications build absolute URLs. They are part of the key: a reverse proxy
sends the same ones on every request, a poisoner gets an entry of his own."""

_CONDITIONS = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since")

_KNOWN: dict[str, Field] = {
    "host": Field.HOST,
    "authorization": Field.AUTHORIZATION,
    "cookie": Field.COOKIE,
    "content-length": Field.BODY_LENGTH,
    "transfer-encoding": Field.BODY_CODING,
    "expect": Field.EXPECT,
    "upgrade": Field.UPGRADE,
    "range": Field.RANGE,
    "if-range": Field.RANGE,
    "cache-control": Field.CACHE_CONTROL,
    "pragma": Field.PRAGMA,
    **dict.fromkeys(_OVERRIDES, Field.OVERRIDE),
    **dict.fromkeys(_FORWARDED, Field.FORWARDED),
    **dict.fromkeys(_CONDITIONS, Field.CONDITION),
}

Watch: TypeAlias = Mapping[bytes, Field]
"""Field names to what they do."""

Found: TypeAlias = dict[Field, list[Header]]
"""The lines of interest other than Host, by what they do."""


def watch(credentials: Iterable[str] = CREDENTIAL_FIELDS) -> Watch:
    """The table for `scan`, in the spellings in which names arrive."""
    known = {**_KNOWN, **{name.lower(): Field.CREDENTIALS for name in credentials}}
    table: dict[bytes, Field] = {}
    for name, field in known.items():
        for spelling in (name, name.title(), name.upper()):
            table[spelling.encode("latin-1")] = field
    return table


def scan(headers: Iterable[Header], watched: Watch) -> tuple[bytes | None, Found | None]:
    """The value of the only Host line, and the other lines of interest.

    Returns:
        The host as sent, or None unless there is exactly one; and what was found, None if nothing.
    """
    host: bytes | None = None
    hosts = 0
    found: Found | None = None
    for line in headers:
        field = watched.get(line[0])
        if field is None:
            continue
        if field == 0:
            host = line[1]
            hosts += 1
        elif found is None:
            found = {field: [line]}
        else:
            found.setdefault(field, []).append(line)
    return (host if hosts == 1 else None), found


_REFUSED: tuple[tuple[Field, Reason], ...] = (
    (Field.OVERRIDE, Reason.OVERRIDE),
    (Field.UPGRADE, Reason.UPGRADE),
    (Field.BODY_CODING, Reason.REQUEST_BODY),
    (Field.EXPECT, Reason.REQUEST_BODY),
)


def refusal(found: Found) -> Reason | None:
    """Why no rule at all lets this request meet the cache, or None."""
    for field, reason in _REFUSED:
        if field in found:
            return reason
    for _, value in found.get(Field.BODY_LENGTH, ()):
        if value.strip() != b"0":
            return Reason.REQUEST_BODY
    return None


def credential_refusal(
    found: Found, *, public: bool, keyed: frozenset[bytes], cookies_keyed: bool, partitioned: bool
) -> Reason | None:
    """Why the credentials of a request keep it from the cache, or None.

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


def cookie_values(lines: Sequence[Header], name: str) -> list[bytes]:
    """Every value that a cookie of this name has, in order, over all Cookie lines."""
    wanted = name.encode("latin-1")
    values = []
    for _, line in lines:
        for part in line.split(b";"):
            key, equals, value = part.strip().partition(b"=")
            if equals and key.strip() == wanted:
                values.append(value.strip())
    return values
