"""What requests that change something drop (RFC 9111 §4.4, RFC 9875)."""

from collections.abc import Sequence

import pytest

from tests.http.support import FULL, HIT, ORIGIN, PLAIN, Step, case, get, play, put

MAX_AGE = ("Cache-Control", "max-age=3600")
UNSAFE = ("POST", "PUT", "DELETE", "PATCH", "M-SEARCH")
NAMED = ("Location", "Content-Location")


def change(method: str, *fields: tuple[str, str], **more: object) -> Step:
    """A request that is expected to reach the origin."""
    return Step(method=method, fields=fields, **more)  # type: ignore[arg-type]


TARGET = [
    *(
        case(f"{method}-{status}", put(MAX_AGE), change(method, status=status), get(ORIGIN))
        for method in UNSAFE
        for status in (200, 201, 204, 303)
    ),
    *(
        case(f"failed-{method}-{status}", put(MAX_AGE), change(method, status=status), get(HIT))
        for method in UNSAFE
        for status in (400, 404, 412, 500, 503)
    ),
    *(
        case(f"safe-{method}", put(MAX_AGE), change(method), get(HIT))
        for method in ("OPTIONS", "TRACE")
    ),
    case(
        "every-query",
        put(MAX_AGE, query="a=1"),
        change("PUT"),
        get(ORIGIN, query="a=1"),
    ),
    case("not-other-urls", put(MAX_AGE, path="/other"), change("PUT"), get(HIT, path="/other")),
    case(
        "what-the-origin-says-of-the-stale-copy",
        put(MAX_AGE, ("ETag", '"a"')),
        change("PUT"),
        get(ORIGIN, unsent=("If-None-Match",)),
    ),
    case(
        "never-stale-afterwards",
        put(("Cache-Control", "max-age=1, stale-if-error=600, stale-while-revalidate=600"), then=2),
        change("PUT"),
        get(ORIGIN, status=503, answer=503),
    ),
]

OTHERS = [
    *(
        case(
            f"{method}-{field}",
            put(MAX_AGE, path="/other"),
            change(method, (field, "/other")),
            get(ORIGIN, path="/other"),
        )
        for method in UNSAFE
        for field in NAMED
    ),
    *(
        case(
            f"{name}-{field}",
            put(MAX_AGE, path="/other"),
            change("POST", (field, reference)),
            get(expected, path="/other"),
        )
        for field in NAMED
        for name, reference, expected in (
            ("relative", "other", ORIGIN),
            ("dots", "/a/../other", ORIGIN),
            ("absolute", "http://origin.example/other", ORIGIN),
            ("default-port", "http://origin.example:80/other", ORIGIN),
            ("with-query", "/other?a=1", ORIGIN),
            ("another-host", "http://elsewhere.example/other", HIT),
            ("another-scheme", "https://origin.example/other", HIT),
            ("another-port", "http://origin.example:8080/other", HIT),
            ("malformed", "http://[/other", HIT),
        )
    ),
    case(
        "not-by-a-failure",
        put(MAX_AGE, path="/other"),
        change("POST", ("Location", "/other"), status=500),
        get(HIT, path="/other"),
    ),
    case(
        "not-by-a-get",
        put(MAX_AGE, path="/other"),
        put(MAX_AGE, ("Content-Location", "/other")),
        get(HIT, path="/other"),
    ),
]

GROUPS = [
    case(
        "of-the-same-group",
        put(MAX_AGE, ("Cache-Groups", '"a", "b"'), path="/other"),
        change("POST", ("Cache-Group-Invalidation", '"b"')),
        get(ORIGIN, path="/other"),
    ),
    case(
        "of-another-group",
        put(MAX_AGE, ("Cache-Groups", '"a"'), path="/other"),
        change("POST", ("Cache-Group-Invalidation", '"b", "A"')),
        get(HIT, path="/other"),
    ),
    case(
        "not-by-a-get",
        put(MAX_AGE, ("Cache-Groups", '"a"'), path="/other"),
        put(("Cache-Group-Invalidation", '"a"')),
        get(HIT, path="/other"),
    ),
    case(
        "malformed",
        put(MAX_AGE, ("Cache-Groups", '"a"'), path="/other"),
        change("POST", ("Cache-Group-Invalidation", "a, (")),
        get(HIT, path="/other"),
    ),
]


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", TARGET)
async def test_a_change_drops_its_target(steps: Sequence[Step], profile: str) -> None:
    """An unsafe or unknown method that succeeded; a failure changes nothing."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", OTHERS)
async def test_a_change_drops_what_its_answer_names(steps: Sequence[Step], profile: str) -> None:
    """URLs of the same origin in Location and Content-Location, no others."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", GROUPS)
async def test_a_change_drops_groups(steps: Sequence[Step], profile: str) -> None:
    """Cache-Group-Invalidation drops what lists the group (RFC 9875 §3)."""
    await play(steps, profile)
