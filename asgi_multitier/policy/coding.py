"""Content codings: the content of a response as its application made it (RFC 9110 §8.4)."""

import zlib

from .._types import Headers
from . import headers as fields

MOST_DECODED = 16 * 1024 * 1024
"""Bytes of decoded content, at most."""

ACCEPT_ENCODING = b"accept-encoding"

_KNOWN = frozenset((b"gzip", b"deflate", b"br", b"zstd"))
_ZLIB = frozenset((b"deflate", b"gzip", b"x-gzip"))
_EITHER_WRAPPER = 32 + zlib.MAX_WBITS


def decoded(headers: Headers, body: bytes) -> bytes:
    """The content without its content coding.

    Args:
        headers: The response's field lines, normalised.
        body: The content as it was sent.

    Raises:
        ValueError: If the coding is neither gzip nor deflate, or the content is broken or too long.
    """
    codings = fields.members((fields.combined(headers, b"content-encoding") or b"").lower())
    for coding in reversed(codings):
        if coding not in _ZLIB:
            raise ValueError(f"the content coding {coding.decode('latin-1')} is not decoded here")
        body = _inflated(body)
    return body


def _inflated(body: bytes) -> bytes:
    reader = zlib.decompressobj(_EITHER_WRAPPER)
    try:
        content = reader.decompress(body, MOST_DECODED)
    except zlib.error as error:
        raise ValueError(f"the compressed content is broken: {error}") from None
    if not reader.eof:
        raise ValueError(f"the compressed content is incomplete, or above {MOST_DECODED} bytes")
    return content


def known_codings(accept_encoding: bytes) -> bytes | None:
    """An `Accept-Encoding` that lists codings that browsers know, each once; in one order.

    Returns:
        None for any other: what is rare, or weighted, may tell who asks, and what is repeated has
        any length.
    """
    codings = [coding.strip(b" \t").lower() for coding in accept_encoding.split(b",")]
    known = _KNOWN.issuperset(codings) and len(set(codings)) == len(codings)
    return b", ".join(sorted(codings)) if known else None
