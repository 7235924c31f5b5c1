"""`Cache-Control` (RFC 9111 §5.2) and its targeted relatives (RFC 9213).

One rule for malformed directives: what forbids counts however badly it is written, what permits
counts only when it is well-formed. So a malformed lifetime is a lifetime of 0, `no-store=x` is
`no-store`, and `public=x` is ignored. Of a lifetime given twice the first counts (RFC 9111 §4.2.1).
"""

import re
from collections.abc import Sequence
from typing import Any

import http_sf
import msgspec
from msgspec.structs import replace

from .._types import Headers
from . import headers as fields

MAX_DELTA = 2**31
"""Seconds: larger numbers mean this one (RFC 9111 §1.2.2)."""


class CacheControl(msgspec.Struct, frozen=True, kw_only=True):
    """The directives of one message. Times are seconds; None where a directive is absent.

    Attributes:
        max_age: §5.2.2.1, and §5.2.1.1 in a request.
        s_maxage: §5.2.2.10.
        no_store: §5.2.2.5, §5.2.1.5.
        no_cache: §5.2.2.4 without field names, §5.2.1.4.
        no_cache_fields: The lower-case names of `no-cache="..."`.
        private: §5.2.2.7 without field names.
        private_fields: The lower-case names of `private="..."`.
        public: §5.2.2.9.
        must_revalidate: §5.2.2.2.
        proxy_revalidate: §5.2.2.8.
        must_understand: §5.2.2.3.
        immutable: RFC 8246 §2.
        stale_while_revalidate: RFC 5861 §3.
        stale_if_error: RFC 5861 §4.
        min_fresh: §5.2.1.3.
        max_stale: §5.2.1.2; infinite where it has no argument.
        only_if_cached: §5.2.1.7.
        no_transform: §5.2.2.6, §5.2.1.6.
    """

    max_age: int | None = None
    s_maxage: int | None = None
    no_store: bool = False
    no_cache: bool = False
    no_cache_fields: tuple[bytes, ...] = ()
    private: bool = False
    private_fields: tuple[bytes, ...] = ()
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    immutable: bool = False
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    min_fresh: int | None = None
    max_stale: float | None = None
    only_if_cached: bool = False
    no_transform: bool = False


ABSENT = CacheControl()
"""The directives of a message without the field."""


def _attributes(*names: bytes) -> dict[bytes, str]:
    """The attributes of `CacheControl` for directives."""
    return {name: name.replace(b"-", b"_").decode() for name in names}


_SECONDS = _attributes(b"max-age", b"s-maxage", b"stale-while-revalidate", b"stale-if-error")
_FORBIDDING = _attributes(
    b"no-store", b"must-revalidate", b"proxy-revalidate", b"only-if-cached", b"no-transform"
)
_PERMITTING = _attributes(b"public", b"must-understand", b"immutable")
_QUALIFIABLE = {
    b"no-cache": ("no_cache", "no_cache_fields"),
    b"private": ("private", "private_fields"),
}
_QUOTED = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def parse(lines: Sequence[bytes]) -> CacheControl:
    """Read all `Cache-Control` lines of a message as one list.

    Args:
        lines: The values, in order. Never raises, whatever they hold; linear in their length.
    """
    if not lines:
        return ABSENT
    sound, doubtful = fields.split(b",".join(lines))
    found: dict[str, Any] = {}
    for member in sound:
        _read(found, member)
    for member in doubtful:
        _read_doubtful(found, member)
    return CacheControl(**found)


def of_request(request_headers: Headers) -> CacheControl:
    """The directives of a request; `Pragma: no-cache` counts where it has none (RFC 9111 §5.4)."""
    lines = fields.values(request_headers, b"cache-control")
    if lines:
        return parse(lines)
    pragma = fields.combined(request_headers, b"pragma")
    if pragma is not None and b"no-cache" in (part.lower() for part in fields.members(pragma)):
        return replace(ABSENT, no_cache=True)
    return ABSENT


def _read(found: dict[str, Any], member: bytes) -> None:
    raw_name, equals, raw_argument = member.partition(b"=")
    argument = raw_argument if equals else None
    written = raw_name.lower()
    name = written.strip(b" \t")
    if attribute := _FORBIDDING.get(name):
        found[attribute] = True
    elif name in _QUALIFIABLE:
        _qualify(found, name, argument)
    elif written != name:
        return  # "max-age =1" is not max-age, but "no-store =1" counts as no-store
    elif attribute := _SECONDS.get(name):
        _keep_first(found, attribute, _seconds(argument))
    elif attribute := _PERMITTING.get(name):
        if argument is None:
            found[attribute] = True
    elif name == b"min-fresh":
        # It demands freshness: a malformed demand counts as the greatest.
        demand = _seconds(argument)
        found["min_fresh"] = max(found.get("min_fresh", 0), MAX_DELTA if demand is None else demand)
    elif name == b"max-stale":
        stale = float("inf") if argument is None else _seconds(argument) or 0
        found["max_stale"] = min(found.get("max_stale", stale), stale)


def _read_doubtful(found: dict[str, Any], member: bytes) -> None:
    """A member after an unclosed quote can only forbid."""
    name = member.partition(b"=")[0].strip(b" \t").lower()
    if attribute := _FORBIDDING.get(name):
        found[attribute] = True
    elif name in _QUALIFIABLE:
        found[_QUALIFIABLE[name][0]] = True
    elif attribute := _SECONDS.get(name):
        found[attribute] = 0


def _keep_first(found: dict[str, Any], attribute: str, seconds: int | None) -> None:
    if seconds is None:
        found[attribute] = 0
    else:
        found.setdefault(attribute, seconds)


def _qualify(found: dict[str, Any], name: bytes, argument: bytes | None) -> None:
    whole, listed = _QUALIFIABLE[name]
    names = None if argument is None else field_names(_unquoted(argument))
    if names is None:
        found[whole] = True
    else:
        found[listed] = found.get(listed, ()) + names


def field_names(argument: bytes) -> tuple[bytes, ...] | None:
    """The lower-case field names of a qualified directive, or None where it is not such a list."""
    names = tuple(name.lower() for name in fields.members(argument))
    return names if names and all(map(fields.is_token, names)) else None


def _unquoted(argument: bytes) -> bytes:
    match = _QUOTED.fullmatch(argument)
    return _QUOTED_PAIR.sub(rb"\1", match[1]) if match else argument


def _seconds(argument: bytes | None) -> int | None:
    """Delta-seconds, clamped; None if it is anything but digits, in quotes or not."""
    return None if argument is None else delta_seconds(_unquoted(argument))


def delta_seconds(digits: bytes) -> int | None:
    """The seconds, clamped (RFC 9111 §1.2.2); None if it is anything but digits."""
    if not digits.isdigit():
        return None
    significant = digits.lstrip(b"0")
    return MAX_DELTA if len(significant) > 10 else min(int(significant or b"0"), MAX_DELTA)


def parse_targeted(lines: Sequence[bytes]) -> CacheControl | None:
    """Read the lines of a targeted field such as `CDN-Cache-Control` (RFC 9213 §2.1).

    Returns:
        The directives, or None where the field is absent, empty or no valid Dictionary (RFC 9651
        §3.2): then it counts as absent. A lifetime of the wrong type is left out.
    """
    if not lines:
        return None
    try:
        dictionary = http_sf.parse(b", ".join(lines), tltype="dictionary")
    except http_sf.StructuredFieldError:
        return None
    if not isinstance(dictionary, dict) or not dictionary:
        return None
    found: dict[str, Any] = {}
    for key, item in dictionary.items():
        value = item[0] if isinstance(item, tuple) else item
        _read_typed(found, key.encode("ascii"), value)
    return CacheControl(**found)


def _read_typed(found: dict[str, Any], name: bytes, value: object) -> None:
    if attribute := _SECONDS.get(name):
        if isinstance(value, int) and not isinstance(value, bool):
            found[attribute] = min(max(value, 0), MAX_DELTA)
    elif attribute := _FORBIDDING.get(name):
        found[attribute] = True
    elif attribute := _PERMITTING.get(name):
        if value is True:
            found[attribute] = True
    elif name in _QUALIFIABLE:
        _qualify(found, name, _ascii(value))


def _ascii(value: object) -> bytes | None:
    return value.encode("ascii", "replace") if isinstance(value, str) else None


def governing(headers: Headers, targeted: Sequence[bytes]) -> tuple[CacheControl, bool]:
    """The directives that decide about a response, and whether a targeted field gave them.

    The first valid field of the target list replaces `Cache-Control` and `Expires` altogether (RFC
    9213 §2.2).

    Args:
        headers: Normalised field lines of the response.
        targeted: The target list: lower-case names, the most specific first.
    """
    for name in targeted:
        directives = parse_targeted(fields.values(headers, name))
        if directives is not None:
            return directives, True
    return parse(fields.values(headers, b"cache-control")), False
