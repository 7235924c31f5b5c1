"""What a change makes invalid (RFC 9111 §4.4, RFC 9875)."""

import pytest

from asgi_multitier.policy.invalidation import (
    Target,
    group_tags,
    invalidated_groups,
    invalidated_paths,
    is_safe,
    may_invalidate,
    resolved,
)
from tests.policy.support import lines

BASE = Target("http", b"example.com", b"/dir/page", b"q=1")


@pytest.mark.parametrize(
    ("method", "status", "drops"),
    [
        ("POST", 200, True),
        ("PUT", 204, True),
        ("DELETE", 303, True),
        ("PATCH", 399, True),
        ("M-SEARCH", 200, True),
        ("get", 200, True),
        ("DELETE", 500, False),
        ("POST", 404, False),
        ("POST", 101, False),
        ("GET", 200, False),
        ("HEAD", 200, False),
        ("OPTIONS", 200, False),
        ("QUERY", 200, False),
        ("TRACE", 200, False),
    ],
)
def test_unsafe_method_that_succeeds_invalidates(method, status, drops):
    """RFC 9111 §4.4: 2xx and 3xx; unknown methods count as unsafe (methods are case-sensitive)."""
    assert may_invalidate(method, status) is drops
    assert is_safe(method) is (method in ("GET", "HEAD", "OPTIONS", "QUERY", "TRACE"))


@pytest.mark.parametrize(
    ("reference", "path", "query"),
    [
        (b"/a", b"/a", b""),
        (b" /a?x=1#frag\t", b"/a", b"x=1"),
        (b"other", b"/dir/other", b""),
        (b"../up", b"/up", b""),
        (b"./", b"/dir/", b""),
        (b"", b"/dir/page", b"q=1"),
        (b"?y=2", b"/dir/page", b"y=2"),
        (b"#f", b"/dir/page", b"q=1"),
        (b"http://example.com/a", b"/a", b""),
        (b"http://EXAMPLE.com:80/a", b"/a", b""),
        (b"HTTP://example.com", b"/", b""),
        (b"//example.com/a", b"/a", b""),
        (b"http://example.com/a/./b/../c/..", b"/a/", b""),
        (b"http://example.com/../../a", b"/a", b""),
        (b"http://example.com/.hidden", b"/.hidden", b""),
        (b"/caf\xc3\xa9", b"/caf\xc3\xa9", b""),
        (b"/a%2fb", b"/a%2fb", b""),
    ],
)
def test_reference_of_the_same_origin_is_resolved(reference, path, query):
    """RFC 3986 §5, against the request's URL; bytes stay as they were sent."""
    assert resolved(reference, BASE) == Target("http", b"example.com", path, query)


@pytest.mark.parametrize(
    "reference",
    [
        b"https://example.com/a",
        b"http://example.com:8080/a",
        b"http://other.com/a",
        b"//other.com/a",
        b"http://example.com.evil/a",
        b"mailto:a@example.com",
        b"javascript:alert(1)",
        b"http://[::1/a",
        b"http://example.com:port/a",
        b"http://example.com:99999/a",
    ],
)
def test_reference_elsewhere_is_nobody_s(reference):
    """RFC 9111 §4.4: another origin's responses are never dropped, nor does junk raise."""
    assert resolved(reference, BASE) is None


def test_port_is_part_of_the_origin():
    """A host with its own port matches itself and, for https, 443 by default."""
    odd = Target("http", b"example.com:8080", b"/")
    secure = Target("https", b"example.com", b"/")

    assert resolved(b"http://example.com:8080/a", odd) is not None
    assert resolved(b"http://example.com/a", odd) is None
    assert resolved(b"https://example.com:443/a", secure) is not None


def test_invalidated_paths_are_target_location_and_content_location():
    """The target comes first, each path once, other origins never."""
    headers = lines(
        ("location", "/new"),
        ("content-location", "/dir/page?v=2"),
        ("location", "http://other.com/x"),
        ("content-location", "/cl"),
        ("link", "/not-this"),
    )

    assert invalidated_paths(BASE, 201, headers) == (b"/dir/page", b"/new", b"/cl")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 0])
def test_where_a_redirect_leads_is_not_invalidated(status):
    """It is often what the client has asked for: only a 2xx says what was changed."""
    assert invalidated_paths(BASE, status, lines(("location", "/x"))) == (b"/dir/page",)


def test_target_is_invalidated_even_under_a_malformed_host():
    """Junk in Host costs the references, not the target."""
    base = Target("http", b"[", b"/a")

    assert invalidated_paths(base, 200, lines(("location", "/b"))) == (b"/a",)


@pytest.mark.parametrize(
    ("values", "tags"),
    [
        ([], ()),
        (['"a", "b"'], ("group:a", "group:b")),
        (['"a"', '"b";x=1', '"a"'], ("group:a", "group:b")),
        (['"A", "a"'], ("group:A", "group:a")),
        (['token, 1, "a", (1 2), :YQ==:'], ("group:a",)),
        (['("a" "b")'], ()),
        (['"a'], ()),
        ([""], ()),
        (['"a",'], ()),
    ],
)
def test_cache_groups_become_tags(values, tags):
    """RFC 9875 §2: Strings of a List, exactly as written; an invalid field is absent."""
    assert group_tags(lines(*(("cache-groups", v) for v in values)), b"cache-groups") == tags


@pytest.mark.parametrize(
    ("method", "tags"), [("POST", ("group:a@https://a.example",)), ("GET", ())]
)
def test_groups_are_invalidated_by_unsafe_methods_only(method, tags):
    """RFC 9875 §3: those of the request's own origin."""
    target = Target("https", b"a.example", b"/")

    assert invalidated_groups(method, lines(("cache-group-invalidation", '"a"')), target) == tags
