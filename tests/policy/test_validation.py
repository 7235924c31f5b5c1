"""Conditional requests, answered and made (RFC 9110 §13, RFC 9111 §4.3)."""

from typing import Any

import pytest
from msgspec.structs import replace

from asgi_multitier.entry import StoredResponse
from asgi_multitier.policy import validation
from asgi_multitier.policy.terms import Terms
from asgi_multitier.policy.validation import HeadVerdict
from tests.policy.support import FROM_ORIGIN, NOW, lines

NOTHING, OUTDATED = HeadVerdict.NOTHING, HeadVerdict.OUTDATED


def answered(*pairs: tuple[str, str | int], **changes: Any) -> bool:
    """Whether a stored 200 answers a request with these fields by 304."""
    times = {name: changes.pop(name, NOW) for name in ("date", "now")}
    stored = replace(StoredResponse(200, (), b"", b'"abcdef"'), **changes)
    return validation.not_modified(lines(*pairs), stored, **times)


@pytest.mark.parametrize(
    ("etag", "listed", "matches"),
    [
        (b'"abcdef"', '"abcdef"', True),
        (b'"abcdef"', '"abcdeg"', False),
        (b'"abcdef"', '"abcdef', False),
        (b'"abcdef"', "*", True),
        (b'"abcdef"', '*, "abcdef"', False),
        (None, "*", True),
        (None, '"abcdef"', False),
        (b'"abcdef"', "", False),
        (b'"\xfc"', '"\xfc"', True),
        (b'W/"abcdef"', 'W/"abcdef"', True),
        (b'W/"abcdef"', '"abcdef"', True),
        (b'"abcdef"', 'W/"abcdef"', True),
        (b'"abcdef"', '"abcdef", "1234", "5678"', True),
        (b'"abcdef"', '"1234", "abcdef", "5678"', True),
        (b'"abcdef"', '"1234","5678" ,\tW/"abcdef"', True),
        (b'"abcdef"', ', "1234",, "abcdef",', True),
        (b'"a,b"', '"x", "a,b"', True),
        (b'","', '"a","b"', False),
        (b'", "', '"a", "b"', False),
        (b'","', '"",", "', False),
        (b'"a"', '"x,"a""', False),
        (b'"a"', '"a"b', False),
        (b'"a"', '"a" b', False),
        (b'"a"', 'x"a"', False),
        (b'"a"', 'x"a", "a"', True),
        (b'"a"', '"a"; "a" ,', False),
        (b'","', '"a","b", ","', True),
        (b'"abcdef"', "abcdef", False),
        (b"abcdef", "abcdef", True),
        (b"abcdef", "x, abcdef", True),
        (b"abcdef", '"abcdef"', False),
        (b'w/"abcdef"', 'w/"abcdef"', True),
        (b'"abcdef"', 'w/"abcdef"', False),
        (b'W\\"abcdef"', 'W\\"abcdef"', True),
        (b'"abcdef"', 'W\\"abcdef"', False),
        (b'W"abcdef"', 'W"abcdef"', True),
        (b'W"a,b"', 'W"a,b"', True),
        (b'""', '""', True),
    ],
)
def test_if_none_match_compares_weakly(etag, listed, matches):
    """RFC 9110 §13.1.2 and §8.8.3.2; a malformed tag equals itself only."""
    assert answered(("if-none-match", listed), etag=etag) is matches


def test_if_none_match_joins_its_lines():
    """Two lines are one list."""
    assert answered(("if-none-match", '"x"'), ("if-none-match", '"abcdef"'))


@pytest.mark.parametrize(
    ("headers", "changes", "matches"),
    [
        ((), {}, False),
        ((("if-modified-since", -1),), {"last_modified": -5000}, True),
        ((("if-modified-since", -5000),), {"last_modified": -5000}, True),
        ((("if-modified-since", -5001),), {"last_modified": -5000}, False),
        ((("if-modified-since", 100),), {"last_modified": -5000}, True),
        ((("if-modified-since", "x"),), {"last_modified": -5000}, False),
        (
            (("if-modified-since", -1), ("if-modified-since", -1)),
            {"last_modified": -5000},
            False,
        ),
        (
            (("if-modified-since", "Friday, 15-Jan-27 08:00:00 GMT"),),
            {"last_modified": -5000},
            True,
        ),
        ((("if-modified-since", 0),), {}, True),
        ((("if-modified-since", -1),), {}, False),
        ((("if-modified-since", -1), ("if-none-match", '"x"')), {"last_modified": -5000}, False),
        ((("if-none-match", '"abcdef"'), ("if-modified-since", -9999)), {}, True),
        ((("if-modified-since", -1), ("if-none-match", "")), {"last_modified": -5000}, False),
        ((("if-match", '"x"'), ("if-unmodified-since", -9999)), {}, False),
    ],
    ids=[
        "unconditional",
        "later",
        "equal",
        "earlier",
        "in-the-future",
        "no-date",
        "two-dates",
        "rfc850",
        "date-stands-in",
        "date-stands-in-earlier",
        "inm-silences-ims",
        "inm-wins",
        "empty-inm-silences-too",
        "for-the-origin",
    ],
)
def test_if_modified_since_counts_without_if_none_match(headers, changes, matches):
    """RFC 9110 §13.1.3 and §13.2.2, RFC 9111 §4.3.2."""
    if "last_modified" in changes:
        changes = {"last_modified": lines(("x", changes["last_modified"]))[0][1]}

    assert answered(*headers, **changes) is matches


@pytest.mark.parametrize(
    ("status", "matches"),
    [(200, True), (203, True), (206, False), (301, False), (404, False), (500, False)],
)
def test_only_a_whole_success_is_not_modified(status, matches):
    """RFC 9110 §13.2.1: any other status is what it is."""
    assert answered(("if-none-match", '"abcdef"'), status=status) is matches


def test_conditions_are_told_apart():
    """Some a cache evaluates, some the origin alone."""
    assert validation.is_conditional(lines(("if-none-match", "x")))
    assert validation.is_conditional(lines(("if-modified-since", "x")))
    assert not validation.is_conditional(lines(("if-match", "x")))
    assert validation.is_for_origin(lines(("if-match", "x")))
    assert validation.is_for_origin(lines(("if-unmodified-since", "x")))
    assert not validation.is_for_origin(lines(("if-none-match", "x")))


def test_unconditional_strips_what_the_answer_must_not_depend_on():
    """Vary-selected fields and all others stay."""
    request = lines(
        ("if-none-match", "x"), ("if-modified-since", "x"), ("if-range", "x"), ("range", "x")
    )

    assert validation.unconditional((*request, *lines(("abc", "1")))) == lines(("abc", "1"))


def test_304_carries_no_metadata_of_the_content():
    """RFC 9110 §15.4.5."""
    kept = lines(
        ("cache-control", "max-age=9"),
        ("content-location", "/a"),
        ("date", 0),
        ("etag", '"a"'),
        ("expires", 9),
        ("vary", "x"),
        ("last-modified", -9),
        ("access-control-allow-origin", "*"),
        ("content-security-policy", "x"),
    )
    dropped = lines(
        ("content-length", "5"),
        ("content-type", "x"),
        ("content-encoding", "gzip"),
        ("content-language", "en"),
    )

    assert validation.not_modified_headers((*dropped, *kept)) == kept


@pytest.mark.parametrize(
    ("etag", "last_modified", "expected"),
    [
        (b'W/"a"', None, (("if-none-match", 'W/"a"'),)),
        (b"a", None, (("if-none-match", "a"),)),
        (None, b"d", (("if-modified-since", "d"),)),
        (b'"a"', b"d", (("if-none-match", '"a"'), ("if-modified-since", "d"))),
        (None, None, ()),
    ],
)
def test_validators_are_sent_unchanged(etag, last_modified, expected):
    """RFC 9111 §4.3.1: no quotes are added, nothing is made strong."""
    assert validation.validators(etag, last_modified) == lines(*expected)


STORED = lines(("etag", '"a"'), ("last-modified", -100), ("content-length", "5"), ("x", "1"))


@pytest.mark.parametrize(
    ("update", "selected"),
    [
        ((), True),
        ((("etag", '"a"'),), True),
        ((("etag", '"b"'),), False),
        ((("last-modified", -100),), True),
        ((("last-modified", -50),), False),
        ((("etag", '"b"'), ("last-modified", -100)), True),
        ((("etag", '"b"'), ("last-modified", -50)), False),
    ],
)
def test_304_selects_unless_it_names_other_validators_only(update, selected):
    """RFC 9111 §4.3.4."""
    assert validation.selects(STORED, lines(*update)) is selected


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ((), {"x": ["1"]}),
        ((("x", "2"),), {"x": ["2"]}),
        ((("x", "2"), ("x", "3")), {"x": ["2", "3"]}),
        ((("y", "2"),), {"x": ["1"], "y": ["2"]}),
        ((("content-length", "0"),), {"content-length": ["5"]}),
        ((("content-encoding", "gzip"),), {"content-encoding": []}),
        ((("content-range", "bytes 0-1/2"),), {"content-range": []}),
        *(
            (((name, "b"),), {name: []})
            for name in ("content-md5", "content-digest", "repr-digest", "digest")
        ),
        ((("content-type", "b"),), {"content-type": ["b"]}),
        ((("etag", '"b"'),), {"etag": ['"b"']}),
        ((("set-cookie", "a=c"),), {"set-cookie": []}),
        ((("set-cookie2", "a=c"),), {"set-cookie2": ["a=c"]}),
        ((("connection", "x"), ("x", "2")), {"x": ["1"], "connection": []}),
        ((("cache-control", 'no-cache="x"'), ("x", "2")), {"x": ["1"]}),
        ((("cdn-cache-control", 'private="x"'), ("x", "2")), {"x": ["1"]}),
        ((("transfer-encoding", "chunked"),), {"transfer-encoding": []}),
    ],
)
def test_freshen_overlays_what_a_304_brings(update, expected):
    """RFC 9111 §3.2: absent fields stay, what describes the stored bytes is not touched."""
    merged = validation.freshen(STORED, lines(*update), FROM_ORIGIN, received=NOW)

    for name, values in expected.items():
        assert [v.decode() for n, v in merged if n == name.encode()] == values


def test_freshen_updates_set_cookie_on_demand():
    """Where cookies are stored, a 304's replace the stored ones."""
    merged = validation.freshen(
        lines(("set-cookie", "a=b")),
        lines(("set-cookie", "a=c")),
        Terms(set_cookie=True),
        received=NOW,
    )

    assert merged == lines(("set-cookie", "a=c"))


@pytest.mark.parametrize(
    ("stored", "update", "merged"),
    [
        ((("age", "9"), ("date", -9), ("x", "1")), (("date", -1),), (("x", "1"), ("date", -1))),
        ((("age", "9"), ("date", -9)), (), (("date", 0),)),
        ((("x", "1"),), (), (("x", "1"),)),
    ],
    ids=["new-date", "date-of-receipt", "no-dates"],
)
def test_freshen_resets_the_age(stored, update, merged):
    """`Age` and `Date` speak of the exchange that brought them; a `Date` never ends."""
    freshened = validation.freshen(lines(*stored), lines(*update), FROM_ORIGIN, received=NOW)

    assert freshened == lines(*merged)


@pytest.mark.parametrize(
    "line",
    [
        ("set-cookie", "a=b"),
        ("x-request-id", "7"),
        ("x-ratelimit-remaining", "3"),
        ("x-csrf-token", "t"),
        ("x-left-out", "1"),
        ("x-private", "1"),
    ],
    ids=lambda line: line[0],
)
def test_what_a_304_has_for_its_client_reaches_it_alone(line):
    """The client that caused the validation gets it; what is stored does not."""
    terms = Terms(strip=(b"x-left-out",))
    update = lines(("cache-control", 'max-age=1, private="x-private"'), line)
    freshened = validation.freshen(STORED, update, terms, received=NOW)
    (pair,) = lines(line)

    assert not any(name == pair[0] for name, _ in freshened)
    assert pair in validation.with_own(freshened, update, terms)


@pytest.mark.parametrize(
    ("head", "statuses", "updated"),
    [
        ((("x", "2"),), (200, 200), NOTHING),
        ((("x", "2"), ("content-length", "5")), (200, 200), NOTHING),
        ((("x", "2"), ("etag", '"a"')), (200, 200), True),
        ((("x", "2"), ("etag", '"a"'), ("content-length", "5")), (200, 200), True),
        ((("etag", '"b"'),), (200, 200), OUTDATED),
        ((("etag", '"a"'), ("last-modified", -99)), (200, 200), OUTDATED),
        ((("last-modified", -99),), (200, 200), OUTDATED),
        ((("content-length", "6"),), (200, 200), OUTDATED),
        ((("etag", '"a"'), ("content-length", "6")), (200, 200), OUTDATED),
        ((("x", "2"), ("etag", '"a"')), (200, 410), NOTHING),
        ((("x", "2"), ("etag", '"a"')), (404, 200), OUTDATED),
        ((("x", "2"), ("etag", '"a"')), (404, 404), NOTHING),
    ],
)
def test_head_updates_the_response_that_it_speaks_of(head, statuses, updated):
    """RFC 9111 §4.3.5: a 200 with a stored validator, and nothing that differs."""
    stored_status, head_status = statuses
    merged = validation.head_updates(
        STORED,
        lines(*head),
        FROM_ORIGIN,
        received=NOW,
        stored_status=stored_status,
        head_status=head_status,
    )

    if updated is not True:
        assert merged is updated
    else:
        assert (b"x", b"2") in merged
        assert (b"content-length", b"5") in merged
