"""Which of several representations a request selects (RFC 9111 §4.1)."""

import re
from functools import lru_cache

from .._types import Headers
from . import headers as fields

_CODING = re.compile(rb"([!#$%&'*+\-.^_`|~0-9a-z]+)[ \t]*(?:;[ \t]*q=([01](?:\.[0-9]{0,3})?))?")
MAX_NAMES = 16
"""The most names in a `Vary`: a response that depends on more is not worth sharing."""

_NONE = b"-"
"""An absent field; a present one begins with its length, a digit."""


def selecting_fields(headers: Headers) -> tuple[bytes, ...] | None:
    """The lower-case names of the request fields that chose this response, sorted.

    Returns:
        None if no request is known to match: a `*` anywhere, or a member that is not a field name.
        Empty where the response has no `Vary`.
    """
    listed = fields.combined(headers, b"vary")
    if listed is None:
        return ()
    names = {name.lower() for name in fields.members(listed)}
    if b"*" in names or not all(map(fields.is_token, names)):
        return None
    return tuple(sorted(names))


def secondary_key(
    names: tuple[bytes, ...], request_headers: Headers, *, normalise_language: bool = False
) -> bytes:
    """The selecting fields of a request as a key; two requests match if their keys are equal.

    An absent field differs from an empty one. Lines are joined, white space around commas does not
    count, nor the order of what `Accept-Encoding` lists. Each value follows its length, so no
    value can look like two.

    Args:
        names: Lower-case names in a fixed order, as `selecting_fields` gives them.
        request_headers: Field lines of the request, lower-case names.
        normalise_language: Ignore the order of an `Accept-Language` that gives no weights.
    """
    parts = []
    for name in names:
        lines = fields.values(request_headers, name)
        if not lines:
            parts.append(_NONE)
            continue
        value = _normal_value(name, b",".join(lines), normalise_language)
        parts.append(b"%d:%b" % (len(value), value))
    return b"".join(parts)


def _normal_value(name: bytes, value: bytes, normalise_language: bool) -> bytes:
    if name == b"accept-encoding":
        # Browsers send a few values, on every hit; only short ones are worth caching.
        return _normal_codings(value) if len(value) > 256 else _cached_codings(value)
    if name == b"accept-language":
        # Language tags are the same in any letter case (RFC 5646 §2.1.1).
        return _normal_languages(value.lower(), normalise_language)
    return _trimmed(value)


def _trimmed(value: bytes) -> bytes:
    """The list without white space around its commas; a malformed one stays as it is."""
    if b'"' in value:
        sound, doubtful = fields.split(value)
        return value if doubtful else b",".join(sound)
    return b",".join(part.strip(b" \t") for part in value.split(b","))


def _normal_codings(value: bytes) -> bytes:
    """The set of codings with their weights: their order means nothing (RFC 9110 §12.5.3)."""
    codings = set()
    for member in fields.members(value.lower()):
        match = _CODING.fullmatch(member)
        if match is None:
            return _trimmed(value)
        coding, weight = match.group(1, 2)
        codings.add((coding, float(weight or b"1")))
    return b",".join(
        b"%b;%d" % (coding, round(weight * 1000)) for coding, weight in sorted(codings)
    )


_cached_codings = lru_cache(maxsize=256)(_normal_codings)


def _normal_languages(value: bytes, sort: bool) -> bytes:
    trimmed = _trimmed(value)
    if not sort or b";" in trimmed or b'"' in trimmed:
        return trimmed
    return b",".join(sorted(set(trimmed.split(b","))))
