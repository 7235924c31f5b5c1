"""Cookies: which of them the application sees, and their values."""

import pytest

from asgi_multitier.policy.cookies import cookie_values, kept_cookies, reader
from tests.policy.support import lines


@pytest.mark.parametrize(
    ("sent", "narrowed", "values"),
    [
        (["a=1; b=2"], b"a=1", [b"1"]),
        (["b=2"], b"", []),
        (["a=1; a=2", "a=3"], b"a=1; a=2; a=3", [b"1", b"2", b"3"]),
        ([" a = 1 ;b=2"], b"a = 1", [b"1"]),
        (["a"], b"", []),
        (["a="], b"a=", [b""]),
        (["a=x=y"], b"a=x=y", [b"x=y"]),
        (["A=1; aa=2; xa=3"], b"", []),
        (['a="x;b=1"'], b'a="x', [b'"x']),
        ([""], b"", []),
        ([";;;"], b"", []),
    ],
)
def test_the_application_sees_the_cookies_that_the_key_covers(
    sent: list[str], narrowed: bytes, values: list[bytes]
) -> None:
    """Both read the field the same way, so nothing unkeyed gets in."""
    given = lines(*[("cookie", line) for line in sent])

    assert kept_cookies(given, named=["a"]) == narrowed
    assert cookie_values(given, "a") == values


@pytest.mark.parametrize(
    ("sent", "ignored", "kept"),
    [
        (["a=1; b=2"], False, b"a=1; b=2"),
        (["a=1; b=2"], True, b""),
        (["a=1; b=2"], ["a"], b"b=2"),
        (["_ga=1; _gat=2; b=3"], ["_ga*"], b"b=3"),
        (["_ga=1; _gat=2"], ["_ga"], b"_gat=2"),
        (["a; a=1"], ["a"], b"a"),
        (["a"], True, b""),
        ([" a = 1 ", "b=2;;"], ["a"], b"b=2"),
    ],
)
def test_the_application_sees_the_cookies_that_are_not_ignored(
    sent: list[str], ignored: bool | list[str], kept: bytes
) -> None:
    """A part without a name has none that could be ignored."""
    assert kept_cookies(lines(*[("cookie", line) for line in sent]), ignored=ignored) == kept


def test_what_counts_of_lines_is_remembered_within_bounds() -> None:
    """Clients send lines of any number and length: many are forgotten, long ones not kept."""
    read = reader(("of-this-test",), ignored=False)
    remembered = read.__self__  # type: ignore[attr-defined]
    values = [b"%d" % number for number in range(1_000)]
    for value in (*values, b"a" * 3_000):
        assert read(b"other=1; of-this-test=" + value) == ((value,),)
    assert 0 < len(remembered) <= 256
    assert max(map(len, remembered)) <= 2048
    assert read(b"other=1; of-this-test=999") is read(b"other=1; of-this-test=999")
