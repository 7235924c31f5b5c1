"""The `Cache-Status` field (RFC 9211)."""

import http_sf
import pytest

from asgi_multitier.policy.cache_status import Forward, appended, forwarded, hit
from asgi_multitier.policy.reasons import Reason
from tests.policy.support import lines


@pytest.mark.parametrize(
    ("member", "text"),
    [
        (hit(120.9), b"asgi-multitier; hit; ttl=120"),
        (hit(120, "l1"), b"asgi-multitier; hit; ttl=120; detail=l1"),
        (hit(-30), b"asgi-multitier; hit; ttl=-30"),
        (forwarded(Forward.URI_MISS, stored=True), b"asgi-multitier; fwd=uri-miss; stored"),
        (
            forwarded(Forward.BYPASS, detail=Reason.AUTHORIZATION),
            b"asgi-multitier; fwd=bypass; detail=authorization",
        ),
        (
            forwarded(Forward.STALE, stored=True, collapsed=True, fwd_status=304, ttl=60.5),
            b"asgi-multitier; fwd=stale; fwd-status=304; stored; collapsed; ttl=60",
        ),
    ],
)
def test_member_says_what_happened(member, text):
    """RFC 9211 §2, and it parses as a Structured Field."""
    assert member == text
    assert len(http_sf.parse(member, tltype="list")) == 1


def test_member_comes_after_those_of_caches_upstream():
    """RFC 9211 §2: the list grows towards the client."""
    headers = lines(("cache-status", "OriginCache; hit"), ("x", "1"))

    assert appended(headers, hit(1)) == (*headers, (b"cache-status", b"asgi-multitier; hit; ttl=1"))


@pytest.mark.parametrize("word", [*Reason, *Forward])
def test_every_reason_is_a_token(word):
    """RFC 9211 §2.8: it can stand in `detail` as it is."""
    value, _ = http_sf.parse(word.encode(), tltype="item")

    assert isinstance(value, http_sf.Token)
    assert str(value) == word
