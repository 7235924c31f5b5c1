"""HEAD: answered from a stored GET, and what its response says of it (RFC 9111 §4.3.5)."""

from collections.abc import Sequence

import pytest

from tests.http.support import (
    FULL,
    HIT,
    ORIGIN,
    PLAIN,
    PROFILES,
    VALIDATED,
    Line,
    Lines,
    Step,
    World,
    case,
    get,
    play,
    put,
)

MAX_AGE = ("Cache-Control", "max-age=5000")
SHORT = ("Cache-Control", "max-age=2")
ETAG = ("ETag", '"abcdef"')


def tag(value: str) -> Line:
    return ("ETag", value)


def unless(value: str) -> Lines:
    return (("If-None-Match", value),)


HEAD = [
    case(
        "stale-is-forwarded-as-head",
        put(SHORT, then=3),
        get(ORIGIN, method="HEAD", sent_method="HEAD"),
    ),
    case("absent-is-forwarded-as-head", get(ORIGIN, method="HEAD", sent_method="HEAD")),
    case(
        "fresh-is-answered",
        put(MAX_AGE, ETAG),
        get(HIT, method="HEAD", has=(ETAG,), content=b""),
    ),
    case(
        "gets-what-the-origin-says",
        put(SHORT, ("Template-A", "1"), then=3),
        get(ORIGIN, method="HEAD", lacks=("Template-A",)),
    ),
    case(
        "refreshes-the-stored-get",
        put(SHORT, ETAG, then=3),
        get(ORIGIN, MAX_AGE, ETAG, method="HEAD"),
        get(HIT, content=b"content 1"),
    ),
    case(
        "refreshes-it-by-the-date-of-its-last-change",
        put(SHORT, ("Last-Modified", -3000), then=3),
        get(ORIGIN, MAX_AGE, ("Last-Modified", -3003), method="HEAD"),
        get(HIT, content=b"content 1"),
    ),
    case(
        "without-a-validator-says-nothing-of-the-content",
        put(SHORT, then=3),
        get(ORIGIN, MAX_AGE, method="HEAD"),
        get(ORIGIN, content=b"content 3"),
    ),
    case(
        "of-the-same-length-says-nothing-of-the-content",
        put(SHORT, ("Content-Length", "9"), then=3),
        get(ORIGIN, MAX_AGE, ("Content-Length", "9"), method="HEAD", then=1),
        get(ORIGIN, MAX_AGE, ("Content-Length", "9"), method="HEAD"),
        get(ORIGIN, content=b"content 4"),
    ),
    case(
        "updates-its-fields",
        put(SHORT, ETAG, ("Template-A", "1"), then=3),
        get(ORIGIN, MAX_AGE, ETAG, ("Template-A", "2"), method="HEAD"),
        get(HIT, content=b"content 1", has=(("Template-A", "2"), ETAG)),
    ),
    case(
        "not-from-a-410",
        put(SHORT, ("Template-A", "1"), then=3),
        get(ORIGIN, MAX_AGE, ("Template-A", "2"), method="HEAD", status=410),
        get(ORIGIN),
    ),
    case(
        "a-failure-leaves-what-is-stored",
        put(SHORT, ETAG, then=3),
        get(ORIGIN, method="HEAD", status=410),
        get(ORIGIN, method="HEAD", status=503),
        get(VALIDATED, status=304, sent=unless('"abcdef"'), content=b"content 1"),
    ),
    case(
        "another-tag-ends-it",
        put(MAX_AGE, ETAG, ask=(), then=1),
        get((HIT, ORIGIN), tag('"new"'), method="HEAD", ask=(("Cache-Control", "no-cache"),)),
        get((HIT, ORIGIN)),
    ),
    case(
        "another-length-ends-it",
        put(SHORT, ETAG, then=3),
        get(ORIGIN, MAX_AGE, ETAG, ("Content-Length", "400"), method="HEAD"),
        get(ORIGIN, unsent=("If-None-Match",)),
    ),
    case(
        "the-same-length-does-not",
        put(SHORT, ETAG, then=3),
        get(ORIGIN, MAX_AGE, ETAG, ("Content-Length", "9"), method="HEAD"),
        get(HIT, content=b"content 1"),
    ),
    case(
        "the-same-length-as-stored",
        put(SHORT, ETAG, ("Content-Length", "9"), then=3),
        get(ORIGIN, MAX_AGE, ETAG, ("Content-Length", "9"), method="HEAD"),
        get(HIT, content=b"content 1", has=(("Content-Length", "9"),)),
    ),
    case(
        "no-store-ends-it",
        put(SHORT, ETAG, then=3),
        get(ORIGIN, ("Cache-Control", "no-store"), ETAG, method="HEAD"),
        get(ORIGIN, unsent=("If-None-Match",)),
    ),
    case(
        "head-alone-stores-nothing",
        get(ORIGIN, MAX_AGE, method="HEAD"),
        get(ORIGIN),
    ),
    case(
        "of-a-variant",
        put(SHORT, ETAG, ("Vary", "Foo"), ask=(("Foo", "1"),), then=3),
        get(ORIGIN, MAX_AGE, ETAG, ("Vary", "Foo"), ask=(("Foo", "1"),), method="HEAD"),
        get(HIT, ask=(("Foo", "1"),), content=b"content 1"),
        get(ORIGIN, ask=(("Foo", "2"),)),
    ),
]


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", HEAD)
async def test_head(steps: Sequence[Step], profile: str) -> None:
    """Answered from a fresh GET; else forwarded, and its answer heard (RFC 9111 §4.3.5)."""
    await play(steps, profile)


async def test_what_the_cache_says_of_a_head_is_not_stored() -> None:
    """The member that the HEAD's own answer got is not one of the origin's fields."""
    world = World(PROFILES[PLAIN])
    await world.ask(Step(fields=(SHORT, ETAG)))
    world.now = 3.0
    await world.ask(Step(method="HEAD", fields=(MAX_AGE, ETAG)))

    got = await world.ask(Step())

    assert got.values("cache-status") == ["asgi-multitier; hit; ttl=5000; detail=l1"]
    await world.close()
