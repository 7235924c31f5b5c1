"""Storing under an annotation, which decides the lifetime; the stricter field still counts."""

import pytest
from msgspec.structs import replace

from asgi_multitier.policy.reasons import Reason
from asgi_multitier.policy.storing import (
    ON_ERROR,
    Store,
    client_headers,
)
from asgi_multitier.policy.terms import Terms
from tests.policy.support import ANNOTATED, FROM_ORIGIN, NOW, judged, lines, stored

FRESH = ("cache-control", "max-age=3600")
ETAG = ("etag", '"abc"')
HEURISTICS = Terms(heuristics=True)


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


def test_negative_is_an_annotation_s_own():
    """Where the response decides, `negative` gives a 404 no lifetime."""
    assert judged(status=404, terms=Terms(negative=10.0)) is Reason.NO_FRESHNESS


def test_annotated_post_needs_no_content_location():
    """The annotation names the method: the key covers what distinguishes the requests."""
    assert stored(method="POST", terms=replace(ANNOTATED, post=True)).lifetime == 300.0


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
