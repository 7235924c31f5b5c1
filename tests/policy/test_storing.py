"""Storing: what may be kept, for how long, in which form."""

import hashlib
from dataclasses import FrozenInstanceError, replace

import pytest

from asgi_multitier.policy.invalidation import Target
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.policy.storing import (
    KEEP_AT_LEAST,
    KEEP_AT_MOST,
    ON_ERROR,
    Store,
    client_headers,
    etag_of,
)
from asgi_multitier.policy.terms import Terms
from tests.policy.support import ANNOTATED, FROM_ORIGIN, NOW, hit_after, judged, lines, stored

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
        ((FRESH, ("set-cookie", "a=b")), {}, Reason.SET_COOKIE),
        ((FRESH, ("content-type", "text/event-stream")), {}, Reason.EVENT_STREAM),
        ((FRESH, ("content-length", "1048577")), {}, Reason.OVERSIZED),
        ((FRESH, ("x", "a\nb")), {}, Reason.BAD_HEADERS),
        ((FRESH, ("x", "a" * 17000)), {}, Reason.HEADERS_OVERSIZED),
        ((FRESH,), {"method": "HEAD"}, Reason.METHOD),
        ((FRESH,), {"method": "POST"}, Reason.METHOD),
        ((FRESH,), {"method": "QUERY"}, Reason.METHOD),
        ((FRESH,), {"method": "PUT", "terms": Terms(post=True)}, Reason.METHOD),
        ((FRESH,), {"status": 103}, Reason.STATUS),
        ((FRESH,), {"status": 304}, Reason.STATUS),
        ((FRESH,), {"status": 206}, Reason.PARTIAL),
        ((FRESH, ("content-range", "bytes 0-4/10")), {"status": 206}, Reason.PARTIAL),
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
    """`private="set-cookie"` says that only the cookie is somebody's own."""
    verdict = stored(("cache-control", 'private="set-cookie", max-age=9'), ("set-cookie", "a=b"))

    assert not any(name == b"set-cookie" for name, _ in verdict.headers)


def test_set_cookie_is_stored_only_on_demand():
    """The option stores it as it is."""
    verdict = stored(FRESH, ("set-cookie", "a=b"), terms=Terms(set_cookie=True))

    assert (b"set-cookie", b"a=b") in verdict.headers


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
    """RFC 9111 §3.5, unless who asks is in the key."""
    verdict = judged(
        ("cache-control", directives), request_headers=lines(("Authorization", "x")), terms=terms
    )

    assert isinstance(verdict, Store) if storable else verdict is Reason.AUTHORIZATION


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


@pytest.mark.parametrize(
    ("status", "terms", "lifetime"),
    [
        *((status, ANNOTATED, 300.0) for status in (200, 203, 204, 301, 308)),
        *((status, ANNOTATED, Reason.STATUS) for status in (201, 302, 303, 307, 404, 410, 500)),
        (404, replace(ANNOTATED, negative=10.0), 10.0),
        (410, replace(ANNOTATED, negative=10.0), 10.0),
        (400, replace(ANNOTATED, negative=10.0), Reason.STATUS),
        (206, ANNOTATED, Reason.PARTIAL),
        (405, replace(ANNOTATED, heuristics=True), Reason.STATUS),
    ],
)
def test_annotation_applies_to_few_statuses(status, terms, lifetime):
    """Its lifetime is for successes and lasting redirections, `negative` for absence."""
    verdict = judged(("last-modified", -86400), status=status, terms=terms)

    assert (verdict.lifetime if isinstance(verdict, Store) else verdict) == lifetime


def test_annotated_other_status_is_stored_by_its_own_freshness():
    """A 302 that says how long it lasts is stored for that long, its age counted."""
    verdict = stored(("cache-control", "max-age=20"), ("age", "5"), status=302, terms=ANNOTATED)

    assert (verdict.lifetime, verdict.age) == (20.0, 5.0)


@pytest.mark.parametrize(
    ("headers", "lifetime", "age"),
    [
        ((("cache-control", "max-age=1"),), 300.0, 0.0),
        ((("cache-control", "no-cache"),), 300.0, 0.0),
        ((("expires", -100), ("date", -7200)), 300.0, 0.0),
        ((("age", "20"),), 300.0, 20.0),
    ],
    ids=["shorter-max-age", "no-cache", "past-expires", "age"],
)
def test_annotation_decides_the_lifetime_here(headers, lifetime, age):
    """What the response tells clients is for clients; only its `Age` counts."""
    verdict = stored(*headers, terms=ANNOTATED, request_time=NOW - 2)

    assert (verdict.lifetime, verdict.age, verdict.always_validate) == (lifetime, age, False)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ((("cache-control", "no-store"),), Reason.NO_STORE),
        ((("cache-control", "private"),), Reason.PRIVATE),
        ((("cdn-cache-control", "no-store"),), Reason.NO_STORE),
        ((("set-cookie", "a=b"),), Reason.SET_COOKIE),
        ((("vary", "*"),), Reason.VARY_STAR),
        ((("age", "300"),), Reason.STALE),
    ],
)
def test_stricter_wins_under_an_annotation(headers, reason):
    """What forbids storing holds whatever the annotation says."""
    assert judged(*headers, terms=ANNOTATED) is reason


@pytest.mark.parametrize(
    ("directives", "terms", "windows"),
    [
        ("max-age=9", FROM_ORIGIN, (0.0, 0.0)),
        ("max-age=9, stale-while-revalidate=5, stale-if-error=6", FROM_ORIGIN, (5.0, 6.0)),
        ("max-age=9", Terms(stale_while_revalidate=7.0, stale_if_error=8.0), (7.0, 8.0)),
        (
            "max-age=9, stale-while-revalidate=0, stale-if-error=0",
            Terms(stale_while_revalidate=7.0, stale_if_error=8.0),
            (0.0, 0.0),
        ),
        ("max-age=9", Terms(stale_on_error=True), (0.0, ON_ERROR)),
        ("max-age=9, stale-if-error=6", Terms(stale_on_error=4.0), (0.0, 6.0)),
        ("max-age=9", Terms(stale_on_error=4.0), (0.0, 4.0)),
        *(
            (f"max-age=9, {d}, stale-while-revalidate=5, stale-if-error=6", terms, (0.0, 0.0))
            for d in ("must-revalidate", "proxy-revalidate", "s-maxage=9")
            for terms in (FROM_ORIGIN, Terms(stale_on_error=True))
        ),
        (
            "max-age=9, stale-while-revalidate=5",
            replace(ANNOTATED, stale_if_error=3.0),
            (0.0, 3.0),
        ),
        ("s-maxage=9", replace(ANNOTATED, stale_while_revalidate=3.0), (3.0, 0.0)),
        ("must-revalidate", replace(ANNOTATED, stale_while_revalidate=3.0), (0.0, 0.0)),
    ],
)
def test_stale_windows(directives, terms, windows):
    """RFC 5861, never against must-revalidate, proxy-revalidate or s-maxage."""
    verdict = stored(("cache-control", directives), terms=terms)

    assert (verdict.stale_while_revalidate, verdict.stale_if_error) == windows


def test_stale_on_arrival_is_stored_only_for_what_it_can_still_do():
    """A validator or an open window makes a stale response worth keeping."""
    stale = ("cache-control", "max-age=10, stale-if-error=60")

    assert stored(stale, ("age", "30")).stale_if_error == 60.0
    assert judged(stale, ("age", "70")) is Reason.STALE
    assert stored(stale, ("age", "70"), ETAG).keep_for_validation == KEEP_AT_LEAST
    assert judged(stale, ("age", "70"), ETAG, terms=Terms(validate=False)) is Reason.STALE


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


def test_negative_is_an_annotation_s_own():
    """Where the response decides, `negative` gives a 404 no lifetime."""
    assert judged(status=404, terms=Terms(negative=10.0)) is Reason.NO_FRESHNESS


def test_annotated_post_needs_no_content_location():
    """The annotation names the method: the key covers what distinguishes the requests."""
    assert stored(method="POST", terms=replace(ANNOTATED, post=True)).lifetime == 300.0


def test_partial_response_is_stored_only_on_demand():
    """RFC 9111 §3.3, an option; it must say plainly where it lies."""
    terms = Terms(partial=True)
    part = (FRESH, ("content-range", "bytes 0-4/10"))
    careful = (("cache-control", "max-age=60, must-understand"), part[1])

    assert stored(*part, status=206, terms=terms).lifetime == 3600.0
    assert stored(*part, status=206, terms=replace(ANNOTATED, partial=True)).lifetime == 300.0
    assert stored(*careful, status=206, terms=terms).lifetime == 60.0
    assert judged(FRESH, status=206, terms=terms) is Reason.PARTIAL


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
    with pytest.raises(FrozenInstanceError):
        stored(FRESH).lifetime = 1.0  # type: ignore[misc]


def test_etag_of_is_a_strong_tag_of_the_content():
    """128 bits of BLAKE2b in quotes."""
    assert etag_of(b"x") == b'"%b"' % hashlib.blake2b(b"x", digest_size=16).hexdigest().encode()
    assert etag_of(b"x") != etag_of(b"y")


@pytest.mark.parametrize(
    ("headers", "terms", "added"),
    [
        ((), ANNOTATED, (("cache-control", "no-cache"), ("etag", '"t"'))),
        ((FRESH,), ANNOTATED, (("etag", '"t"'),)),
        ((("expires", 9),), ANNOTATED, (("etag", '"t"'),)),
        ((FRESH, ETAG), ANNOTATED, ()),
        (
            (ETAG,),
            replace(ANNOTATED, client_cache=60.0),
            (("cache-control", "max-age=60"),),
        ),
        ((), FROM_ORIGIN, ()),
    ],
)
def test_clients_of_an_annotated_route_are_told_what_the_application_left_out(
    headers, terms, added
):
    """What the application says to clients is never changed."""
    assert client_headers(lines(*headers), b'"t"', terms) == lines(*headers, *added)


def test_no_tag_is_added_where_none_is_given():
    """A response that is no 200 may go without."""
    assert client_headers((), None, ANNOTATED) == lines(("cache-control", "no-cache"))


@pytest.mark.parametrize("forbidding", ["no-store", "private"])
def test_an_annotated_route_heeds_the_stricter_of_two_fields(forbidding: str) -> None:
    """Under an annotation `Cache-Control` forbids although a targeted field permits (RFC 9213)."""
    headers = (("cdn-cache-control", "max-age=60"), ("cache-control", forbidding))

    assert judged(*headers, terms=ANNOTATED) == forbidding
