"""Header fields as ordered pairs, and which of them may be stored."""

import pytest

from asgi_multitier.policy import headers as fields
from asgi_multitier.policy.reasons import Reason
from tests.policy.support import lines


def test_normalised_lowers_names_and_keeps_order_and_duplicates():
    """Lists of bytearrays become tuples of bytes; values keep their case."""
    raw = [[b"Set-Cookie", b"A=1"], (bytearray(b"LINK"), memoryview(b"X")), [b"Set-Cookie", b"B"]]

    assert fields.normalised(raw) == (
        (b"set-cookie", b"A=1"),
        (b"link", b"X"),
        (b"set-cookie", b"B"),
    )


@pytest.mark.parametrize("raw", [[(b"a",)], [(b"a", b"b", b"c")]], ids=["one", "three"])
def test_normalised_refuses_what_is_no_pair(raw):
    """A line that is no pair is an error, not a header."""
    with pytest.raises(ValueError):
        fields.normalised(raw)


def test_normalised_refuses_numbers():
    """A number is no field value: `bytes(3)` would be three NULs."""
    with pytest.raises(TypeError):
        fields.normalised([(b"a", 3)])


def test_combined_joins_all_lines_of_a_field():
    """Absent is None and not an empty value."""
    headers = lines(("a", "1"), ("b", "x"), ("a", "2"))

    assert fields.combined(headers, b"a") == b"1, 2"
    assert fields.combined(headers, b"c") is None
    assert fields.values(headers, b"a") == [b"1", b"2"]


def test_first_takes_the_first_line_stripped():
    """An empty value counts as absent."""
    headers = lines(("a", " 1\t"), ("a", "2"), ("b", " "))

    assert fields.first(headers, b"a") == b"1"
    assert fields.first(headers, b"b") is None
    assert fields.first(headers, b"c") is None


@pytest.mark.parametrize(
    ("value", "sound", "doubtful"),
    [
        (b"", [], []),
        (b"a, b ,c", [b"a", b"b", b"c"], []),
        (b",, a ,\t,", [b"a"], []),
        (b'a="x, y", b', [b'a="x, y"', b"b"], []),
        (rb'a="x\", y", b', [rb'a="x\", y"', b"b"], []),
        (rb'a="x\\", b', [rb'a="x\\"', b"b"], []),
        (b'a, b="x, c', [b"a"], [b'b="x', b"c"]),
        (b'a="', [], [b'a="']),
        (rb'a="x\ ', [], [rb'a="x\ '.strip()]),
        (b'""', [b'""'], []),
        (b'"a""b", c', [b'"a""b"', b"c"], []),
    ],
    ids=[
        "empty",
        "plain",
        "empty-members",
        "quoted-comma",
        "escaped-quote",
        "escaped-backslash",
        "unclosed",
        "lone-quote",
        "unclosed-backslash",
        "empty-string",
        "adjacent",
    ],
)
def test_split_respects_quotes_and_sets_doubtful_members_apart(value, sound, doubtful):
    """What follows an unclosed quote is told apart from what is sound."""
    assert fields.split(value) == (sound, doubtful)
    assert fields.members(value) == sound + doubtful


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (((b"a", b"1"), (b"x-y", b"caf\xe9\t z")), None),
        (((b"", b"1"),), Reason.BAD_HEADERS),
        (((b"a b", b"1"),), Reason.BAD_HEADERS),
        (((b"a:", b"1"),), Reason.BAD_HEADERS),
        (((b"a\n", b"1"),), Reason.BAD_HEADERS),
        (((b"a\xe9", b"1"),), Reason.BAD_HEADERS),
        (((b"a", b"x\ry"),), Reason.BAD_HEADERS),
        (((b"a", b"x\n"),), Reason.BAD_HEADERS),
        (((b"a", b"\x00"),), Reason.BAD_HEADERS),
        (((b"a", b"\x1b[0m"),), Reason.BAD_HEADERS),
        (((b"a", b"\x7f"),), Reason.BAD_HEADERS),
        (((b"a", b"1"),) * 100, None),
        (((b"a", b"1"),) * 101, Reason.HEADERS_OVERSIZED),
    ],
    ids=[
        "valid",
        "empty-name",
        "space-in-name",
        "colon-in-name",
        "newline-in-name",
        "8-bit-name",
        "cr",
        "lf",
        "nul",
        "escape",
        "del",
        "100-lines",
        "101-lines",
    ],
)
def test_invalid_reason_finds_what_would_break_a_connection(headers, reason):
    """RFC 9110 §5.1 and §5.5, and the bound on lines."""
    assert fields.invalid_reason(headers) == reason


@pytest.mark.parametrize(("size", "reason"), [(95, None), (96, Reason.HEADERS_OVERSIZED)])
def test_invalid_reason_bounds_the_block(size, reason):
    """The limit counts names, values and four bytes a line."""
    assert fields.invalid_reason(((b"a", b"x" * size),), limit=100) == reason


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Proxy-Authenticate",
        "Proxy-Authentication-Info",
        "Proxy-Authorization",
        "Proxy-Connection",
    ],
)
def test_end_to_end_leaves_out_what_belongs_to_one_connection(name):
    """RFC 9111 §3.1: these are neither stored nor sent to other clients."""
    assert fields.end_to_end(lines((name, "x"), ("a", "1"))) == lines(("a", "1"))


@pytest.mark.parametrize(
    "name",
    [
        "X-Test-Header",
        "Content-Foo",
        "X-Content-Foo",
        "Cache-Control",
        "Content-Length",
        "Content-Location",
        "Content-MD5",
        "Content-Security-Policy",
        "Content-Type",
        "Clear-Site-Data",
        "ETag",
        "Expires",
        "Public-Key-Pins",
        "Set-Cookie2",
        "Strict-Transport-Security",
        "WWW-Authenticate",
        "X-Frame-Options",
        "X-XSS-Protection",
        "Cache-Status",
        "Date",
    ],
)
def test_end_to_end_keeps_every_other_field(name):
    """A field that no rule names is stored as it is."""
    assert fields.end_to_end(lines((name, "x"))) == lines((name, "x"))


def test_end_to_end_leaves_out_what_connection_names():
    """RFC 9110 §7.6.1, over several lines and in any letter case."""
    headers = lines(("Connection", "a, B"), ("a", "1"), ("b", "2"), ("c", "3"), ("Connection", "d"))

    assert fields.end_to_end((*headers, (b"d", b"4")), also=(b"e",)) == lines(("c", "3"))


def test_end_to_end_leaves_out_what_the_caller_names():
    """The names listed by a qualified directive go too; other duplicates stay in order."""
    headers = lines(("link", "1"), ("a", "x"), ("link", "2"))

    assert fields.end_to_end(headers, also=(b"a",)) == lines(("link", "1"), ("link", "2"))


@pytest.mark.parametrize(
    ("values", "length"),
    [
        ([], None),
        (["5"], 5),
        (["5, 5"], 5),
        (["5", "5"], 5),
        (["5", "6"], None),
        (["-5"], None),
        (["5x"], None),
        ([""], None),
        (["9" * 18], 10**18 - 1),
        (["9" * 19], None),
        (["9" * 5000], None),
    ],
    ids=[
        *("absent", "one", "list", "twice", "differ", "negative", "junk", "empty"),
        *("most", "more", "huge"),
    ],
)
def test_content_length_believes_only_one_number(values, length):
    """RFC 9110 §8.6."""
    assert fields.content_length(lines(*(("content-length", v) for v in values))) == length


@pytest.mark.parametrize(
    ("values", "complete"),
    [([], True), (["3"], True), (["4"], False), (["3", "4"], False), (["x"], False)],
    ids=["unsaid", "equal", "short", "differ", "junk"],
)
def test_a_body_is_compared_with_the_length_that_its_header_states(values, complete):
    """A body whose length is in doubt is not complete."""
    assert fields.has_stated_length(lines(*(("content-length", v) for v in values)), 3) is complete


@pytest.mark.parametrize(
    ("value", "streams"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream ; charset=utf-8", True),
        ("text/html", False),
    ],
)
def test_is_event_stream(value, streams):
    """Parameters and letter case do not matter."""
    assert fields.is_event_stream(lines(("content-type", value))) is streams
    assert not fields.is_event_stream(())
