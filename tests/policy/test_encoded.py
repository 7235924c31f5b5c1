"""Responses that may have other content codings, and the field lines of those."""

import pytest

from asgi_multitier.policy.downstream import told
from asgi_multitier.policy.encoded import (
    coding_held,
    encoded_etag,
    encoded_headers,
    is_encodable,
    is_text,
    is_worth,
    with_own_tags,
)
from asgi_multitier.policy.terms import Terms

TEXT = (b"content-type", b"text/html")


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "Text/HTML; charset=utf-8",
        "application/json ; charset=utf-8",
        "text/csv",
        "application/json",
        "application/problem+json",
        "application/atom+xml",
        "application/xml",
        "application/javascript",
        "application/x-ndjson",
        "application/wasm",
        "application/manifest+json",
        "image/svg+xml",
        "image/bmp",
        "font/ttf",
        "model/gltf+json",
    ],
)
def test_text_compresses(kind: str) -> None:
    """And so do formats like it."""
    assert is_text(((b"content-type", kind.encode()),))


@pytest.mark.parametrize(
    "kind",
    [
        "text/event-stream",
        "image/png",
        "image/jpeg",
        "video/mp4",
        "font/woff2",
        "application/zip",
        "application/gzip",
        "application/pdf",
        "application/octet-stream",
        "multipart/byteranges",
        "json",
        "",
    ],
)
def test_what_is_compressed_already_or_unknown_does_not(kind: str) -> None:
    """Nor a stream, which is never whole."""
    assert not is_text(((b"content-type", kind.encode()),))


def test_a_type_that_is_not_one_is_not_known() -> None:
    """None, or two."""
    assert not is_text(())
    assert not is_text((TEXT, TEXT))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ((b"x-other", b"1"), True),
        ((b"vary", b"Accept-Language"), True),
        ((b"vary", b"Origin, Accept-Encoding"), False),
        ((b"vary", b"*"), False),
        ((b"content-encoding", b"br"), False),
        ((b"content-range", b"bytes 0-1/2"), False),
        ((b"content-digest", b"sha-256=:AA==:"), False),
        ((b"content-md5", b"AA=="), False),
        ((b"digest", b"sha-256=AA=="), False),
        ((b"repr-digest", b"sha-256=:AA==:"), False),
        ((b"signature-input", b'sig=("@status")'), False),
        ((b"cache-control", b"no-transform"), False),
        ((b"cache-control", b'private="x, no-transform'), False),
        ((b"cache-control", b"max-age=60"), True),
        ((b"cdn-cache-control", b"no-transform"), False),
        ((b"surrogate-control", b"no-transform"), True),
    ],
)
def test_what_may_have_other_codings(line: tuple[bytes, bytes], expected: bool) -> None:
    """RFC 9111 §5.2.2.6 above all; of targeted fields, those that the rule reads."""
    assert is_encodable((TEXT, line), (b"cdn-cache-control",)) is expected


def test_a_targeted_field_does_not_permit_what_cache_control_forbids() -> None:
    """It governs caching (RFC 9213 §2.2); what was sent to all caches holds for the content."""
    lines = (TEXT, (b"cache-control", b"no-transform"), (b"cdn-cache-control", b"max-age=60"))

    assert not is_encodable(lines, (b"cdn-cache-control",))


@pytest.mark.parametrize(
    ("etag", "expected"),
    [
        (b'"a"', b'"a--br"'),
        (b'""', b'"--br"'),
        (b'W/"a"', b'W/"a"'),
        (b"a", None),
        (b'"a', None),
        (b'"a"b"', None),
    ],
)
def test_each_coding_has_a_strong_tag_of_its_own(etag: bytes, expected: bytes | None) -> None:
    """A weak one is that of all; one that is malformed has no others."""
    assert encoded_etag(etag, b"br") == expected
    assert encoded_etag(etag, b"identity") == etag


def test_lines_that_are_about_the_bytes_are_replaced() -> None:
    """All others stay, in order."""
    lines = (
        TEXT,
        (b"content-length", b"5000"),
        (b"etag", b'"a"'),
        (b"accept-ranges", b"bytes"),
        (b"link", b"</1>"),
        (b"link", b"</2>"),
    )

    assert encoded_headers(lines, b"zstd", 700) == (
        TEXT,
        (b"link", b"</1>"),
        (b"link", b"</2>"),
        (b"etag", b'"a--zstd"'),
        (b"content-encoding", b"zstd"),
        (b"content-length", b"700"),
    )
    assert encoded_headers(lines, b"identity", 700) == lines
    assert encoded_headers((TEXT, (b"etag", b"a")), b"br", 7) == (
        TEXT,
        (b"content-encoding", b"br"),
        (b"content-length", b"7"),
    )


@pytest.mark.parametrize(
    ("listed", "codings", "expected"),
    [
        (b'"a--br"', (b"zstd", b"br", b"identity"), b"br"),
        (b'W/"a--br"', (b"br", b"identity"), b"br"),
        (b'"a--br"', (b"zstd", b"identity"), None),
        (b'"a"', (b"br", b"identity"), b"identity"),
        (b'"a"', (b"br",), None),
        (b'"a", "a--br"', (b"br", b"identity"), b"br"),
        (b'"a--br, "', (b"br", b"identity"), None),
        (b"*", (b"br", b"identity"), None),
        (b"", (b"br", b"identity"), None),
    ],
)
def test_what_a_client_has(
    listed: bytes, codings: tuple[bytes, ...], expected: bytes | None
) -> None:
    """The preferred one of those that it has and accepts."""
    assert coding_held(((b"if-none-match", listed),), b'"a"', codings) == expected


def test_without_a_tag_nothing_is_known_of_a_client() -> None:
    """Neither of the response nor of the request; a malformed one has no codings."""
    assert coding_held(((b"if-none-match", b'"a"'),), None, (b"br",)) is None
    assert coding_held((), b'"a"', (b"br",)) is None
    assert coding_held(((b"if-none-match", b"a"),), b"a", (b"br",)) is None


@pytest.mark.parametrize(("encoded", "expected"), [(900, True), (901, False), (0, True)])
def test_it_is_worth_a_tenth(encoded: int, expected: bool) -> None:
    """At least."""
    assert is_worth(1000, encoded) is expected


@pytest.mark.parametrize(
    ("codings", "lines", "expected"),
    [
        ((b"br",), (TEXT,), b"Accept-Encoding"),
        ((b"br",), (TEXT, (b"vary", b"Origin")), b"Origin, Accept-Encoding"),
        ((b"br",), (TEXT, (b"vary", b"accept-encoding")), b"accept-encoding"),
        ((b"br",), ((b"content-type", b"image/png"),), None),
        ((), (TEXT,), None),
    ],
)
def test_caches_downstream_are_told(
    codings: tuple[bytes, ...], lines: tuple[tuple[bytes, bytes], ...], expected: bytes | None
) -> None:
    """Where there may be several codings, and only there (RFC 9110 §12.5.5)."""
    sent = told(lines, Terms(codings=codings))

    assert dict(sent).get(b"vary") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b'"a--br"', b'"a--br", "a"'),
        (b'"a--br", "b", "c--gzip"', b'"a--br", "b", "c--gzip", "a", "c"'),
        (b'"a--b--zstd"', b'"a--b--zstd", "a--b"'),
        (b'"a"', None),
        (b"*", None),
        (b'"a--deflate"', None),
        (b"a--br", None),
        (b'"a", --br"', None),
    ],
)
def test_the_application_gets_its_own_tag_as_well(given: bytes, expected: bytes | None) -> None:
    """In `If-Match`; all other lines stay, and in `If-None-Match` it would confirm other bytes."""
    before, after = (b"accept", b"*/*"), (b"if-none-match", b'"a--br"')
    lines = with_own_tags([before, (b"If-Match", given), after])

    assert lines == (None if expected is None else [before, (b"If-Match", expected), after])
    assert with_own_tags([before, after]) is None
