"""Response fields that are for the client of one exchange: told by name, and by value."""

import pytest

from asgi_multitier.policy.personal import is_proof, numbers_exchange
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.policy.storing import Store
from tests.policy.support import ANNOTATED, judged, stored

FRESH = ("cache-control", "max-age=60")

EXCHANGE = [
    "x-request-id",
    "request-id",
    "x-ms-request-id",
    "x-amzn-requestid",
    "x-correlation-id",
    "correlationid",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-trace-id",
    "x-transaction-id",
    "traceparent",
    "traceresponse",
    "server-timing",
    "x-runtime",
    "x-process-time",
    "x-response-time",
    "x-ratelimit-remaining",
    "x-ratelimit-limit-tokens",
    "x-rate-limit-reset",
    "x-app-rate-limit-count",
    "ratelimit",
    "ratelimit-policy",
    "x-quota-remaining",
    "x-client-ip",
    "cf-ray",
]
PROOF = [
    "x-csrf-token",
    "csrf-token",
    "x-xsrf-token",
    "x_csrf_token",
    "x-auth-token",
    "x-access-token",
    "x-refresh-token",
    "authorization",
    "x-session-id",
    "x-session",
    "sec-session-challenge",
    "authentication-info",
    "authentication-control",
    "replay-nonce",
    "dpop-nonce",
    "x-csp-nonce",
    "x-user",
    "x-user-id",
    "x-username",
    "x-jwt",
    "set-login",
]
PLAIN = [
    "content-type",
    "content-length",
    "content-security-policy",
    "content-digest",
    "cache-control",
    "etag",
    "vary",
    "link",
    "location",
    "server",
    "date",
    "age",
    "expires",
    "retry-after",
    "clear-site-data",
    "set-cookie2",
    "public-key-pins",
    "strict-transport-security",
    "www-authenticate",
    "x-next-page-token",
    "x-continuation-token",
    "x-total-count",
    "x-total-tokens",
    "x-content-type-options",
    "x-frame-options",
    "x-powered-by",
    "x-author",
    "x-tokenizer",
    "x-item-id",
    "access-control-allow-origin",
    "access-control-allow-credentials",
]


@pytest.mark.parametrize("name", EXCHANGE)
def test_what_numbers_an_exchange_is_left_out(name: str) -> None:
    """The response is stored without it, annotated or not."""
    for terms in ({}, {"terms": ANNOTATED}):
        store = stored(FRESH, (name, "7"), ("x", "1"), **terms)

        assert name.encode() not in dict(store.headers)
        assert b"x" in dict(store.headers)


@pytest.mark.parametrize("name", PROOF)
def test_what_a_client_proves_itself_with_keeps_a_response_out(name: str) -> None:
    """As `Set-Cookie` does."""
    assert judged(FRESH, (name, "7")) is Reason.PERSONAL_FIELD
    assert judged((name, "7"), terms=ANNOTATED) is Reason.PERSONAL_FIELD


@pytest.mark.parametrize("name", PLAIN)
def test_other_fields_are_kept(name: str) -> None:
    """They are the same for all clients."""
    assert not numbers_exchange(name.encode())
    assert not is_proof(name.encode(), b"7")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content-security-policy", "script-src 'nonce-2726c7f26c'"),
        ("content-security-policy", "default-src 'self'; script-src 'self' 'NONCE-abc'"),
        ("content-security-policy-report-only", "style-src 'nonce-abc'"),
        ("link", '</a.js>; rel=preload; nonce="abc"'),
        ("www-authenticate", 'Digest realm="a", nonce="b"'),
        ("www-authenticate", "Digest nonce=b"),
        ("www-authenticate", "Negotiate oRQwEqADCgEB"),
    ],
)
def test_a_nonce_in_a_value_keeps_a_response_out(name: str, value: str) -> None:
    """A page's policy and its body share it, for one client."""
    assert judged(FRESH, (name, value)) is Reason.PERSONAL_FIELD


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content-security-policy", "script-src 'self' 'sha256-abc' https://nonce.example"),
        ("link", "</announce=1>; rel=next"),
        ("www-authenticate", 'Basic realm="nonces"'),
        ("www-authenticate", "Negotiate"),
    ],
)
def test_a_value_without_a_nonce_is_kept(name: str, value: str) -> None:
    """The word alone says nothing."""
    assert isinstance(judged(FRESH, (name, value)), Store)


def test_a_response_may_keep_such_a_field_to_its_client_itself() -> None:
    """`private="..."` and `no-cache="..."` leave the rest to all clients."""
    for directive in ('private="x-csrf-token"', 'no-cache="x-csrf-token"'):
        store = stored(("cache-control", f"max-age=60, {directive}"), ("x-csrf-token", "t"))

        assert b"x-csrf-token" not in dict(store.headers)
