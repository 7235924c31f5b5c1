"""Response fields that are for the client of one exchange, decided by their names and values.

There are two kinds. A field that identifies or measures the exchange (a request id, a timing, the
rest of a rate limit) means nothing to the next client: it is not stored. A field that authenticates
its client (a token, a session, a nonce) belongs to a body or a state of that client: such a
response is not stored, as one with `Set-Cookie` is not.
"""

import re
from functools import lru_cache

from .._types import Headers

_EXCHANGE = frozenset(
    (
        b"b3",
        b"baggage",
        b"cf-ray",
        b"client-ip",
        b"sentry-trace",
        b"server-timing",
        b"traceparent",
        b"traceresponse",
        b"tracestate",
        b"x-amz-cf-id",
        b"x-amz-id-2",
        b"x-amzn-requestid",
        b"x-amzn-trace-id",
        b"x-client-ip",
        b"x-cloud-trace-context",
        b"x-debug-token",
        b"x-debug-token-link",
        b"x-elapsed",
        b"x-elapsed-time",
        b"x-forwarded-for",
        b"x-process-time",
        b"x-process-time-ms",
        b"x-real-ip",
        b"x-remote-addr",
        b"x-request-start",
        b"x-response-time",
        b"x-runtime",
        b"x-time-taken",
        b"x-vercel-id",
    )
)
_EXCHANGE_ID = re.compile(
    rb"(?:.*[-_])?(?:request|correlation|trace|span|parentspan|transaction|operation|invocation)"
    rb"[-_]?(?:id|identifier|uuid)"
)
_LIMIT = re.compile(rb"(?:.*[-_])?(?:rate[-_]?limit|quota)(?:[-_].*)?")

_PROOF = frozenset(
    b"account apikey authentication authorization credential credentials csrf csrftoken email"
    b" identity jwt login nonce otp passcode password principal secret session sessionid sid token"
    b" tokens user userid username xsrf xsrftoken".split()
)
"""Words in the name of a field that is for one client."""

_HARMLESS = frozenset(
    b"agent completion continuation count cursor input next output page prompt proxy sync total"
    b" usage used www".split()
)
"""Words that give the others another meaning: the token of a page, a number of tokens."""

_SEPARATORS = re.compile(rb"[-_]+")
_POLICIES = frozenset((b"content-security-policy", b"content-security-policy-report-only"))
_CHALLENGES = frozenset((b"www-authenticate", b"proxy-authenticate"))
_NONCE_SOURCE = re.compile(rb"'nonce-", re.IGNORECASE)
_NONCE_PARAMETER = re.compile(rb"[;, \t]nonce[ \t]*=", re.IGNORECASE)
_HANDSHAKE = re.compile(rb"(?:\A|,)[ \t]*(?:negotiate|ntlm)[ \t]+[^ \t,]", re.IGNORECASE)


@lru_cache(1024)
def numbers_exchange(name: bytes) -> bool:
    """Whether a field of this lower-case name describes one exchange, and is not to be stored."""
    return (
        name in _EXCHANGE
        or _EXCHANGE_ID.fullmatch(name) is not None
        or _LIMIT.fullmatch(name) is not None
    )


@lru_cache(1024)
def _proves(name: bytes) -> bool:
    if name.startswith(b"access-control-"):
        return False
    words = _SEPARATORS.split(name)
    return not _PROOF.isdisjoint(words) and _HARMLESS.isdisjoint(words)


def is_proof(name: bytes, value: bytes) -> bool:
    """Whether a field authenticates its client: a token, a session, a nonce.

    Args:
        name: The field's lower-case name.
        value: Its value, which has the nonce of a content policy, a preload or a challenge.
    """
    if name in _POLICIES:
        return _NONCE_SOURCE.search(value) is not None
    if name == b"link":
        return _NONCE_PARAMETER.search(value) is not None
    if name in _CHALLENGES:
        return bool(_NONCE_PARAMETER.search(value) or _HANDSHAKE.search(value))
    return _proves(name) and not numbers_exchange(name)


def own_names(headers: Headers) -> frozenset[bytes]:
    """The names of the fields that are for the client of this exchange alone."""
    return frozenset(
        name for name, value in headers if numbers_exchange(name) or is_proof(name, value)
    )
