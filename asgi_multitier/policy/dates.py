"""HTTP dates (RFC 9110 §5.6.7): the three formats exactly, in any letter case.

Anything else is not a date: a cache that guesses at `Expires` may keep a response for too long. The
day of the week is not compared with the date, as it adds nothing to it.
"""

import re
from datetime import date
from email.utils import formatdate

DATE = b"date"

_MONTHS = {
    name: number
    for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}
_DAY = rb"(?:mon|tue|wed|thu|fri|sat|sun)"
_LONG_DAY = rb"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_MONTH = rb"(?P<month>" + b"|".join(_MONTHS) + rb")"
_TIME = rb"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9]|60)"
_FORMATS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        _DAY + rb", (?P<day>[0-9]{2}) " + _MONTH + rb" (?P<year>[0-9]{4}) " + _TIME + rb" GMT",
        _LONG_DAY + rb", (?P<day>[0-9]{2})-" + _MONTH + rb"-(?P<year>[0-9]{2}) " + _TIME + rb" GMT",
        _DAY + rb" " + _MONTH + rb" (?P<day>[0-9]{2}| [0-9]) " + _TIME + rb" (?P<year>[0-9]{4})",
    )
)
_EPOCH = date(1970, 1, 1).toordinal()
_FIFTY_YEARS = 50 * 365.2425 * 86400


def parse_http_date(value: bytes, now: float) -> float | None:
    """The moment that an HTTP date names, in Unix seconds, or None if it is not one.

    Args:
        value: The field value, without outer white space.
        now: Unix seconds. It decides the century of a two-digit year: the latest that is not more
            than 50 years ahead.
    """
    for pattern in _FORMATS:
        if match := pattern.fullmatch(value):
            break
    else:
        return None
    month, day = _MONTHS[match["month"].lower()], int(match["day"])
    clock = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    if len(match["year"]) == 4:
        return _moment(int(match["year"]), month, day, clock)
    this_year = 1970 + int(now // (365.2425 * 86400))
    year = this_year + 1 + (int(match["year"]) - this_year - 1) % 100
    for candidate in (year, year - 100):
        moment = _moment(candidate, month, day, clock)
        if moment is not None and moment <= now + _FIFTY_YEARS:
            return moment
    return None


def _moment(year: int, month: int, day: int, clock: int) -> float | None:
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:  # no such day, as 30 February
        return None
    return float(days * 86400 + clock)


def format_http_date(moment: float) -> bytes:
    """The preferred format of a moment given in Unix seconds; fractions are cut off."""
    return formatdate(int(moment), usegmt=True).encode("ascii")
