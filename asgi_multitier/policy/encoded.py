"""Responses of which representations in other content codings may be made, and their field lines.

An encoded representation has the content of a stored response in another coding. It is sent with
the field lines of that response, but those that are about the bytes (RFC 9110 §8.4, §8.8.3).
"""

import re
from collections.abc import Iterable, Sequence

from .._types import Header, Headers
from . import headers as fields
from .cache_control import governing, parse
from .coding import ACCEPT_ENCODING
from .negotiation import IDENTITY
from .validation import names_tag

_TEXT = re.compile(
    rb"text/(?!event-stream)[^/]*"
    rb"|[^/]+/[^/]+\+(?:json|xml|yaml|json-seq)"
    rb"|application/(?:x-)?(?:json|json5|json-seq|ndjson|jsonlines|xml|xml-dtd|yaml|toml|graphql"
    rb"|javascript|ecmascript|wasm|vnd\.ms-fontobject)"
    rb"|image/(?:bmp|x-icon|vnd\.microsoft\.icon)"
    rb"|font/(?:ttf|otf|collection)"
)
"""Media types whose content is not compressed already."""

_BOUND_TO_BYTES = fields.CONTENT_DIGESTS | {
    b"repr-digest",
    b"digest",
    b"signature",
    b"signature-input",
}
"""Fields that another content would make wrong, and that only the application can make again."""

_CHANGED = frozenset((b"content-length", b"etag", b"accept-ranges"))
_STRONG = re.compile(rb'"([^"]*)"')
_CODED = re.compile(rb"(.*)--(?:zstd|br|gzip)", re.DOTALL)
"""A tag that `encoded_etag` has made, without its quotes."""


def is_encodable(headers: Headers, targeted: Sequence[bytes]) -> bool:
    """Whether clients may get a response in several content codings (RFC 9110 §12.1).

    Not what the application has encoded itself, or chosen by `Accept-Encoding`; not what must not
    be transformed (RFC 9111 §5.2.2.6); no part of a representation; no digests and signatures.

    Args:
        headers: The response's field lines, normalised.
        targeted: The rule's targeted fields (RFC 9213), lower-case.
    """
    names = {name for name, _ in headers}
    if b"content-encoding" in names or b"content-range" in names:
        return False
    if not names.isdisjoint(_BOUND_TO_BYTES) or not is_text(headers):
        return False
    listed = fields.members((fields.combined(headers, b"vary") or b"").lower())
    if ACCEPT_ENCODING in listed or b"*" in listed:
        return False
    own = parse(fields.values(headers, b"cache-control"))
    return not (own.no_transform or governing(headers, targeted)[0].no_transform)


def is_text(headers: Headers) -> bool:
    """Whether the content is of a media type that compresses well."""
    kinds = fields.values(headers, b"content-type")
    if len(kinds) != 1:
        return False
    return _TEXT.fullmatch(kinds[0].partition(b";")[0].strip(b" \t").lower()) is not None


def encoded_etag(etag: bytes, coding: bytes) -> bytes | None:
    """The entity tag of a representation in a coding (RFC 9110 §8.8.3.3).

    A strong tag names bytes, so each coding has its own. A weak one names what they mean.

    Args:
        etag: That of the response without a coding.
        coding: A coding, or `IDENTITY`.

    Returns:
        None where the response's own tag is malformed, and equals only itself.
    """
    if coding == IDENTITY or etag[:2] == b"W/":
        return etag
    tag = _STRONG.fullmatch(etag)
    return None if tag is None else b'"%b--%b"' % (tag[1], coding)


_IF_MATCH = b"if-match"
_LENGTH = len(_IF_MATCH)


def with_own_tags(headers: Sequence[Header]) -> list[Header] | None:
    """A request's field lines; in `If-Match`, the application's own tags next to those of codings.

    The application knows no tag that was made here (RFC 9110 §13.1.1).

    Returns:
        None where there is no such tag.
    """
    for name, _ in headers:
        if len(name) == _LENGTH and name.lower() == _IF_MATCH:
            break
    else:
        return None  # nearly always
    lines, found = [], False
    for name, value in headers:
        if name.lower() == _IF_MATCH:
            own = [match[1] for tag in _STRONG.findall(value) if (match := _CODED.fullmatch(tag))]
            found = found or bool(own)
            value = b", ".join((value, *(b'"%b"' % tag for tag in own)))
        lines.append((name, value))
    return lines if found else None


def coding_held(
    request_headers: Headers, etag: bytes | None, codings: Iterable[bytes]
) -> bytes | None:
    """The coding in which the client has a response already, as its `If-None-Match` says.

    A 304 then says so by that tag. A coding that the request does not accept does not count: a
    cache that asks for several clients may have what this one cannot read.

    Args:
        request_headers: Field lines of the request, lower-case names.
        etag: The entity tag of the response without a coding, if any.
        codings: Those that the request accepts, the preferred one first.
    """
    if etag is None:
        return None
    for coding in codings:
        tag = encoded_etag(etag, coding)
        if tag is not None and names_tag(request_headers, tag):
            return coding
    return None


def encoded_headers(headers: Headers, coding: bytes, size: int) -> Headers:
    """The field lines of a representation in a coding.

    Args:
        headers: Those that the same client would get without it, `Vary` included.
        coding: The coding; with `IDENTITY` they stay as they are.
        size: Bytes of the encoded content.
    """
    if coding == IDENTITY:
        return headers
    etag = fields.first(headers, b"etag")
    tag = None if etag is None else encoded_etag(etag, coding)
    return (
        # Ranges are those of the content without a coding.
        *fields.without(headers, _CHANGED),
        *(() if tag is None else ((b"etag", tag),)),
        (b"content-encoding", coding),
        (b"content-length", b"%d" % size),
    )


def is_worth(size: int, encoded: int) -> bool:
    """Whether encoded content is kept: it saves a tenth of the bytes at least."""
    return encoded <= size * 0.9
