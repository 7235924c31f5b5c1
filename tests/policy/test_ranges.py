"""Byte ranges out of what is stored (RFC 9110 §14)."""

from typing import Any

import pytest

from asgi_multitier.policy.ranges import (
    UNSATISFIABLE,
    Combined,
    ContentRange,
    Part,
    Span,
    combine,
    content_range,
    missing,
    partial_headers,
    rest_of,
    select,
    select_from_part,
    unsatisfiable_headers,
)
from tests.policy.support import NOW, lines


@pytest.mark.parametrize(
    ("value", "size", "expected"),
    [
        (b"bytes=0-1", 10, Span(0, 1)),
        (b"bytes=1-", 10, Span(1, 9)),
        (b"bytes=-1", 10, Span(9, 9)),
        (b"bytes=-100", 10, Span(0, 9)),
        (b"bytes=0-99", 10, Span(0, 9)),
        (b"bytes=9-9", 10, Span(9, 9)),
        (b"BYTES=0-1", 10, Span(0, 1)),
        (b" bytes=0-1\t", 10, Span(0, 1)),
        (b"bytes= 0-1 , ", 10, Span(0, 1)),
        (b"bytes=00-01", 10, Span(0, 1)),
        (b"bytes=0-" + b"9" * 5000, 10, Span(0, 9)),
        (b"bytes=-" + b"9" * 5000, 10, Span(0, 9)),
        (b"bytes=10-", 10, UNSATISFIABLE),
        (b"bytes=10-20", 10, UNSATISFIABLE),
        (b"bytes=" + b"9" * 5000 + b"-", 10, UNSATISFIABLE),
        (b"bytes=-0", 10, UNSATISFIABLE),
        (b"bytes=0-", 0, UNSATISFIABLE),
        (b"bytes=-5", 0, None),
        (b"bytes=0-1,3-4", 10, None),
        (b"bytes=0-1, bytes=3-4", 10, None),
        (b"bytes=5-2", 10, None),
        (b"bytes=-", 10, None),
        (b"bytes=", 10, None),
        (b"bytes", 10, None),
        (b"", 10, None),
        (b"bytes =0-1", 10, None),
        (b"items=0-1", 10, None),
        (b"bytes=a-1", 10, None),
        (b"bytes=0-1x", 10, None),
        (b"bytes=0 - 1", 10, None),
        (b"bytes=--1", 10, None),
        (b"bytes=+0-1", 10, None),
    ],
)
def test_select_serves_one_range_or_the_whole(value, size, expected):
    """RFC 9110 §14.1.2 and §14.2: several ranges, other units and junk get the whole."""
    assert select(value, size=size) == expected


@pytest.mark.parametrize(
    ("condition", "changes", "holds"),
    [
        (b'"a"', {"etag": b'"a"'}, True),
        (b' "a" ', {"etag": b'"a"'}, True),
        (b'"a"', {"etag": b'"b"'}, False),
        (b'"a"', {"etag": b'W/"a"'}, False),
        (b'W/"a"', {"etag": b'W/"a"'}, False),
        (b'"a"', {}, False),
        (b"a", {"etag": b"a"}, False),
        (-100, {"last_modified": -100, "date": NOW}, True),
        (-100, {"last_modified": -100, "date": NOW - 99}, True),
        (-100, {"last_modified": -100, "date": NOW - 99.5}, False),
        (-100, {"last_modified": -100}, False),
        (-100, {"last_modified": -101, "date": NOW}, False),
        (-99, {"last_modified": -100, "date": NOW}, False),
        (-100, {"date": NOW}, False),
        (b"junk", {"etag": b'"a"', "last_modified": -100, "date": NOW}, False),
    ],
)
def test_if_range_compares_strongly(condition, changes, holds):
    """RFC 9110 §13.1.5: where it does not hold, the whole is sent."""
    arguments: dict[str, Any] = dict(changes)
    if "last_modified" in arguments:
        arguments["last_modified"] = lines(("x", arguments["last_modified"]))[0][1]
    value = lines(("x", condition))[0][1] if isinstance(condition, int) else condition

    span = select(b"bytes=0-1", value, size=10, now=NOW, **arguments)

    assert span == (Span(0, 1) if holds else None)


def test_206_keeps_the_other_fields():
    """RFC 9110 §15.3.7: only length and range are its own."""
    headers = lines(("content-length", "10"), ("x", "1"), ("content-type", "y"))

    assert partial_headers(headers, Span(2, 4), 10) == lines(
        ("x", "1"),
        ("content-type", "y"),
        ("content-range", "bytes 2-4/10"),
        ("content-length", "3"),
    )
    assert partial_headers((), Span(2, 4), None)[0] == (b"content-range", b"bytes 2-4/*")


def test_416_tells_the_size():
    """RFC 9110 §15.5.17."""
    assert unsatisfiable_headers(10) == lines(
        ("content-range", "bytes */10"), ("content-length", "0")
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["bytes 0-4/10"], ContentRange(0, 4, 10)),
        (["Bytes 0-4/*"], ContentRange(0, 4, None)),
        (["bytes 9-9/10"], ContentRange(9, 9, 10)),
        ([], None),
        (["bytes 0-4/10", "bytes 0-4/10"], None),
        (["bytes 4-0/10"], None),
        (["bytes 0-10/10"], None),
        (["bytes */10"], None),
        (["bytes=0-4/10"], None),
        (["items 0-4/10"], None),
        (["bytes 0-4"], None),
        (["bytes 0-" + "9" * 5000 + "/*"], None),
    ],
)
def test_content_range_is_read_strictly(values, expected):
    """RFC 9110 §14.4: what is in doubt is no part."""
    assert content_range(lines(*(("content-range", v) for v in values))) == expected


@pytest.mark.parametrize(
    ("value", "part", "expected"),
    [
        (b"bytes=-5", ContentRange(4, 9, 10), Span(5, 9)),
        (b"bytes=6-8", ContentRange(4, 9, 10), Span(6, 8)),
        (b"bytes=6-", ContentRange(4, 9, 10), Span(6, 9)),
        (b"bytes=-1", ContentRange(4, 9, 10), Span(9, 9)),
        (b"bytes=3-8", ContentRange(4, 9, 10), None),
        (b"bytes=0-5", ContentRange(0, 4, 10), None),
        (b"bytes=10-", ContentRange(4, 9, 10), UNSATISFIABLE),
        (b"bytes=5-6", ContentRange(4, 9, None), Span(5, 6)),
        (b"bytes=5-", ContentRange(4, 9, None), None),
        (b"bytes=-5", ContentRange(4, 9, None), None),
        (b"bytes=0-1,2-3", ContentRange(0, 9, 10), None),
    ],
)
def test_part_serves_what_lies_within_it(value, part, expected):
    """RFC 9111 §3.3: a stored 206 answers smaller ranges only."""
    assert select_from_part(value, part) == expected


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (ContentRange(0, 4, 10), b"bytes=5-"),
        (ContentRange(0, 4, None), b"bytes=5-"),
        (ContentRange(5, 9, 10), b"bytes=0-4"),
        (ContentRange(0, 9, 10), None),
        (ContentRange(2, 4, 10), None),
        (ContentRange(5, 9, None), None),
    ],
)
def test_missing_asks_for_the_rest(part, value):
    """RFC 9111 §3.4: where the rest is one range."""
    assert missing(part) == value


def part(first: int, body: bytes, size: int | str = 10, etag: str = '"a"', x: str = "1") -> Part:
    """A 206 with these bytes at this place."""
    last = first + len(body) - 1
    return Part(
        lines(
            ("content-range", f"bytes {first}-{last}/{size}"),
            ("content-length", str(len(body))),
            ("etag", etag),
            ("x", x),
        ),
        body,
    )


@pytest.mark.parametrize(
    ("stored", "newer", "status", "body"),
    [
        (part(0, b"01234"), part(5, b"56789"), 200, b"0123456789"),
        (part(5, b"56789"), part(0, b"01234"), 200, b"0123456789"),
        (part(0, b"01234"), part(3, b"DEFGHIJ"), 200, b"012DEFGHIJ"),
        (part(0, b"0123456789"), part(3, b"D"), 200, b"012D456789"),
        (part(3, b"3"), part(0, b"0123456789"), 200, b"0123456789"),
        (part(0, b"012"), part(3, b"34"), 206, b"01234"),
        (part(0, b"01234", "*"), part(5, b"56789"), 200, b"0123456789"),
        (part(0, b"01234"), part(5, b"56789", "*"), 200, b"0123456789"),
        (part(0, b"01234", "*"), part(5, b"56789", "*"), 206, b"0123456789"),
    ],
)
def test_parts_that_touch_are_joined(stored, newer, status, body):
    """RFC 9110 §15.3.7.3: newer bytes and fields win; all of it is a 200."""
    joined = combine(stored, newer)

    assert isinstance(joined, Combined)
    assert (joined.status, joined.body) == (status, body)
    assert (b"content-length", b"%d" % len(body)) in joined.headers
    assert (content_range(joined.headers) is None) is (status == 200)


@pytest.mark.parametrize("name", ["content-md5", "content-digest"])
def test_a_digest_of_one_message_describes_no_other(name):
    """RFC 9530 §2: neither a part nor what parts make has the digest of another content."""
    digest = (name.encode(), b"sha-256=:YWFh:")
    stored = Part((*part(0, b"01234").headers, digest), b"01234")
    rest, more = part(5, b"56789"), part(5, b"567")

    assert digest not in partial_headers((digest,), Span(2, 4), 10)
    for joined in (combine(stored, rest), combine(rest, stored), combine(stored, more)):
        assert joined is not None
        assert digest not in joined.headers


def test_newer_fields_win_when_parts_are_joined():
    """RFC 9111 §3.4: each name once, from the newer part; names that it lacks stay."""
    stored = Part((*part(0, b"01234").headers, (b"y", b"old")), b"01234")
    joined = combine(stored, part(5, b"56789", x="2"))

    assert joined is not None
    assert joined.headers == lines(
        ("y", "old"), ("etag", '"a"'), ("x", "2"), ("content-length", "10")
    )


@pytest.mark.parametrize(
    ("stored", "newer"),
    [
        (part(0, b"01234"), part(6, b"6789")),
        (part(6, b"6789"), part(0, b"01234")),
        (part(0, b"01234"), part(5, b"56789", etag='"b"')),
        (part(0, b"01234", etag='W/"a"'), part(5, b"56789", etag='W/"a"')),
        (part(0, b"01234", etag=""), part(5, b"56789", etag="")),
        (part(0, b"01234", 11), part(5, b"56789", 10)),
        (part(0, b"01234567890", "*"), part(5, b"56789", 10)),
        (Part(part(0, b"01234").headers, b"0123"), part(5, b"56789")),
        (part(0, b"01234"), Part(part(5, b"56789").headers, b"5678")),
        (Part(lines(("etag", '"a"')), b"01234"), part(5, b"56789")),
        (part(0, b"01234"), Part(lines(("etag", '"a"')), b"56789")),
    ],
    ids=[
        "gap",
        "gap-before",
        "other-tag",
        "weak-tag",
        "no-tag",
        "other-size",
        "beyond-size",
        "stored-short",
        "newer-short",
        "stored-unplaced",
        "newer-unplaced",
    ],
)
def test_parts_in_doubt_are_not_joined(stored, newer):
    """Bytes of two representations never make one."""
    assert combine(stored, newer) is None


RANGE_5 = (b"range", b"bytes=5-")


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ([("Content-Range", "bytes 0-4/10")], (RANGE_5,)),
        (
            [("Content-Range", "bytes 0-4/10"), ("ETag", '"a"')],
            (RANGE_5, (b"if-range", b'"a"')),
        ),
        ([("Content-Range", "bytes 0-4/10"), ("ETag", 'W/"a"')], (RANGE_5,)),
        ([("Content-Range", "bytes 5-9/10")], ((b"range", b"bytes=0-4"),)),
        ([("Content-Range", "bytes 2-4/10")], ()),
        ([("Content-Range", "bytes 0-9/10")], ()),
        ([("Content-Range", "lines 0-4/10")], ()),
        ([], ()),
    ],
)
def test_the_rest_of_a_part_is_asked_for_with_its_strong_tag(fields, asked):
    """RFC 9111 §3.4: what comes back must be of the same representation."""
    assert rest_of(lines(*fields)) == asked
