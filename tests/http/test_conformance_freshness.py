"""How long a response may be used: `Cache-Control`, `Expires` and `Age` (RFC 9111 §4.2, §5)."""

from collections.abc import Sequence

import pytest

from tests.http.support import (
    FULL,
    HIT,
    ORIGIN,
    PLAIN,
    VALIDATED,
    Step,
    case,
    get,
    play,
    put,
    reuse,
)

MAX_AGE = ("Cache-Control", "max-age=3600")
EXPIRES = ("Expires", 3600)
DATE = ("Date", 0)

FRESHNESS = [
    reuse("nothing-said", ORIGIN),
    reuse("nothing-said-with-date", ORIGIN, DATE),
    reuse("max-age-expired", ORIGIN, ("Cache-Control", "max-age=2")),
    reuse("max-age-fresh", HIT, MAX_AGE),
    reuse("max-age-0", ORIGIN, ("Cache-Control", "max-age=0"), then=0),
    reuse("max-age-2^31", HIT, ("Cache-Control", "max-age=2147483648")),
    reuse("max-age-beyond-2^31", HIT, ("Cache-Control", "max-age=99999999999")),
    reuse("age-beyond-max-age", ORIGIN, MAX_AGE, ("Age", "12000"), then=0),
    reuse("apparent-age-beyond-max-age", ORIGIN, MAX_AGE, ("Date", -7200), then=0),
    reuse("max-age-over-past-expires", HIT, MAX_AGE, ("Expires", -7200)),
    reuse("max-age-over-malformed-expires", HIT, MAX_AGE, ("Expires", "0")),
    reuse("max-age-0-over-future-expires", ORIGIN, ("Cache-Control", "max-age=0"), EXPIRES),
    reuse("unknown-directives-before", HIT, ("Cache-Control", "foobar, max-age=3600")),
    reuse("unknown-argument-before", HIT, ("Cache-Control", "foo=bar, max-age=3600")),
    reuse("directive-name-in-any-case", HIT, ("Cache-Control", "mAx-aGe=3600")),
    reuse("max-age-negative", ORIGIN, ("Cache-Control", "max-age=-3600")),
    reuse("s-maxage-alone", HIT, ("Cache-Control", "s-maxage=3600")),
    reuse("s-maxage-over-longer-max-age", ORIGIN, ("Cache-Control", "max-age=3600, s-maxage=1")),
    reuse(
        "s-maxage-over-longer-max-age-two-lines",
        ORIGIN,
        ("Cache-Control", "max-age=3600"),
        ("Cache-Control", "s-maxage=1"),
    ),
    reuse(
        "s-maxage-over-max-age-0-and-past-expires",
        HIT,
        ("Cache-Control", "max-age=0, s-maxage=3600"),
        ("Expires", -7200),
    ),
]

PARSING = [
    reuse("other-lines-first", HIT, ("Cache-Control", "public"), MAX_AGE),
    reuse("duplicate-first-counts", ORIGIN, ("Cache-Control", "max-age=1, max-age=1800")),
    reuse("duplicate-longer-first", HIT, ("Cache-Control", "max-age=1800, max-age=1"), then=0),
    reuse(
        "duplicate-on-two-lines",
        ORIGIN,
        ("Cache-Control", "max-age=1"),
        ("Cache-Control", "max-age=1800"),
    ),
    reuse("quoted", HIT, ("Cache-Control", 'max-age="3600"')),
    reuse(
        "inside-a-quoted-string-before",
        HIT,
        ("Cache-Control", 'extension="max-age=0", max-age=3600'),
    ),
    reuse(
        "inside-a-quoted-string-longer",
        ORIGIN,
        ("Cache-Control", 'extension="max-age=3600", max-age=1'),
    ),
    reuse("inside-a-quoted-string-only", ORIGIN, ("Cache-Control", 'extension="max-age=3600"')),
    reuse("space-before-equals", ORIGIN, ("Cache-Control", "max-age =3600")),
    reuse("leading-zeros", HIT, ("Cache-Control", "max-age=003600")),
    reuse("single-quotes", ORIGIN, ("Cache-Control", "max-age='3600'")),
    reuse("decimal", ORIGIN, ("Cache-Control", "max-age=3600.0")),
    reuse("decimal-half", ORIGIN, ("Cache-Control", "max-age=3600.5")),
    reuse("letter-before", ORIGIN, ("Cache-Control", "max-age=a3600")),
    reuse("letter-behind", ORIGIN, ("Cache-Control", "max-age=3600a")),
]

AGE = [
    reuse("no-number", HIT, MAX_AGE, ("Age", "abc")),
    reuse("negative", HIT, MAX_AGE, ("Age", "-7200")),
    reuse("decimal", HIT, MAX_AGE, ("Age", "7200.0")),
    reuse("2^31-1", ORIGIN, MAX_AGE, ("Age", "2147483647")),
    reuse("2^31", ORIGIN, MAX_AGE, ("Age", "2147483648")),
    reuse("beyond-2^31", ORIGIN, MAX_AGE, ("Age", "99999999999")),
    reuse("first-member-counts", HIT, MAX_AGE, ("Age", "0, 7200")),
    reuse("first-line-counts", HIT, MAX_AGE, ("Age", "0"), ("Age", "7200")),
    reuse("old-first", ORIGIN, MAX_AGE, ("Age", "7200, 0")),
    reuse("old-line-first", ORIGIN, MAX_AGE, ("Age", "7200"), ("Age", "0")),
    reuse("doubled", HIT, MAX_AGE, ("Age", "0, 0")),
    reuse("doubled-two-lines", HIT, MAX_AGE, ("Age", "0"), ("Age", "0")),
    reuse(
        "doubled-within-lifetime",
        HIT,
        ("Cache-Control", "max-age=10000"),
        ("Age", "3600"),
        ("Age", "3600"),
    ),
    reuse("with-parameter", HIT, MAX_AGE, ("Age", "7200;foo=bar")),
]

EXPIRES_FIELD = [
    reuse("future", HIT, EXPIRES, DATE),
    reuse("past", ORIGIN, ("Expires", -7200), DATE, then=0),
    reuse("equal-to-date", ORIGIN, ("Expires", 0), DATE, then=0),
    reuse("before-a-later-date", ORIGIN, ("Expires", 7200), ("Date", 14400), then=0),
    reuse("zero", ORIGIN, ("Expires", "0"), DATE, then=0),
    reuse("unparsable-date", HIT, ("Expires", 10), ("Date", "foo")),
    reuse("age-beyond-lifetime", ORIGIN, ("Expires", 20), DATE, ("Age", "25"), then=0),
    reuse("age-with-slow-date", ORIGIN, ("Expires", 10), ("Date", -10), ("Age", "25"), then=0),
]

EXPIRES_SYNTAX = [
    reuse("imf-fixdate", HIT, ("Expires", "Tue, 15 Jan 2030 08:00:00 GMT")),
    reuse("rfc850", HIT, ("Expires", "Tuesday, 18-Aug-50 02:01:18 GMT")),
    reuse("asctime", HIT, ("Expires", "Tue Jan 15 08:00:00 2030")),
    reuse("upper-case-weekday", HIT, ("Expires", "TUE, 15 Jan 2030 08:00:00 GMT")),
    reuse("upper-case-month", HIT, ("Expires", "Tue, 15 JAN 2030 08:00:00 GMT")),
    reuse("lower-case-zone", HIT, ("Expires", "Tue, 15 Jan 2030 08:00:00 gMT")),
    reuse("zone-utc", ORIGIN, ("Expires", "Tue, 15 Jan 2030 08:00:00 UTC")),
    reuse("zone-aest", ORIGIN, ("Expires", "Tue, 15 Jan 2030 08:00:00 AEST")),
    reuse("no-zone", ORIGIN, ("Expires", "Tue, 15 Jan 2030 08:00:00")),
    reuse("no-comma", ORIGIN, ("Expires", "Tue 15 Jan 2030 08:00:00 GMT")),
    reuse("double-spaces", ORIGIN, ("Expires", "Tue,  15  Jan  2030  08:00:00  GMT")),
    reuse("dashes-with-four-digits", ORIGIN, ("Expires", "Tue, 15-Jan-2030 08:00:00 GMT")),
    reuse("dots-in-time", ORIGIN, ("Expires", "Tue, 15 Jan 2030 08.00.00 GMT")),
    reuse("one-digit-hour", ORIGIN, ("Expires", "Tue, 15 Jan 2030 8:00:00 GMT")),
    reuse("two-digit-year", ORIGIN, ("Expires", "Tue, 15 Jan 30 08:00:00 GMT")),
    reuse("two-lines", ORIGIN, ("Expires", "0"), ("Expires", "0")),
    reuse("two-valid-lines", ORIGIN, ("Expires", 3600), ("Expires", 7200)),
]

SHARED_CONTROL = ("Cache-Control", "max-age=3600")

TARGETED = [
    reuse("alone", HIT, ("CDN-Cache-Control", "max-age=3600")),
    reuse("beyond-2^31", HIT, ("CDN-Cache-Control", "max-age=99999999999")),
    reuse("age-beyond-it", ORIGIN, ("CDN-Cache-Control", "max-age=3600"), ("Age", "12000")),
    reuse("space-behind-equals", ORIGIN, ("CDN-Cache-Control", "max-age= 100")),
    reuse("unknown-members", HIT, ("CDN-Cache-Control", "foo, bar=baz, max-age=3600")),
    reuse("key-in-capitals", ORIGIN, ("CDN-Cache-Control", "MaX-aGe=3600")),
    reuse("over-past-expires", HIT, ("CDN-Cache-Control", "max-age=3600"), ("Expires", -7200)),
    reuse(
        "over-shorter-max-age",
        HIT,
        ("Cache-Control", "max-age=1"),
        ("CDN-Cache-Control", "max-age=3600"),
    ),
    reuse("over-longer-max-age", ORIGIN, MAX_AGE, ("CDN-Cache-Control", "max-age=1")),
    reuse("private", ORIGIN, MAX_AGE, EXPIRES, ("CDN-Cache-Control", "private")),
    reuse("no-cache", ORIGIN, MAX_AGE, EXPIRES, ("CDN-Cache-Control", "no-cache")),
    reuse("no-store", ORIGIN, MAX_AGE, EXPIRES, ("CDN-Cache-Control", "no-store")),
    reuse(
        "over-no-store",
        HIT,
        ("Cache-Control", "no-store"),
        ("CDN-Cache-Control", "max-age=3600"),
    ),
    reuse("wrong-type", ORIGIN, ("CDN-Cache-Control", 'max-age="3600"')),
    reuse("malformed-is-absent", HIT, MAX_AGE, ("CDN-Cache-Control", "max-age=1;;,no-store=")),
    case(
        "fields-for-others-stay",
        put(
            ("CDN-Cache-Control", "max-age=3600"),
            ("Date", 0),
            ("Expires", "Tue, 15 Jan 2030 08:00:00 GMT"),
            then=3,
        ),
        get(
            has=(
                ("Date", -3),
                ("Expires", "Tue, 15 Jan 2030 08:00:00 GMT"),
                ("CDN-Cache-Control", "max-age=3600"),
            )
        ),
    ),
]

ETAG = ("ETag", '"abc"')

RESPONSE_DIRECTIVES = [
    reuse("no-store", ORIGIN, ("Cache-Control", "no-store"), then=0),
    reuse("no-store-in-any-case", ORIGIN, ("Cache-Control", "No-StOrE"), then=0),
    reuse("no-store-over-max-age", ORIGIN, ("Cache-Control", "no-store, max-age=3600"), EXPIRES),
    reuse("no-store-with-max-age-0", ORIGIN, ("Cache-Control", "no-store, max-age=0"), then=0),
    reuse("private", ORIGIN, ("Cache-Control", "private, max-age=3600")),
    reuse("no-cache", ORIGIN, ("Cache-Control", "no-cache"), then=0),
    reuse("no-cache-over-max-age", ORIGIN, ("Cache-Control", "no-cache, max-age=3600"), EXPIRES),
    reuse("no-cache-in-any-case", ORIGIN, ("Cache-Control", "No-CaChE, max-age=3600")),
    case(
        "no-cache-with-etag-is-validated",
        put(("Cache-Control", "no-cache"), ETAG, content=b"content 1"),
        get(VALIDATED, status=304, sent=(("If-None-Match", '"abc"'),), content=b"content 1"),
        get(VALIDATED, status=304, content=b"content 1"),
    ),
    case(
        "no-cache-with-field-name",
        put(
            ("Cache-Control", 'max-age=3600, no-cache="a"'),
            ("a", "1"),
            ("b", "2"),
            has=(("a", "1"),),
        ),
        get(HIT, lacks=("a",), has=(("b", "2"),)),
    ),
    case(
        "no-cache-with-field-names",
        put(("Cache-Control", 'max-age=3600, no-cache="a, b"'), ("a", "1"), ("b", "2"), ("c", "3")),
        get(HIT, lacks=("a", "b"), has=(("c", "3"),)),
    ),
    case(
        "private-with-field-name",
        put(("Cache-Control", 'max-age=3600, private="a"'), ("a", "1"), has=(("a", "1"),)),
        get(HIT, lacks=("a",)),
    ),
    reuse("must-revalidate-while-fresh", HIT, ("Cache-Control", "max-age=3600, must-revalidate")),
    case(
        "must-revalidate-once-stale",
        put(("Cache-Control", "max-age=2, must-revalidate"), ETAG, then=1),
        get(HIT, then=2),
        get(VALIDATED, status=304, sent=(("If-None-Match", '"abc"'),)),
    ),
]

PRAGMA = [
    case("unknown-in-request", put(MAX_AGE), get(HIT, ask=(("Pragma", "foo"),))),
    reuse("no-cache-in-response", HIT, MAX_AGE, ("Pragma", "no-cache")),
    reuse("unknown-in-response", HIT, MAX_AGE, ("Pragma", "foo")),
    case(
        "no-cache-in-request",
        put(MAX_AGE),
        get((HIT, ORIGIN), ask=(("Pragma", "no-cache"),)),
    ),
    case(
        "ignored-with-cache-control",
        put(MAX_AGE),
        get(HIT, ask=(("Pragma", "no-cache"), ("Cache-Control", "nothing-to-see-here"))),
    ),
]


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", FRESHNESS)
async def test_explicit_freshness(steps: Sequence[Step], profile: str) -> None:
    """A response is used for as long as it says (RFC 9111 §4.2.1)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", PARSING)
async def test_cache_control_is_read_by_its_grammar(steps: Sequence[Step], profile: str) -> None:
    """What is malformed is never read as permission (RFC 9111 §5.2)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", AGE)
async def test_age_of_upstream_counts(steps: Sequence[Step], profile: str) -> None:
    """The first member counts if it is all digits (RFC 9111 §5.1)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", EXPIRES_FIELD)
async def test_expires_counts_from_date(steps: Sequence[Step], profile: str) -> None:
    """The lifetime is Expires minus Date, and age counts against it (RFC 9111 §5.3)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", EXPIRES_SYNTAX)
async def test_expires_is_a_date_to_the_letter(steps: Sequence[Step], profile: str) -> None:
    """What is no date lies in the past (RFC 9110 §5.6.7, RFC 9111 §5.3)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", TARGETED)
async def test_targeted_field_replaces_cache_control(steps: Sequence[Step], profile: str) -> None:
    """A valid CDN-Cache-Control decides alone (RFC 9213 §2.2)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", RESPONSE_DIRECTIVES)
async def test_response_directives(steps: Sequence[Step], profile: str) -> None:
    """What forbids storing or reuse is obeyed (RFC 9111 §5.2.2)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", PRAGMA)
async def test_pragma(steps: Sequence[Step], profile: str) -> None:
    """It counts in requests that have no Cache-Control, where those are heard (RFC 9111 §5.4)."""
    await play(steps, profile)
