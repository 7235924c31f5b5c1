"""Age and freshness lifetime (RFC 9111 §4.2)."""

import pytest

from asgi_multitier.policy import freshness
from asgi_multitier.policy.cache_control import MAX_DELTA, CacheControl, parse
from tests.policy.support import NOW, lines


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([], 0),
        (["30"], 30),
        (["abc"], 0),
        (["-7200"], 0),
        (["7200.0"], 0),
        (["7200;foo=bar"], 0),
        (["1000000000"], 1_000_000_000),
        (["2147483647"], 2147483647),
        (["2147483648"], MAX_DELTA),
        (["9" * 5000], MAX_DELTA),
        (["0, 7200"], 0),
        (["7200, 0"], 7200),
        (["0", "7200"], 0),
        (["0, 0"], 0),
        (["3600", "3600"], 3600),
        (["\t5 "], 5),
        ([""], 0),
        (["00000000000007"], 7),
    ],
)
def test_age_is_the_first_member_if_it_is_all_digits(values, seconds):
    """RFC 9111 §5.1; anything else is ignored."""
    assert freshness.age_value(lines(*(("age", v) for v in values))) == seconds


@pytest.mark.parametrize(
    ("headers", "now", "request_time", "age"),
    [
        ((), NOW, NOW, 0.0),
        ((("date", 0),), NOW, NOW, 0.0),
        ((("date", 0),), NOW + 0.9, NOW + 0.9, 0.0),
        ((("date", -7200),), NOW, NOW, 7200.0),
        ((("date", 50),), NOW, NOW, 0.0),
        ((("date", "foo"),), NOW, NOW, 0.0),
        ((("date", -100), ("date", -200)), NOW, NOW, 0.0),
        ((("age", "30"),), NOW, NOW, 30.0),
        ((("age", "30"), ("date", -10)), NOW, NOW, 30.0),
        ((("age", "30"), ("date", -40)), NOW, NOW, 40.0),
        ((("age", "30"),), NOW, NOW - 2.0, 32.0),
        ((), NOW, NOW - 2.0, 2.0),
        ((), NOW, NOW + 2.0, 0.0),
    ],
    ids=[
        "nothing",
        "date-now",
        "fraction-of-a-second",
        "apparent-age",
        "date-ahead",
        "bad-date",
        "two-dates",
        "age",
        "age-beats-date",
        "date-beats-age",
        "response-delay",
        "delay-alone",
        "clock-stepped-back",
    ],
)
def test_initial_age_is_the_greater_of_apparent_and_corrected(headers, now, request_time, age):
    """RFC 9111 §4.2.3."""
    assert freshness.initial_age(lines(*headers), now=now, request_time=request_time) == age


@pytest.mark.parametrize(
    ("headers", "lifetime"),
    [
        ((), None),
        ((("cache-control", "max-age=5"),), 5.0),
        ((("cache-control", "max-age=5"), ("expires", -100)), 5.0),
        ((("cache-control", "max-age=5"), ("expires", "x")), 5.0),
        ((("cache-control", "max-age=0"), ("expires", 100)), 0.0),
        ((("cache-control", "s-maxage=7, max-age=5"), ("expires", -100)), 7.0),
        ((("cache-control", "max-age=-5"), ("expires", 100)), 0.0),
        ((("expires", 100),), 100.0),
        ((("expires", 100), ("date", -50)), 150.0),
        ((("expires", 300), ("date", 400)), 0.0),
        ((("expires", 0), ("date", 0)), 0.0),
        ((("expires", -100), ("date", 0)), 0.0),
        ((("expires", "0"),), 0.0),
        ((("expires", ""),), 0.0),
        ((("expires", 10), ("date", "foo")), 10.0),
        ((("expires", 10), ("expires", 10)), 0.0),
        ((("expires", "x"), ("expires", "y")), 0.0),
        ((("expires", "Sat, 01 Jan 9999 00:00:00 GMT"),), float(MAX_DELTA)),
        ((("cache-control", "public"), ("expires", 10)), 10.0),
    ],
)
def test_explicit_lifetime_is_s_maxage_then_max_age_then_expires(headers, lifetime):
    """RFC 9111 §4.2.1 and §5.3; invalid means stale."""
    fields = lines(*headers)
    directives = parse([v for n, v in fields if n == b"cache-control"])

    assert (
        freshness.explicit_lifetime(fields, directives, targeted=False, now=NOW + 0.5) == lifetime
    )


def test_expires_does_not_count_beside_a_targeted_field():
    """RFC 9213 §2.2."""
    directives = CacheControl(public=True)

    assert (
        freshness.explicit_lifetime(lines(("expires", 10)), directives, targeted=True, now=NOW)
        is None
    )


@pytest.mark.parametrize(
    ("status", "public", "headers", "lifetime"),
    [
        (200, False, (("last-modified", -86400), ("date", 0)), 8640.0),
        (200, False, (("last-modified", -30),), 3.0),
        (200, False, (("last-modified", -60),), 6.0),
        (200, False, (("last-modified", -400 * 86400),), 86400.0),
        (200, False, (("last-modified", 100),), 0.0),
        (200, False, (("last-modified", "x"),), None),
        (200, False, (), None),
        (404, False, (("last-modified", -86400),), 8640.0),
        (414, False, (("last-modified", -86400),), 8640.0),
        (201, False, (("last-modified", -86400),), None),
        (202, False, (("last-modified", -86400),), None),
        (403, False, (("last-modified", -86400),), None),
        (503, False, (("last-modified", -86400),), None),
        (504, False, (("last-modified", -86400),), None),
        (599, False, (("last-modified", -86400),), None),
        (599, True, (("last-modified", -86400),), 8640.0),
    ],
)
def test_heuristic_lifetime_is_a_tenth_of_the_time_unchanged(status, public, headers, lifetime):
    """RFC 9111 §4.2.2, for the codes of RFC 9110 §15.1 or with `public`; a day at most."""
    directives = CacheControl(public=public)

    assert (
        freshness.heuristic_lifetime(lines(*headers), directives, status=status, now=NOW)
        == lifetime
    )


@pytest.mark.parametrize(
    ("given", "from_origin", "annotated"),
    [
        (b"max-age=5", False, False),
        (b"must-revalidate", True, True),
        (b"proxy-revalidate", True, True),
        (b"s-maxage=5", True, False),
        (b"no-cache", True, False),
        (b'no-cache="a"', False, False),
    ],
)
def test_what_forbids_stale_use(given, from_origin, annotated):
    """RFC 9111 §4.2.4; an annotation replaces s-maxage and no-cache, never the other two."""
    directives = parse([given])

    assert freshness.forbids_stale(directives, annotated=False) is from_origin
    assert freshness.forbids_stale(directives, annotated=True) is annotated
