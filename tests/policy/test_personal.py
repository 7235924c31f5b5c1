"""Response fields that are for the client of one exchange: told by name, and by value."""

import pytest

from asgi_multitier import ConfigError, Policy
from asgi_multitier.policy.personal import is_proof, numbers_exchange
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.policy.storing import Store
from asgi_multitier.policy.validation import freshen
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
    "uber-trace-id",
    "x-b3-sampled",
    "x-datadog-parent-id",
    "elastic-apm-traceparent",
    "x-newrelic-app-data",
    "x-envoy-upstream-service-time",
    "x-kong-proxy-latency",
    "x-process-time-ms",
    "x-response-time-seconds",
    "x-elapsed-time",
    "x-total-duration-ms",
    "x-took",
    "x-amz-apigw-id",
    "x-azure-ref",
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


@pytest.mark.parametrize("limit", ["x-ratelimit-remaining", "ratelimit"])
def test_beside_a_rate_limit_retry_after_is_one_clients(limit: str) -> None:
    """Libraries add both to each response; alone it is about the resource."""
    both = stored(FRESH, (limit, "3"), ("retry-after", "7"))
    alone = stored(FRESH, ("retry-after", "7"))

    assert b"retry-after" not in dict(both.headers)
    assert b"retry-after" in dict(alone.headers)


@pytest.mark.parametrize("name", ["X-Request-Id", "X-Quota-Plan", "Server-Timing", "X-User-Group"])
@pytest.mark.parametrize("annotated", [True, False])
def test_a_rule_may_keep_a_field(name: str, annotated: bool) -> None:
    """Where it is the same for all clients although its name does not look so."""
    policy = Policy(60, keep=[name]) if annotated else Policy.from_origin(keep=name)
    store = stored(FRESH, (name.lower(), "7"), ("x-trace-id", "8"), terms=policy.terms)

    assert dict(store.headers).get(name.lower().encode()) == b"7"
    assert b"x-trace-id" not in dict(store.headers)
    update = [(name.lower().encode(), b"9"), (b"x-trace-id", b"9")]
    fresh = dict(freshen(store.headers, tuple(update), policy.terms, received=0.0))
    assert fresh[name.lower().encode()] == b"9"
    assert b"x-trace-id" not in fresh


@pytest.mark.parametrize(
    "name", ["X-Served-By", "Set-Cookie", "Connection", "Content-Type", "Link"]
)
def test_what_is_not_left_out_by_its_name_need_not_be_kept(name: str) -> None:
    """A misspelt name has no effect, and a cookie has an option of its own."""
    with pytest.raises(ConfigError, match="left out by their names"):
        Policy(60, keep=[name])


def test_a_field_is_kept_or_left_out() -> None:
    """Not both."""
    with pytest.raises(ConfigError, match=r"fields that strip= does not name, as it does x-run"):
        Policy(60, keep=["X-Runtime"], strip=["x-runtime"])
