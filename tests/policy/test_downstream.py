"""What caches downstream are told of how an answer was chosen."""

import pytest

from asgi_multitier.policy.downstream import are_told_as_they_are, told
from asgi_multitier.policy.terms import Terms
from tests.policy.support import lines

Lines = list[tuple[str, str]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [("vary", "x-a, Cookie")]),
        ([("vary", "")], [("vary", "x-a, Cookie")]),
        ([("vary", "Accept-Encoding")], [("vary", "Accept-Encoding, x-a, Cookie")]),
        ([("vary", "X-A")], [("vary", "X-A, Cookie")]),
        ([("vary", "cookie, X-A")], [("vary", "cookie, X-A")]),
        ([("vary", "*")], [("vary", "*")]),
        ([("vary", "Origin"), ("vary", "*")], [("vary", "Origin"), ("vary", "*")]),
        (
            [("vary", "Origin"), ("etag", '"1"'), ("vary", "x-b")],
            [("vary", "Origin, x-b, x-a, Cookie"), ("etag", '"1"')],
        ),
    ],
    ids=str,
)
def test_vary_has_what_selects(given: Lines, expected: Lines) -> None:
    """Behind what the response names itself, each name once, in one line."""
    terms = Terms(selecting=(b"x-a", b"Cookie"))

    assert told(lines(*given), terms) == lines(*expected)
    assert told(told(lines(*given), terms), terms, [b"cookie"]) == lines(*expected)


def test_a_request_adds_what_chose_its_own_answer() -> None:
    """Beside what the rule names; nothing selects, nothing is told."""
    assert told((), Terms(selecting=(b"x-a",)), [b"Origin", b"x-a"]) == lines(
        ("vary", "x-a, Origin")
    )
    assert told(lines(("etag", "1")), Terms()) == lines(("etag", "1"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [("cache-control", "private")]),
        ([("cache-control", "no-cache")], [("cache-control", "private, no-cache")]),
        (
            [("cache-control", "public, max-age=60, s-maxage=600, proxy-revalidate")],
            [("cache-control", "private, max-age=60")],
        ),
        (
            [("cache-control", 'PRIVATE="set-cookie, x-a", max-age=60')],
            [("cache-control", "private, max-age=60")],
        ),
        (
            [
                ("cache-control", "max-age=60"),
                ("etag", "1"),
                ("cache-control", "Public , immutable"),
            ],
            [("cache-control", "private, max-age=60, immutable"), ("etag", "1")],
        ),
        (
            [("cache-control", 'max-age=60, x="a')],
            [("cache-control", "private, max-age=60, no-store")],
        ),
        ([("expires", "x")], [("expires", "x"), ("cache-control", "private")]),
        (
            [
                ("cdn-cache-control", "max-age=60"),
                ("shop-cache-control", "max-age=60"),
                ("surrogate-control", "max-age=60"),
                ("edge-control", "max-age=60"),
                ("x-accel-expires", "60"),
                ("surrogate-key", "a"),
            ],
            [("surrogate-key", "a"), ("cache-control", "private")],
        ),
        (
            [("cache-control", "max-age=60, stale-while-revalidate=30, stale-if-error=30")],
            [
                (
                    "cache-control",
                    "private, max-age=60, stale-while-revalidate=30, stale-if-error=30",
                )
            ],
        ),
    ],
    ids=str,
)
def test_a_response_for_one_user_is_private(given: Lines, expected: Lines) -> None:
    """Nothing is left that a shared cache could take for a permission."""
    terms = Terms(partitioned=True)

    assert told(lines(*given), terms) == lines(*expected)
    assert told(told(lines(*given), terms), terms) == lines(*expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Set-Cookie", True),
        ("X-Request-Id", True),
        ("RateLimit-Policy", True),
        ("set-cookie2", False),
        ("X-Accel-Expires", False),
        ("x-cdn-cache-control", False),
        ("vary", False),
        ("cache-control", False),
        ("cdn-cache-control", False),
        ("surrogate-control", False),
        ("cache-tag", False),
        ("connection", False),
        ("content-language", False),
    ],
)
def test_what_is_set_for_one_request_is_told_as_it_is(name: str, expected: bool) -> None:
    """Fields that may change how others are told are not among them."""
    assert are_told_as_they_are(((name.encode(), b"1"),)) is expected
