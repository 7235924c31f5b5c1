"""`Cache-Tag`: the field in which an application names the data in a response, as for a CDN.

It is stored with the response and is not sent on: its members are for those who invalidate.
"""

from collections.abc import Iterable

from .._types import Headers
from . import headers as fields

CACHE_TAG = b"cache-tag"
_LENGTH = len(CACHE_TAG)


def cache_tags(headers: Headers) -> tuple[str, ...]:
    """The members of `Cache-Tag`, each once, in order.

    Members are separated by commas and have no quotes. Bytes beyond ASCII are UTF-8, or else
    ISO-8859-1, in which frameworks write fields.

    Args:
        headers: The response's field lines, normalised.
    """
    members = (
        member.strip(b" \t")
        for value in fields.values(headers, CACHE_TAG)
        for member in value.split(b",")
    )
    return tuple(dict.fromkeys(_text(member) for member in members if member))


def names_tags(lines: Iterable[Iterable[bytes]]) -> bool:
    """Whether the field lines of an ASGI message, as they are, have a `Cache-Tag`."""
    return any(len(name) == _LENGTH and bytes(name).lower() == CACHE_TAG for name, _ in lines)


def _text(member: bytes) -> str:
    try:
        return member.decode("utf-8")
    except UnicodeDecodeError:
        return member.decode("latin-1")
