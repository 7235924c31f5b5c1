"""Storing: what may be kept, for how long, in which form."""

import hashlib

import pytest
from msgspec.structs import replace

from asgi_multitier.policy.invalidation import Target
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.policy.storing import (
    KEEP_AT_LEAST,
    KEEP_AT_MOST,
    Store,
    etag_of,
)
from asgi_multitier.policy.terms import Terms
from tests.policy.support import ANNOTATED, FROM_ORIGIN, hit_after, judged, lines, stored

FRESH = ("cache-control", "max-age=3600")
ETAG = ("etag", '"abc"')
HEURISTICS = Terms(heuristics=True)


@pytest.mark.parametrize(
    ("headers", "after", "hit"),
    [
        ((), 0, False),
        (((ETAG),), 0, False),
        ((FRESH,), 3, True),
        ((("cache-control", "max-age=2"),), 1, True),
        ((("cache-control", "max-age=2"),), 3, False),
        ((("cache-control", "max-age=0"),), 0, False),
        ((("cache-control", "max-age=2147483648"),), 3, True),
        ((("cache-control", "max-age=99999999999"),), 3, True),
        ((FRESH, ("age", "7200")), 0, False),
        ((FRESH, ("date", -7200)), 0, False),
        ((FRESH, ("age", "2147483647")), 0, False),
        ((FRESH, ("age", "2147483648")), 0, False),
        ((FRESH, ("age", "0, 7200")), 3, True),
        ((("cache-control", "max-age=10000"), ("age", "3600"), ("age", "3600")), 3, True),
        ((FRESH, ("expires", -10000)), 3, True),
        ((("cache-control", "max-age=0"), ("expires", 10000)), 0, False),
        ((("cache-control", "s-maxage=3600"),), 3, True),
        ((("cache-control", "s-maxage=1, max-age=3600"),), 3, False),
        ((("cache-control", "s-maxage=1"), FRESH), 3, False),
        ((("cache-control", "s-maxage=3600, max-age=0"), ("expires", -10000)), 3, True),
        ((("expires", 30 * 86400), ("date", 0)), 3, True),
        ((("expires", 0), ("date", 0)), 0, False),
        ((("expires", 300), ("date", 400)), 0, False),
        ((("date", -10), ("expires", 10), ("age", "25")), 0, False),
        ((("date", 10), ("expires", 20), ("age", "15")), 0, False),
        ((("date", "foo"), ("expires", 10)), 3, True),
        ((FRESH, ("pragma", "no-cache")), 3, True),
        ((FRESH, ("content-disposition", "attachment")), 3, True),
        ((("cdn-cache-control", "max-age=3600"),), 3, True),
        ((("cdn-cache-control", "max-age=3600"), ("age", "7200")), 0, False),
        ((("cdn-cache-control", "max-age=3600"), ("expires", -10000)), 3, True),
        ((("cdn-cache-control", "max-age=0"), ("expires", 10000)), 0, False),
        ((("cdn-cache-control", "max-age=3600"), ("cache-control", "max-age=1")), 3, True),
        ((("cdn-cache-control", "max-age=1"), FRESH), 3, False),
        ((("cdn-cache-control", "max-age=3600"), ("cache-control", "no-store")), 3, True),
        ((("cdn-cache-control", "no-cache"), FRESH, ("expires", 1000)), 0, False),
        ((("cdn-cache-control", "max-age= 100"), FRESH), 3, True),
        ((("cdn-cache-control", "foo"), FRESH), 0, False),
    ],
)
def test_response_headers_decide_freshness(headers, after, hit):
    """RFC 9111 §4.2 and RFC 9213, in `from_origin` mode."""
    assert hit_after(after, judged(*headers)) is hit


@pytest.mark.parametrize(
    ("headers", "changes", "reason"),
    [
        ((), {}, Reason.NO_FRESHNESS),
        ((ETAG,), {}, Reason.NO_FRESHNESS),
        ((("last-modified", -86400),), {}, Reason.NO_FRESHNESS),
        ((("cache-control", "public"),), {}, Reason.NO_FRESHNESS),
        ((("cache-control", "no-store"),), {}, Reason.NO_STORE),
        ((("cache-control", "No-StOrE, max-age=60"), ("expires", 99)), {}, Reason.NO_STORE),
        ((("cache-control", "no-store, max-age=0"),), {}, Reason.NO_STORE),
        ((("cache-control", "private, max-age=60"),), {}, Reason.PRIVATE),
        ((("cache-control", "no-cache"),), {}, Reason.NO_FRESHNESS),
        ((("cache-control", "no-cache, max-age=60"),), {}, Reason.NO_CACHE),
        ((("cache-control", "max-age=0"),), {}, Reason.STALE),
        ((FRESH, ("age", "3600")), {}, Reason.STALE),
        ((("cdn-cache-control", "private"), FRESH), {}, Reason.PRIVATE),
        ((("cdn-cache-control", "no-store"), FRESH, ("expires", 99)), {}, Reason.NO_STORE),
        ((FRESH, ("vary", "*")), {}, Reason.VARY_STAR),
        ((FRESH, ("vary", "foo, *"), ETAG), {}, Reason.VARY_STAR),
        ((FRESH, ("vary", ""), ("vary", "*")), {}, Reason.VARY_STAR),
        ((FRESH, ("vary", ",".join(f"x-{n}" for n in range(17)))), {}, Reason.VARY_NAMES),
        ((FRESH, ("set-cookie", "a=b")), {}, Reason.SET_COOKIE),
        ((FRESH, ("content-type", "text/event-stream")), {}, Reason.EVENT_STREAM),
        ((FRESH, ("content-length", "1048577")), {}, Reason.OVERSIZED),
        ((FRESH, ("x", "a\nb")), {}, Reason.BAD_HEADERS),
        ((FRESH, ("x", "a" * 17000)), {}, Reason.HEADERS_OVERSIZED),
        ((FRESH,), {"method": "HEAD"}, Reason.METHOD),
        ((FRESH,), {"method": "POST"}, Reason.METHOD),
        ((FRESH,), {"method": "QUERY"}, Reason.METHOD),
        ((FRESH,), {"method": "PUT", "terms": Terms(post=True)}, Reason.METHOD),
        ((FRESH,), {"method": "QUERY", "terms": Terms(post=True)}, Reason.METHOD),
        ((FRESH,), {"method": "PUT", "terms": Terms(body=True)}, Reason.METHOD),
        ((), {"method": "POST", "terms": Terms(body=True)}, Reason.NO_FRESHNESS),
        (
            (FRESH, ("content-range", "bytes 0-4/10"), ("content-length", "5")),
            {"method": "QUERY", "status": 206, "terms": Terms(body=True, partial=True)},
            Reason.PARTIAL,
        ),
        ((FRESH,), {"status": 103}, Reason.STATUS),
        ((FRESH,), {"status": 304}, Reason.STATUS),
        ((FRESH,), {"status": 206}, Reason.PARTIAL),
        ((FRESH, ("content-range", "bytes 0-4/10")), {"status": 206}, Reason.PARTIAL),
        (
            (FRESH, ("content-range", "bytes 0-4/10"), ("content-length", "4")),
            {"status": 206, "terms": Terms(partial=True)},
            Reason.PARTIAL,
        ),
        (
            (("cache-control", "must-understand, no-store, max-age=9"),),
            {"status": 299},
            Reason.NOT_UNDERSTOOD,
        ),
        (
            (("cache-control", "must-understand, max-age=9"),),
            {"status": 599},
            Reason.NOT_UNDERSTOOD,
        ),
    ],
)
def test_each_refusal_has_its_name(headers, changes, reason):
    """The first thing that keeps a response out is the reason given."""
    assert judged(*headers, **changes) is reason


@pytest.mark.parametrize(
    "status", [200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 599]
)
def test_every_final_status_is_stored_when_explicitly_fresh(status):
    """RFC 9111 §3; and none of them when it is stale already."""
    assert hit_after(3, judged(FRESH, status=status))
    assert judged(FRESH, ("age", "7200"), status=status) is Reason.STALE


def test_must_understand_overrides_no_store_for_a_known_status():
    """RFC 9111 §5.2.2.3."""
    assert hit_after(3, judged(("cache-control", "must-understand, no-store, max-age=60")))


def test_no_cache_is_stored_and_always_validated():
    """RFC 9111 §5.2.2.4: with a validator, with or without a lifetime."""
    bare = stored(("cache-control", "no-cache"), ETAG)
    fresh = stored(("cache-control", "no-cache, max-age=10000"), ("expires", 10000), ETAG)

    assert (bare.always_validate, bare.lifetime) == (True, 0.0)
    assert (fresh.always_validate, fresh.lifetime) == (True, 10000.0)
    assert not bare.stale_allowed
    assert judged(("cache-control", "no-cache"), ETAG, status=201) is Reason.NO_FRESHNESS
    assert stored(("cache-control", "no-cache, public"), ETAG, status=201).lifetime == 0.0
    assert stored(("cache-control", "no-cache"), ETAG, terms=HEURISTICS).lifetime == 0.0


@pytest.mark.parametrize(
    ("directive", "kept"),
    [
        ('no-cache="a"', ("b", "c")),
        ('no-cache="A, b"', ("c",)),
        ('private="a"', ("b", "c")),
        ('private="a", no-cache="c"', ("b",)),
    ],
)
def test_fields_named_by_a_directive_are_not_stored(directive, kept):
    """RFC 9111 §5.2.2.4 and §5.2.2.7: the rest is a hit."""
    verdict = stored(
        ("cache-control", f"{directive}, max-age=3600"), ("a", "1"), ("b", "2"), ("c", "3")
    )

    assert hit_after(3, verdict)
    assert [name.decode() for name, _ in verdict.headers] == ["cache-control", *kept]


def test_connection_and_what_it_names_is_not_stored():
    """RFC 9111 §3.1; the rest stays in order with its duplicates."""
    verdict = stored(
        ("Connection", "a"), ("a", "1"), ("Link", "x"), FRESH, ("link", "y"), ("upgrade", "z")
    )

    assert verdict.headers == lines(("link", "x"), FRESH, ("link", "y"))


def test_a_cookie_kept_to_its_client_lets_the_rest_be_stored():
    """`private="set-cookie"` says that only the cookie is for one client."""
    verdict = stored(("cache-control", 'private="set-cookie", max-age=9'), ("set-cookie", "a=b"))

    assert not any(name == b"set-cookie" for name, _ in verdict.headers)


def test_set_cookie_is_stored_only_on_demand():
    """The option stores it as it is."""
    verdict = stored(FRESH, ("set-cookie", "a=b"), terms=Terms(set_cookie=True))

    assert (b"set-cookie", b"a=b") in verdict.headers


def test_request_no_store_counts_only_where_it_is_honoured():
    """RFC 9111 §5.2.1.5, an option."""
    request = lines(("cache-control", "no-store"))
    honouring = Terms(honor_request_directives=True)

    assert hit_after(3, judged(FRESH, request_headers=request))
    assert judged(FRESH, request_headers=request, terms=honouring) is Reason.REQUEST_NO_STORE
    assert hit_after(3, judged(FRESH, terms=honouring))


@pytest.mark.parametrize(
    ("headers", "status", "after", "hit"),
    [
        ((("last-modified", -86400),), 200, 3, True),
        ((("last-modified", -86400), ("content-disposition", "attachment")), 200, 3, True),
        ((("last-modified", -86400),), 404, 3, True),
        ((("last-modified", -86400),), 201, 0, False),
        ((("last-modified", -86400),), 503, 0, False),
        ((("last-modified", -86400), ("cache-control", "public")), 599, 3, True),
        ((("last-modified", -30),), 200, 3, False),
        ((("last-modified", -60),), 200, 3, True),
        ((("last-modified", -86400), ("cache-control", "max-age=1")), 200, 3, False),
        ((("last-modified", -86400), ("cache-control", "no-cache")), 200, 0, False),
        ((ETAG,), 200, 0, False),
    ],
)
def test_heuristics_guess_where_nothing_is_said(headers, status, after, hit):
    """RFC 9111 §4.2.2, an option; explicit freshness is never overridden."""
    assert hit_after(after, judged(*headers, status=status, terms=HEURISTICS)) is hit


def test_stale_on_arrival_is_stored_only_for_what_it_can_still_do():
    """A validator or an open window makes a stale response worth keeping."""
    stale = ("cache-control", "max-age=10, stale-if-error=60")

    assert stored(stale, ("age", "30")).stale_if_error == 60.0
    assert judged(stale, ("age", "70")) is Reason.STALE
    assert stored(stale, ("age", "70"), ETAG).keep_for_validation == KEEP_AT_LEAST


@pytest.mark.parametrize(
    ("headers", "etag", "last_modified", "keep"),
    [
        ((), None, None, 0.0),
        ((("etag", '"a"'),), b'"a"', None, KEEP_AT_LEAST),
        ((("etag", "a"),), b"a", None, KEEP_AT_LEAST),
        ((("etag", ""),), None, None, 0.0),
        ((("last-modified", "x"),), None, None, 0.0),
    ],
)
def test_validators_are_kept_as_they_are(headers, etag, last_modified, keep):
    """RFC 9110 §8.8: a malformed tag is a tag, a malformed date is no validator."""
    verdict = stored(("cache-control", "max-age=9"), *headers)

    assert (verdict.etag, verdict.last_modified) == (etag, last_modified)
    assert verdict.keep_for_validation == keep


def test_last_modified_is_a_validator():
    """It is stored as it is written."""
    verdict = stored(("cache-control", "max-age=9000"), ("last-modified", -100))

    assert verdict.last_modified == lines(("x", -100))[0][1]
    assert verdict.keep_for_validation == 9000.0


def test_what_is_kept_for_validation_is_bounded():
    """A year of freshness does not mean another year of staleness."""
    assert stored(("cache-control", "max-age=31536000"), ETAG).keep_for_validation == KEEP_AT_MOST


def test_vary_groups_and_immutable_are_noted():
    """They travel with the entry: RFC 9111 §4.1, RFC 9875 §2, RFC 8246."""
    verdict = stored(
        ("cache-control", "max-age=9, immutable"), ("vary", "B, a"), ("cache-groups", '"x", "y"')
    )

    assert verdict.vary == (b"a", b"b")
    assert verdict.tags == ("group:x", "group:y")
    assert verdict.immutable


TARGET = Target("http", b"example.com", b"/a", b"q=1")


@pytest.mark.parametrize(
    ("headers", "target", "reason"),
    [
        ((FRESH, ("content-location", "/a?q=1")), TARGET, None),
        ((FRESH, ("content-location", "http://example.com/a?q=1")), TARGET, None),
        ((FRESH, ("content-location", "/a")), TARGET, Reason.CONTENT_LOCATION),
        ((FRESH, ("content-location", "http://other.com/a?q=1")), TARGET, Reason.CONTENT_LOCATION),
        ((FRESH,), TARGET, Reason.CONTENT_LOCATION),
        ((FRESH, ("content-location", "/a?q=1")), None, Reason.CONTENT_LOCATION),
        ((("content-location", "/a?q=1"),), TARGET, Reason.NO_FRESHNESS),
    ],
)
def test_answer_to_post_is_stored_if_it_names_the_target(headers, target, reason):
    """RFC 9110 §9.3.3, an option: explicit freshness and Content-Location."""
    verdict = judged(*headers, method="POST", target=target, terms=Terms(post=True))

    assert isinstance(verdict, Store) if reason is None else verdict is reason


@pytest.mark.parametrize("method", ["POST", "QUERY"])
def test_answer_to_content_needs_only_freshness(method):
    """It answers the same content, and not a GET: no `Content-Location` has to allow that."""
    assert isinstance(judged(FRESH, method=method, terms=Terms(body=True)), Store)
    assert isinstance(judged(method=method, terms=Terms(body=True, lifetime=60)), Store)


@pytest.mark.parametrize(("method", "validated"), [("POST", False), ("QUERY", True)])
def test_answer_to_content_is_validated_where_the_method_has_conditions(method, validated):
    """RFC 9110 §13.1.2: a condition of a POST means another thing, so nothing is kept for one."""
    terms = Terms(body=True)
    stored = judged(FRESH, ETAG, method=method, terms=terms)
    always = judged(("cache-control", "max-age=60, no-cache"), ETAG, method=method, terms=terms)

    assert isinstance(stored, Store)
    assert (stored.keep_for_validation > 0) is validated
    assert isinstance(always, Store) is validated
    assert validated or always is Reason.NO_CACHE


def test_answer_to_post_is_never_stored_on_a_guess():
    """RFC 9110 §9.3.3 asks for explicit freshness."""
    verdict = judged(
        ("content-location", "/a?q=1"),
        ("last-modified", -86400),
        method="POST",
        target=TARGET,
        terms=Terms(post=True, heuristics=True),
    )

    assert verdict is Reason.NO_FRESHNESS


def test_limits_are_the_rule_s_own():
    """Bytes of body and of header block."""
    assert isinstance(judged(FRESH, ("content-length", "1048576")), Store)
    assert judged(FRESH, ("content-length", "11"), terms=Terms(max_entry=10)) is Reason.OVERSIZED
    assert judged(FRESH, terms=Terms(header_limit=10)) is Reason.HEADERS_OVERSIZED


def test_target_list_is_configurable():
    """RFC 9213 §2: one's own field comes first where it is named."""
    terms = Terms(targeted=(b"mine-cache-control",))

    assert stored(FRESH, ("mine-cache-control", "max-age=7"), terms=terms).lifetime == 7.0
    assert stored(FRESH, ("cdn-cache-control", "max-age=7"), terms=terms).lifetime == 3600.0


def test_a_judgement_cannot_be_edited():
    """What was decided is shared freely."""
    with pytest.raises(AttributeError, match="immutable"):
        stored(FRESH).lifetime = 1.0  # type: ignore[misc]


def test_etag_of_is_a_strong_tag_of_the_content():
    """128 bits of BLAKE2b in quotes."""
    assert etag_of(b"x") == b'"%b"' % hashlib.blake2b(b"x", digest_size=16).hexdigest().encode()
    assert etag_of(b"x") != etag_of(b"y")


@pytest.mark.parametrize(
    ("directives", "terms", "storable"),
    [
        ("max-age=60", FROM_ORIGIN, False),
        ("max-age=60, public", FROM_ORIGIN, True),
        ("max-age=60, must-revalidate", FROM_ORIGIN, True),
        ("s-maxage=60", FROM_ORIGIN, True),
        ("max-age=60, proxy-revalidate", FROM_ORIGIN, False),
        ("max-age=60", Terms(authorized=True), True),
        ("max-age=60", ANNOTATED, False),
        ("max-age=60, public", ANNOTATED, True),
        ("max-age=60", replace(ANNOTATED, authorized=True), True),
    ],
)
def test_answer_to_authorization_needs_permission(directives, terms, storable):
    """RFC 9111 §3.5, unless the user is in the key."""
    verdict = judged(
        ("cache-control", directives), request_headers=lines(("Authorization", "x")), terms=terms
    )

    assert isinstance(verdict, Store) if storable else verdict is Reason.AUTHORIZATION


def test_partial_response_is_stored_only_on_demand():
    """RFC 9111 §3.3, an option; it must say plainly where it lies."""
    terms = Terms(partial=True)
    part = (FRESH, ("content-range", "bytes 0-4/10"))
    careful = (("cache-control", "max-age=60, must-understand"), part[1])

    assert stored(*part, status=206, terms=terms).lifetime == 3600.0
    assert stored(*part, status=206, terms=replace(ANNOTATED, partial=True)).lifetime == 300.0
    assert stored(*careful, status=206, terms=terms).lifetime == 60.0
    assert judged(FRESH, status=206, terms=terms) is Reason.PARTIAL
