"""What caches between this one and the client are told of how a response was chosen.

The key of a stored response contains more of a request than its URL. A cache downstream that is not
told so gives one client what was chosen for another (RFC 9110 §12.5.5, RFC 9111 §4.1). These fields
are added to the response that is sent and to no stored response: a stored one is judged by the
fields of the application.
"""

import re
from collections.abc import Collection, Iterable

from msgspec.structs import replace

from .._types import Headers
from . import headers as fields
from .cache_control import parse
from .encoded import is_encodable
from .tags import CACHE_TAG
from .terms import Terms

_FOR_MANY = frozenset((b"public", b"private", b"s-maxage", b"proxy-revalidate"))
"""Directives that `private` replaces: they are for shared caches."""

_SHARED_ONLY = (b"surrogate-control", b"edge-control", b"x-accel-expires")
_TARGETED = b"-cache-control"
"""How the names of targeted fields end (RFC 9213): a lifetime in one of them outranks `private`."""


def told(headers: Headers, terms: Terms, chosen_by: Collection[bytes] = ()) -> Headers:
    """The field lines that are sent: with the request fields that chose the response in `Vary`.

    `Cache-Tag` is for this cache, unless the rule keeps it for a CDN.

    Args:
        headers: The response's field lines, normalised.
        terms: The rule's terms: what selects its responses, and whether that identifies the user.
        chosen_by: Further request fields that chose this one.
    """
    if CACHE_TAG not in terms.keep:
        headers = fields.without(headers, (CACHE_TAG,))
    names = (*terms.selecting, *chosen_by)
    if terms.codings and is_encodable(headers, terms.targeted):
        # Also where no other coding is made: a cache downstream is not to take it for all.
        names = (*names, b"Accept-Encoding")
    if names:
        headers = _varying(headers, names)
    return _for_one(headers) if terms.partitioned else headers


def told_unless_public(headers: Headers, terms: Terms, chosen_by: Collection[bytes]) -> Headers:
    """As `told`; what the application calls public itself stays so."""
    if is_public(headers):
        terms = replace(terms, partitioned=False)
    return told(headers, terms, chosen_by)


def is_public(headers: Headers) -> bool:
    """Whether the application says itself that a response is for everyone (RFC 9111 §5.2.2.9)."""
    return parse(fields.values(headers, b"cache-control")).public


def are_told_as_they_are(lines: Headers) -> bool:
    """Whether `told` changes none of these field lines, and no other line because of them.

    Cookies, limits and identifiers, which are most of what is set for one request. Others may say
    how a response was chosen, or who may keep it.
    """
    return all(_OF_ONE.match(name) and not _is_for_shared(name.lower()) for name, _ in lines)


_OF_ONE = re.compile(rb"set-cookie\Z|ratelimit|x-", re.IGNORECASE)


def _varying(headers: Headers, names: Iterable[bytes]) -> Headers:
    """With these names in `Vary` as well; a `*` says more than any."""
    listed = fields.members(fields.combined(headers, b"vary") or b"")
    present = {name.lower() for name in listed}
    missing = [name for name in names if name.lower() not in present]
    if not missing or b"*" in present:
        return headers
    distinct = {name.lower(): name for name in missing}
    return _replaced(headers, b"vary", b", ".join((*listed, *distinct.values())))


def _for_one(headers: Headers) -> Headers:
    """With `private` in place of everything that lets a shared cache keep the response."""
    kept = tuple(line for line in headers if not _is_for_shared(line[0]))
    sound, doubtful = fields.split(fields.combined(kept, b"cache-control") or b"")
    # What follows a quote that is never closed cannot be read.
    own = [one for one in sound if one.partition(b"=")[0].strip().lower() not in _FOR_MANY]
    value = b", ".join((b"private", *own, *([b"no-store"] if doubtful else [])))
    return _replaced(kept, b"cache-control", value)


def _is_for_shared(name: bytes) -> bool:
    return name.endswith(_TARGETED) or name in _SHARED_ONLY


def _replaced(headers: Headers, name: bytes, value: bytes) -> Headers:
    """One line of this name, where the first of them stood, or at the end."""
    lines: list[tuple[bytes, bytes]] = []
    line = (name, value)
    for present in headers:
        if present[0] != name:
            lines.append(present)
        elif line not in lines:
            lines.append(line)
    return tuple(lines) if line in lines else (*lines, line)
