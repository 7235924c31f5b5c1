"""`Cache-Control` and targeted fields: what forbids counts, what is malformed permits nothing."""

import pytest

from asgi_multitier.policy.cache_control import (
    ABSENT,
    MAX_DELTA,
    CacheControl,
    governing,
    of_request,
    parse,
    parse_targeted,
)
from tests.policy.support import lines


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), {}),
        ((b"",), {}),
        ((b"max-age=3600",), {"max_age": 3600}),
        ((b"MaX-AgE=3600",), {"max_age": 3600}),
        ((b"foobar, max-age=3600",), {"max_age": 3600}),
        ((b"max-age=003600",), {"max_age": 3600}),
        ((b'max-age="3600"',), {"max_age": 3600}),
        ((rb'max-age="36\00"',), {"max_age": 3600}),
        ((b"max-age=1000000000",), {"max_age": 1_000_000_000}),
        ((b"max-age=2147483648",), {"max_age": MAX_DELTA}),
        ((b"max-age=99999999999",), {"max_age": MAX_DELTA}),
        ((b"max-age=" + b"9" * 5000,), {"max_age": MAX_DELTA}),
        ((b"max-age=" + b"0" * 5000,), {"max_age": 0}),
        ((b"max-age=0",), {"max_age": 0}),
        ((b"max-age=-3600",), {"max_age": 0}),
        ((b"max-age='3600'",), {"max_age": 0}),
        ((b"max-age=3600.0",), {"max_age": 0}),
        ((b"max-age=3600.5",), {"max_age": 0}),
        ((b"max-age=a3600",), {"max_age": 0}),
        ((b"max-age=3600a",), {"max_age": 0}),
        ((b"max-age= 3600",), {"max_age": 0}),
        ((b"max-age=",), {"max_age": 0}),
        ((b"max-age",), {"max_age": 0}),
        ((b"max-age =3600",), {}),
        ((b"max-age:3600",), {}),
        ((b'a="max-age=3600", max-age=1',), {"max_age": 1}),
        ((b'max-age=1, a="max-age=3600"',), {"max_age": 1}),
        ((b'a="no-store"',), {}),
        ((b"max-age=1, max-age=1800",), {"max_age": 1}),
        ((b"max-age=1800, max-age=1",), {"max_age": 1800}),
        ((b"max-age=1800", b"max-age=1"), {"max_age": 1800}),
        ((b"max-age=1800, max-age=x",), {"max_age": 0}),
        ((b"max-age=x, max-age=1800",), {"max_age": 0}),
        ((b"s-maxage=1", b"max-age=3600"), {"s_maxage": 1, "max_age": 3600}),
        ((b"no-store",), {"no_store": True}),
        ((b"No-StOrE",), {"no_store": True}),
        ((b"no-store=x",), {"no_store": True}),
        ((b"no-store =x",), {"no_store": True}),
        ((b"no-cache",), {"no_cache": True}),
        ((b"no-cache=",), {"no_cache": True}),
        ((b'no-cache=""',), {"no_cache": True}),
        ((b'no-cache="a"',), {"no_cache_fields": (b"a",)}),
        ((b'no-cache="A, b"',), {"no_cache_fields": (b"a", b"b")}),
        ((b"no-cache=a",), {"no_cache_fields": (b"a",)}),
        ((b'no-cache="a b"',), {"no_cache": True}),
        (
            (b'no-cache="a"', b"no-cache", b'no-cache="b"'),
            {"no_cache": True, "no_cache_fields": (b"a", b"b")},
        ),
        ((b"private",), {"private": True}),
        ((b'private="set-cookie"',), {"private_fields": (b"set-cookie",)}),
        ((b"public",), {"public": True}),
        ((b"public=x",), {}),
        ((b"immutable",), {"immutable": True}),
        ((b'immutable="x"',), {}),
        ((b"must-understand",), {"must_understand": True}),
        ((b"must-revalidate=x",), {"must_revalidate": True}),
        ((b"proxy-revalidate",), {"proxy_revalidate": True}),
        ((b"no-transform",), {"no_transform": True}),
        ((b"only-if-cached",), {"only_if_cached": True}),
        (
            (b"stale-while-revalidate=5, stale-if-error=6",),
            {"stale_while_revalidate": 5, "stale_if_error": 6},
        ),
        ((b"stale-if-error=x",), {"stale_if_error": 0}),
        ((b"min-fresh=5",), {"min_fresh": 5}),
        ((b"min-fresh=5, min-fresh=9",), {"min_fresh": 9}),
        ((b"min-fresh=x",), {"min_fresh": MAX_DELTA}),
        ((b"min-fresh",), {"min_fresh": MAX_DELTA}),
        ((b"max-stale",), {"max_stale": float("inf")}),
        ((b"max-stale=5",), {"max_stale": 5}),
        ((b"max-stale=5, max-stale",), {"max_stale": 5}),
        ((b"max-stale=x",), {"max_stale": 0}),
        ((b'a="x, no-store',), {"no_store": True}),
        ((b'a="x, private="b"',), {"private": True}),
        ((b'a="x, public, must-understand',), {}),
        ((b'a="x, max-age=3600',), {"max_age": 0}),
        ((b'max-age=60, a="x, max-age=3600',), {"max_age": 0}),
        ((b'a="x', b"max-age=3600"), {"max_age": 0}),
        ((b"\xff\x00=\xe9, =, ==, ;",), {}),
    ],
)
def test_parse_reads_each_directive_with_care(given, expected):
    """RFC 9111 §5.2; malformed lifetimes are 0, malformed prohibitions stand."""
    assert parse(given) == CacheControl(**expected)


def test_parse_of_nothing_is_one_shared_value():
    """A message without the field costs nothing."""
    assert parse(()) is ABSENT


@pytest.mark.parametrize(
    ("headers", "no_cache"),
    [
        (lines(("pragma", "no-cache")), True),
        (lines(("pragma", "x, No-Cache")), True),
        (lines(("pragma", "foo")), False),
        (lines(("pragma", "no-cache"), ("cache-control", "max-age=5")), False),
        ((), False),
    ],
    ids=["alone", "listed", "unknown", "with-cache-control", "absent"],
)
def test_pragma_counts_in_a_request_without_cache_control(headers, no_cache):
    """RFC 9111 §5.4."""
    assert of_request(headers).no_cache is no_cache


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((b"max-age=3600",), {"max_age": 3600}),
        ((b"max-age=99999999999",), {"max_age": MAX_DELTA}),
        ((b"max-age=-5",), {"max_age": 0}),
        ((b"foobar, max-age=3600",), {"max_age": 3600}),
        ((b"foo;bar=1, a=(1 2), max-age=1;x",), {"max_age": 1}),
        ((b"max-age=1", b"no-store"), {"max_age": 1, "no_store": True}),
        ((b"max-age=1, max-age=5",), {"max_age": 5}),
        ((b'max-age="10000"',), {}),
        ((b"max-age=1.5",), {}),
        ((b"max-age=?1",), {}),
        ((b"max-age",), {}),
        ((b"max-age=(1)",), {}),
        ((b"private",), {"private": True}),
        ((b'private="a, b"',), {"private_fields": (b"a", b"b")}),
        ((b"private=a",), {"private": True}),
        ((b"private=?0",), {"private": True}),
        ((b"no-cache",), {"no_cache": True}),
        ((b"no-store=?0",), {"no_store": True}),
        ((b"public",), {"public": True}),
        ((b"public=?0",), {}),
        ((b"public=1",), {}),
        ((b"must-revalidate",), {"must_revalidate": True}),
    ],
)
def test_targeted_field_is_read_as_a_dictionary(given, expected):
    """RFC 9213 §2.1: types count, unknown members are skipped, the last of duplicates is kept."""
    assert parse_targeted(given) == CacheControl(**expected)


@pytest.mark.parametrize(
    "given",
    [
        (),
        (b"",),
        (b"  ",),
        (b"max-age= 100",),
        (b"max-age =100",),
        (b"MaX-aGe=3600",),
        (b"max-age=10000, &&&&&",),
        (b"max-age=10000,",),
        (b"max-age='1'",),
        (b"max-age=9999999999999999",),
        (b'a="x',),
        (b"\xff",),
    ],
)
def test_invalid_targeted_field_is_as_if_absent(given):
    """RFC 9213 §2.1: a field that is empty or no Dictionary falls back to `Cache-Control`."""
    assert parse_targeted(given) is None


def test_the_first_valid_field_of_the_target_list_governs():
    """RFC 9213 §2.2: an invalid one is passed over, and `Cache-Control` comes last."""
    headers = lines(
        ("mine-cache-control", "max-age= 1"),
        ("cdn-cache-control", "max-age=2"),
        ("cache-control", "max-age=3"),
    )

    assert governing(headers, (b"mine-cache-control", b"cdn-cache-control")) == (
        CacheControl(max_age=2),
        True,
    )
    assert governing(headers, (b"mine-cache-control",)) == (CacheControl(max_age=3), False)
    assert governing(headers, ()) == (CacheControl(max_age=3), False)
