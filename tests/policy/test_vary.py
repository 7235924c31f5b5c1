"""Choosing among representations (RFC 9111 §4.1)."""

import pytest

from asgi_multitier.policy.vary import secondary_key, selecting_fields
from tests.policy.support import lines


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([], ()),
        ([""], ()),
        (["Foo"], (b"foo",)),
        (["Foo, BAR ,foo"], (b"bar", b"foo")),
        (["b", "a"], (b"a", b"b")),
        (["*"], None),
        (["*, *"], None),
        (["*", "*"], None),
        ([", *"], None),
        (["", "*"], None),
        (["*, Foo"], None),
        (["Foo, *"], None),
        (["foo bar"], None),
        (['"foo"'], None),
        (["foo, b\xe9"], None),
    ],
)
def test_selecting_fields_never_match_with_a_star(values, names):
    """Any `*` anywhere, and anything that is no name, matches no request."""
    assert selecting_fields(lines(*(("vary", v) for v in values))) == names


FOO = (b"foo",)
TWO = (b"bar", b"foo")
THREE = (b"bar", b"baz", b"foo")
LANGUAGE = (b"accept-language",)
ENCODING = (b"accept-encoding",)


@pytest.mark.parametrize(
    ("names", "one", "other", "same"),
    [
        (FOO, (("foo", "1"),), (("foo", "1"),), True),
        (FOO, (("foo", "1"),), (("foo", "2"),), False),
        (FOO, (), (("foo", "1"),), False),
        (FOO, (), (("foo", ""),), False),
        (FOO, (), (), True),
        (FOO, (("foo", "-"),), (), False),
        (FOO, (("foo", "1"), ("other", "2")), (("foo", "1"), ("other", "3")), True),
        (TWO, (("foo", "1"), ("bar", "2")), (("bar", "2"), ("foo", "1")), True),
        (TWO, (("foo", "1"), ("bar", "2")), (("foo", "1"), ("bar", "3")), False),
        (TWO, (("foo", "1"),), (("bar", "1"),), False),
        (
            THREE,
            (("foo", "1"), ("bar", "2"), ("baz", "3")),
            (("baz", "3"), ("foo", "1"), ("bar", "2")),
            True,
        ),
        (
            THREE,
            (("foo", "1"), ("bar", "2"), ("baz", "3")),
            (("foo", "9"), ("baz", "3"), ("bar", "2")),
            False,
        ),
        (FOO, (("foo", "1, 2"),), (("foo", "1"), ("foo", "2")), True),
        (FOO, (("foo", "1, 2"),), (("foo", "1 ,\t2 "),), True),
        (FOO, (("foo", "1,2"),), (("foo", "12"),), False),
        (FOO, (("foo", "1 2"),), (("foo", "12"),), False),
        (FOO, (("foo", "1,,2"),), (("foo", "1,2"),), False),
        (FOO, (("foo", "1"),), (("foo", "1,"),), False),
        (FOO, (("foo", "A"),), (("foo", "a"),), False),
        (FOO, (("foo", '"a , b"'),), (("foo", '"a,b"'),), False),
        (FOO, (("foo", '"a" , b'),), (("foo", '"a",b'),), True),
        (FOO, (("foo", '"a , b'),), (("foo", '"a,b'),), False),
        (TWO, (("bar", "1"), ("foo", "2")), (("bar", "11:2"),), False),
        (TWO, (("bar", "1:"), ("foo", "")), (("bar", ""), ("foo", "1:")), False),
        (LANGUAGE, (("accept-language", "en, de"),), (("accept-language", "EN,DE"),), True),
        (LANGUAGE, (("accept-language", "en, de"),), (("accept-language", "de, en"),), False),
        (ENCODING, (("accept-encoding", "gzip, br"),), (("accept-encoding", "BR,GZip"),), True),
        (
            ENCODING,
            (("accept-encoding", "gzip;q=1.0, br ; q=0.5"),),
            (("accept-encoding", "br;q=0.50"), ("accept-encoding", "gzip")),
            True,
        ),
        (
            ENCODING,
            (("accept-encoding", "gzip;q=0"),),
            (("accept-encoding", "gzip"),),
            False,
        ),
        (ENCODING, (("accept-encoding", "gzip"),), (("accept-encoding", "gzip, br"),), False),
        (ENCODING, (("accept-encoding", ""),), (), False),
        (ENCODING, (("accept-encoding", "gzip;x=1"),), (("accept-encoding", "gzip"),), False),
        (
            ENCODING,
            (("accept-encoding", "gzip;x=1, br"),),
            (("accept-encoding", "br, gzip;x=1"),),
            False,
        ),
        (ENCODING, (("accept-encoding", "gzip;q=2"),), (("accept-encoding", "gzip"),), False),
    ],
)
def test_two_requests_match_if_what_selects_is_the_same(names, one, other, same):
    """RFC 9111 §4.1, with the normalisations that the fields' definitions allow."""
    equal = secondary_key(names, lines(*one)) == secondary_key(names, lines(*other))

    assert equal is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("en, de", "de, EN", True),
        ("en;q=0.5, de", "de, en;q=0.5", False),
        ("en, de", "en", False),
        ('"en", de', 'de, "en"', False),
    ],
)
def test_order_of_languages_without_weights_may_be_ignored(one, other, same):
    """An option: no weights, no order."""
    keys = {
        secondary_key(LANGUAGE, lines(("accept-language", value)), normalise_language=True)
        for value in (one, other)
    }

    assert (len(keys) == 1) is same


def test_no_selecting_fields_make_an_empty_key():
    """A response without `Vary` answers every request of its URL."""
    assert secondary_key((), lines(("foo", "1"))) == b""
