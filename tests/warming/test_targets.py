"""What a warm-up asks for: what is allowed, what it means, and what is said of the rest."""

from typing import Any

import pytest

from asgi_multitier.errors import ConfigError
from asgi_multitier.warming.targets import Origin, Target, read_targets

SHOP = Origin("https", b"shop.example")
KNOWN = Origin("https", b"shop.example", "/api")
BEHIND = Origin("https", b"b.example", "", ((b"x-forwarded-proto", b"https"),))


@pytest.mark.parametrize(
    ("given", "base_url", "known", "expected"),
    [
        ("/x?a=1&b", "https://Shop.Example/", None, Target(SHOP, b"/x", b"a=1&b")),
        ("/", "https://shop.example:443", None, Target(SHOP, b"/")),
        ("/x", None, KNOWN, Target(KNOWN, b"/x")),
        ("//x", None, KNOWN, Target(KNOWN, b"//x")),
        ("/x", "http://other", KNOWN, Target(Origin("http", b"other"), b"/x")),
        ("https://shop.example", None, None, Target(SHOP, b"/")),
        ("https://shop.example?a", None, None, Target(SHOP, b"/", b"a")),
        ("HTTPS://shop.example/x", None, KNOWN, Target(KNOWN, b"/x")),
        ("http://shop.example/x", None, KNOWN, Target(Origin("http", b"shop.example"), b"/x")),
        (
            ("/x", {"Accept-Language": "fi"}),
            None,
            KNOWN,
            Target(KNOWN, b"/x", b"", ((b"accept-language", b"fi"),)),
        ),
        (
            ["/x", [(b"A", b"1"), (b"A", b"2")]],
            None,
            KNOWN,
            Target(KNOWN, b"/x", b"", ((b"a", b"1"), (b"a", b"2"))),
        ),
    ],
)
def test_what_a_target_is(
    given: Any, base_url: str | None, known: Origin | None, expected: Target
) -> None:
    """A path at the origin that is given or known, or a URL at its own, with fields or without."""
    assert read_targets([given], base_url, [known] if known else []) == [expected]


@pytest.mark.parametrize(
    ("given", "base_url", "expected"),
    [
        ("/x", None, KNOWN),
        ("/x", "https://shop.example", KNOWN),
        ("/x", "https://b.example", BEHIND),
        ("https://b.example/x", None, BEHIND),
        ("https://b.example/x", "https://shop.example", BEHIND),
        ("/x", "http://b.example", Origin("http", b"b.example")),
    ],
)
def test_what_clients_use_with_a_host_is_used_with_it(
    given: str, base_url: str | None, expected: Origin
) -> None:
    """The root path and the fields of the proxy are in every key; no URL names them."""
    assert read_targets([given], base_url, [KNOWN, BEHIND]) == [Target(expected, b"/x")]


@pytest.mark.parametrize(
    ("targets", "base_url", "words"),
    [
        ("/x", None, "targets='/x' is not allowed; expected a list of paths"),
        (b"/x", None, "targets=b'/x' is not allowed; expected a list"),
        ({"/x": {}}, None, "expected a list of paths"),
        (7, None, "targets=7 is not allowed; expected a list"),
        ([7], None, "targets=7 is not allowed; expected a path"),
        (["x"], None, "targets='x' is not allowed; expected a path that begins with '/'"),
        ([""], None, "targets='' is not allowed"),
        (["/ä"], None, "percent-encoded"),
        (["/a b"], None, "percent-encoded"),
        (["/a\n"], None, "percent-encoded"),
        (["/a#b"], None, "without a fragment"),
        (["https://shop.example/#"], None, "without a fragment"),
        (["ftp://shop.example/"], None, "http:// or https://"),
        (["https:///x"], None, "http:// or https://"),
        (["https://a:b@shop.example/"], None, "http:// or https://"),
        (["https://shop.example:999999/"], None, "http:// or https://"),
        (["https://[::1/"], None, "http:// or https://"),
        ([("/x", {}, 1)], None, "a pair of one of them and its request fields"),
        ([("/x", 1)], None, "targets=1 is not allowed; expected request fields"),
        ([("/x", {"a": "ä"})], None, "expected request fields"),
        ([("/x", {"a b": "1"})], None, "expected request fields"),
        ([("/x", {"a": "1\r\nb: 2"})], None, "expected request fields"),
        ([("/x", {"a": 1})], None, "expected request fields"),
        ([("/x", {"Host": "a"})], None, "no Host among the request fields, but the whole URL"),
        ([], "shop.example", "base_url='shop.example' is not allowed; expected the scheme"),
        ([], "https://shop.example/x", "such as 'https://shop.example'"),
        ([], "https://shop.example?x", "such as 'https://shop.example'"),
        ([], 7, "base_url=7 is not allowed"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(
    targets: Any, base_url: Any, words: str
) -> None:
    """The message shows what was given, and what to write instead."""
    with pytest.raises(ConfigError) as caught:
        read_targets(targets, base_url, [SHOP])

    assert words in str(caught.value)
    assert str(caught.value).startswith("CacheManager.warm: ")


def test_a_path_needs_to_be_told_whom_clients_ask() -> None:
    """The host is in every key: a guess would store what no client asks for."""
    with pytest.raises(ConfigError, match=r"targets='/x' .* base_url='https://shop.example' as"):
        read_targets(["/x"], None, [])


def test_urls_for_people() -> None:
    """With a query, if there is one."""
    assert Target(SHOP, b"/x", b"a=1").url == "https://shop.example/x?a=1"
    assert Target(SHOP, b"/").url == "https://shop.example/"
