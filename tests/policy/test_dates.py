"""HTTP dates: three formats, to the letter."""

import pytest

from asgi_multitier.policy.dates import format_http_date, parse_http_date
from tests.policy.support import NOW

EXAMPLE = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 §5.6.7


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (b"Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE),
        (b"Sun Nov  6 08:49:37 1994", EXAMPLE),
        (b"Sun Nov 06 08:49:37 1994", EXAMPLE),
        (b"SUN, 06 Nov 1994 08:49:37 GMT", EXAMPLE),
        (b"Sun, 06 NOV 1994 08:49:37 GMT", EXAMPLE),
        (b"Sun, 06 Nov 1994 08:49:37 gMT", EXAMPLE),
        (b"Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        (b"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800.0),
        (b"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800.0),
        (b"Thu, 18 Aug 2050 02:01:18 GMT", 2544400878.0),
    ],
    ids=[
        "imf-fixdate",
        "rfc850",
        "asctime",
        "asctime-zero",
        "weekday-case",
        "month-case",
        "zone-case",
        "epoch",
        "leap-second",
        "leap-day",
        "2050",
    ],
)
def test_parses_the_three_formats(value, moment):
    """RFC 9110 §5.6.7, in any letter case."""
    assert parse_http_date(value, NOW) == moment


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"0",
        b"-1",
        b"foo",
        b"Thu, 18 Aug 2050 02:01:18 UTC",
        b"Thu, 18 Aug 2050 02:01:18 +0000",
        b"Thu, 18 Aug 2050 02:01:18",
        b"Thu 18 Aug 2050 02:01:18 GMT",
        b"Thu, 18  Aug  2050 02:01:18 GMT",
        b"Thu, 18-Aug-2050 02:01:18 GMT",
        b"Thu, 18 Aug 50 02:01:18 GMT",
        b"Thu, 18 Aug 2050 02.01.18 GMT",
        b"Thu, 18 Aug 2050 2:01:18 GMT",
        b"Thu, 8 Aug 2050 02:01:18 GMT",
        b"Thu, 18 Aug 2050 24:01:18 GMT",
        b"Thu, 18 Aug 2050 02:60:18 GMT",
        b"Thu, 18 Aug 2050 02:01:61 GMT",
        b"Fri, 30 Feb 2024 00:00:00 GMT",
        b"Fri, 00 Feb 2024 00:00:00 GMT",
        b"Fri, 01 Feb 0000 00:00:00 GMT",
        b"Friday, 30-Feb-24 00:00:00 GMT",
        b"Xyz, 18 Aug 2050 02:01:18 GMT",
        b"Thu, 18 Aux 2050 02:01:18 GMT",
        b"Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT",
        b"Thu, 18 Aug 2050 02:01:18 GMT\n",
        b"2050-08-18T02:01:18Z",
        b"Thu, 18 Aug 205\xd9\xa0 02:01:18 GMT",
    ],
)
def test_refuses_everything_else(value):
    """What is nearly a date is no date: taking it for one errs towards staleness."""
    assert parse_http_date(value, NOW) is None


@pytest.mark.parametrize(
    ("digits", "year"),
    [("27", 2027), ("50", 2050), ("76", 2076), ("78", 1978), ("26", 2026), ("00", 2000)],
)
def test_two_digit_year_is_at_most_fifty_years_ahead(digits, year):
    """RFC 9110 §5.6.7, from January 2027."""
    short = f"Friday, 01-Jan-{digits} 00:00:00 GMT".encode()
    full = f"Fri, 01 Jan {year} 00:00:00 GMT".encode()

    assert parse_http_date(short, NOW) == parse_http_date(full, NOW)


def test_formats_a_moment_in_the_preferred_form():
    """Fractions are cut off, and what is written is read back."""
    assert format_http_date(EXAMPLE + 0.9) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert parse_http_date(format_http_date(NOW), NOW) == NOW
