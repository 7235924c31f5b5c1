"""Response fields that are for the client of one exchange, decided by their names and values.

There are two kinds. A field that identifies or measures the exchange (a request id, a timing, the
rest of a rate limit) means nothing to the next client: it is not stored. A field that authenticates
its client (a token, a session, a nonce) belongs to a body or a state of that client: such a
response is not stored, as one with `Set-Cookie` is not.
"""

import re
from collections.abc import Collection
from functools import lru_cache

from .._types import Headers

_EXCHANGE = frozenset(
    b"b3 baggage cache-debug cf-ray client-ip sentry-trace server-timing traceresponse tracestate"
    b" uber-trace-id x-activity-id x-amz-apigw-id x-amz-cf-id x-amz-id-2 x-amzn-requestid"
    b" x-amzn-trace-id x-azure-ref x-client-ip x-cloud-trace-context x-debug-token"
    b" x-debug-token-link x-duration x-elapsed x-forwarded-for x-latency x-msedge-ref x-real-ip"
    b" x-remote-addr x-request-start x-runtime x-time-taken x-took x-vercel-id".split()
)
_EXCHANGE_ID = re.compile(
    rb"(?:.*[-_])?(?:request|correlation|trace|span|parentspan|transaction|operation|invocation)"
    rb"[-_]?(?:id|identifier|uuid)"
)
_TRACER = re.compile(
    rb"x-(?:b3|datadog|envoy|newrelic|ot)-.*|newrelic|(?:elastic-apm-)?traceparent"
)
"""Fields in which tracers and proxies pass on the state of one exchange."""

_TIMING = re.compile(
    rb"(?:.*[-_])?(?:backend|db|elapsed|execution|handler|process|processing|proxy|query|render"
    rb"|request|response|server|service|total|upstream|wall)[-_](?:duration|latency|time)"
    rb"(?:[-_](?:ms|msec|ns|s|sec|secs|seconds|us))?"
)
_LIMIT = re.compile(rb"(?:.*[-_])?(?:rate[-_]?limit|quota)(?:[-_].*)?")

RETRY_AFTER = b"retry-after"

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
        or _TRACER.fullmatch(name) is not None
        or _TIMING.fullmatch(name) is not None
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


def is_left_out(name: bytes) -> bool:
    """Whether a field of this lower-case name is kept from other clients, whatever its value."""
    return numbers_exchange(name) or name == RETRY_AFTER or _proves(name)


def exchange_names(headers: Headers, keep: Collection[bytes] = ()) -> frozenset[bytes]:
    """The names of the fields that describe this exchange and are not to be stored.

    Args:
        headers: The response's field lines, normalised.
        keep: Names that are to be stored although they look so.
    """
    names = {name for name, _ in headers if numbers_exchange(name)}
    if any(map(_LIMIT.fullmatch, names)):
        # With the rest of a rate limit it says when its client may come again.
        names.add(RETRY_AFTER)
    return frozenset(names.difference(keep))


def own_names(headers: Headers, keep: Collection[bytes] = ()) -> frozenset[bytes]:
    """The names of the fields that are for the client of this exchange alone.

    Args:
        headers: The response's field lines, normalised.
        keep: Names that are for all clients although they look so.
    """
    proofs = {name for name, value in headers if is_proof(name, value)}
    return exchange_names(headers, keep) | proofs.difference(keep)
