"""Conditions from clients and to the origin (RFC 9110 §13, RFC 9111 §4.3)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from asgi_multitier._types import Receive, Scope, Send
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
DATE = ("Date", 0)
MODIFIED = ("Last-Modified", -3000)
ETAG = ("ETag", '"abcdef"')


def tag(value: str) -> Line:
    return ("ETag", value)


def unless(value: str) -> Lines:
    return (("If-None-Match", value),)


def since(value: int | str) -> Lines:
    return (("If-Modified-Since", value),)


TO_CLIENTS = [
    case("later-date", put(MAX_AGE, MODIFIED), get(HIT, ask=since(-1000), answer=304)),
    case("same-date", put(MAX_AGE, MODIFIED), get(HIT, ask=since(-3000), answer=304)),
    case("earlier-date", put(MAX_AGE, MODIFIED), get(HIT, ask=since(-5000), answer=200)),
    case(
        "rfc850-date",
        put(MAX_AGE, ("Last-Modified", "Tue, 01 Dec 2026 12:00:00 GMT")),
        get(HIT, ask=since("Wednesday, 02-Dec-26 12:00:00 GMT"), answer=304),
    ),
    case("no-date", put(MAX_AGE, MODIFIED), get(HIT, ask=since("yesterday"), answer=200)),
    case("date-without-last-modified", put(MAX_AGE, DATE), get(HIT, ask=since(3000), answer=304)),
    case(
        "tag",
        put(MAX_AGE, ETAG),
        get(HIT, ask=unless('"abcdef"'), answer=304, has=(ETAG, MAX_AGE), content=b""),
    ),
    case("other-tag", put(MAX_AGE, ETAG), get(HIT, ask=unless('"abcde"'), answer=200)),
    case("star", put(MAX_AGE, ETAG), get(HIT, ask=unless("*"), answer=304)),
    case(
        "tag-before-date-no-match",
        put(MAX_AGE, ETAG, MODIFIED),
        get(HIT, ask=(*unless('"nothing"'), *since(-1)), answer=200),
    ),
    case(
        "tag-before-date-match",
        put(MAX_AGE, ETAG, MODIFIED),
        get(HIT, ask=(*unless('"abcdef"'), *since(-5000)), answer=304),
    ),
    case("unquoted", put(MAX_AGE, tag("abcdef")), get(HIT, ask=unless("abcdef"), answer=304)),
    case(
        "quoted-against-unquoted",
        put(MAX_AGE, tag("abcdef")),
        get(HIT, ask=unless('"abcdef"'), answer=200),
    ),
    case(
        "unquoted-against-quoted",
        put(MAX_AGE, ETAG),
        get(HIT, ask=unless("abcdef"), answer=200),
    ),
    case(
        "weak-both",
        put(MAX_AGE, tag('W/"abcdef"')),
        get(HIT, ask=unless('W/"abcdef"'), answer=304, has=(tag('W/"abcdef"'),)),
    ),
    case("weak-asked", put(MAX_AGE, ETAG), get(HIT, ask=unless('W/"abcdef"'), answer=304)),
    case(
        "weak-stored", put(MAX_AGE, tag('W/"abcdef"')), get(HIT, ask=unless('"abcdef"'), answer=304)
    ),
    case(
        "weak-with-backslash",
        put(MAX_AGE, tag('W\\"abcdef"')),
        get(HIT, ask=unless('W\\"abcdef"'), answer=304),
    ),
    case(
        "weak-without-slash",
        put(MAX_AGE, tag('W"abcdef"')),
        get(HIT, ask=unless('W"abcdef"'), answer=304),
    ),
    case("list-first", put(MAX_AGE, ETAG), get(HIT, ask=unless('"abcdef", "1"'), answer=304)),
    case("list-middle", put(MAX_AGE, ETAG), get(HIT, ask=unless('"1", "abcdef", "2"'), answer=304)),
    case("list-last", put(MAX_AGE, ETAG), get(HIT, ask=unless('"1", "abcdef"'), answer=304)),
    case(
        "list-on-two-lines",
        put(MAX_AGE, ETAG),
        get(HIT, ask=(*unless('"1"'), *unless('"abcdef"')), answer=304),
    ),
    case("list-without", put(MAX_AGE, ETAG), get(HIT, ask=unless('"1", "2"'), answer=200)),
    case(
        "head",
        put(MAX_AGE, ETAG),
        get(HIT, method="HEAD", ask=unless('"abcdef"'), answer=304),
    ),
    case(
        "after-a-validation",
        put(SHORT, ETAG, then=3),
        get(VALIDATED, MAX_AGE, status=304, ask=unless('"abcdef"'), answer=304),
        get(HIT, ask=unless('"abcdef"'), answer=304),
        get(HIT, answer=200, content=b"content 1"),
    ),
    case(
        "old-already-when-validated",
        put(SHORT, ETAG, then=3),
        get(VALIDATED, MAX_AGE, ("Age", "10"), status=304, has=(("Age", "10"),)),
        get(HIT, has=(("Age", "10"),)),
    ),
    case(
        "old-by-its-date-when-validated",
        put(SHORT, ETAG, then=3),
        get(VALIDATED, MAX_AGE, ("Date", -10), status=304, has=(("Age", "10"),)),
        get(HIT, has=(("Age", "10"),)),
    ),
    case(
        "on-the-first-answer",
        put(MAX_AGE, ETAG, ask=unless('"abcdef"'), answer=304),
        get(HIT, answer=200),
    ),
    case(
        "other-preconditions-are-the-origins",
        put(MAX_AGE, ETAG),
        get(ORIGIN, ask=(("If-Match", '"other"'),), status=412, answer=412),
        get(ORIGIN, ask=(("If-Unmodified-Since", -5000),), status=412, answer=412),
        get(HIT),
    ),
]

TO_THE_ORIGIN = [
    case(
        "tag",
        put(SHORT, ETAG, then=3),
        get(VALIDATED, status=304, sent=unless('"abcdef"'), answer=200, content=b"content 1"),
    ),
    case(
        "weak-tag-unchanged",
        put(SHORT, tag('W/"abcdef"'), then=3),
        get(VALIDATED, status=304, sent=unless('W/"abcdef"')),
    ),
    case(
        "unquoted-tag-unchanged",
        put(SHORT, tag("abcdef"), then=3),
        get(VALIDATED, status=304, sent=unless("abcdef")),
    ),
    case(
        "date",
        put(SHORT, ("Last-Modified", "Tue, 01 Dec 2026 12:00:00 GMT"), then=3),
        get(VALIDATED, status=304, sent=since("Tue, 01 Dec 2026 12:00:00 GMT")),
    ),
    case(
        "both",
        put(SHORT, ETAG, ("Last-Modified", "Tue, 01 Dec 2026 12:00:00 GMT"), then=3),
        get(
            VALIDATED,
            status=304,
            sent=(*unless('"abcdef"'), *since("Tue, 01 Dec 2026 12:00:00 GMT")),
        ),
    ),
    case("no-validator", put(SHORT, then=3), get(ORIGIN, unsent=("If-None-Match",))),
    case(
        "in-place-of-the-clients",
        put(SHORT, ETAG, then=3),
        get(VALIDATED, status=304, ask=unless('"mine"'), sent=unless('"abcdef"'), answer=200),
    ),
    case(
        "the-clients-where-nothing-is-stored-or-will-be",
        put(ask=unless("abcdef"), unsent=("If-None-Match",)),
        get(ORIGIN, ask=unless('"abcdef"'), sent=unless('"abcdef"'), status=304, answer=304),
    ),
    case(
        "a-refusal-of-the-clients-is-not-stored",
        put(MAX_AGE, status=304, ask=unless('"x"'), answer=304),
        get(ORIGIN, answer=200),
    ),
    case(
        "with-the-selecting-fields",
        put(SHORT, ETAG, ("Vary", "Foo"), ask=(("Foo", "1"),), then=3),
        get(VALIDATED, status=304, ask=(("Foo", "1"),), sent=(("Foo", "1"),)),
        get(ORIGIN, ask=(("Foo", "2"),), unsent=("If-None-Match",)),
    ),
    case(
        "the-new-answer-counts",
        put(SHORT, ETAG, then=3),
        get(ORIGIN, MAX_AGE, tag('"new"'), sent=unless('"abcdef"'), content=b"content 2"),
        get(HIT, content=b"content 2", has=(tag('"new"'),)),
    ),
    case(
        "again-after-an-answer-that-was-cut-short",
        put(SHORT, ETAG, then=3),
        get(ORIGIN, MAX_AGE, ("Content-Length", "99")),
        get(VALIDATED, status=304, sent=unless('"abcdef"'), content=b"content 1"),
    ),
    case(
        "a-304-for-another-representation",
        put(SHORT, ETAG, then=3),
        get(ORIGIN, tag('"other"'), status=304),
    ),
]


def update(name: str, old: str, new: str, expect: bool | tuple[bool, bool] = True) -> list[object]:
    """Rows: a 304 with a field, whether this answer and the next hit have its value."""
    both = expect if isinstance(expect, tuple) else (expect, expect)
    rows = []
    for profile, updated in zip((PLAIN, FULL), both, strict=True):
        value = new if updated else old
        steps = (
            put(SHORT, ETAG, (name, old), then=3),
            get(VALIDATED, MAX_AGE, (name, new), status=304, has=((name, value),)),
            get(HIT, has=((name, value),)),
        )
        rows.append(pytest.param(steps, profile, id=f"{name}-{profile}"))
    return rows


UPDATES = [
    *update("Test-Header", "A", "B"),
    *update("X-Test-Header", "A", "B"),
    *update("X-Content-Foo", "A", "B"),
    *update("Content-Foo", "A", "B"),
    *update("Content-Type", "text/plain", "text/plain;charset=utf-8"),
    *update("Content-Location", "/foo", "/bar"),
    *update("Content-Security-Policy", "default-src 'self'", "default-src 'none'"),
    *update("Clear-Site-Data", "cookies", "cache"),
    *update("Expires", "Fri, 01 Jan 2038 01:01:01 GMT", "Mon, 01 Jan 2035 11:11:11 GMT"),
    *update("Public-Key-Pins", "a", "b"),
    *update("Set-Cookie2", "a=b", "a=c"),
    *update("X-Frame-Options", "deny", "sameorigin"),
    *update("X-XSS-Protection", "1", "0"),
    *update("Content-Length", "9", "36", False),
    *update("Content-Encoding", "identity", "gzip", False),
    *update("Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A==", "N7UdGUp1E+RbVvZSTy1R8g==", False),
    *update("Content-Digest", "sha-256=:YWFh:", "sha-256=:YmJi:", False),
    *update("Repr-Digest", "sha-256=:YWFh:", "sha-256=:YmJi:", False),
    *update("Digest", "sha-256=YWFh", "sha-256=YmJi", False),
]

FRESHENING = [
    case(
        "keeps-what-the-304-leaves-out",
        put(SHORT, ETAG, ("Test-Header", "A"), ("Link", "<a>"), ("Link", "<b>"), then=3),
        get(VALIDATED, status=304, has=(("Test-Header", "A"), ("Link", "<a>"), ("Link", "<b>"))),
    ),
    case(
        "etag",
        put(SHORT, ETAG, MODIFIED, then=3),
        get(VALIDATED, MAX_AGE, tag('"new"'), ("Last-Modified", -3003), status=304),
        get(HIT, has=(tag('"new"'),), lacks=("Set-Cookie",)),
    ),
    case(
        "restarts-freshness",
        put(SHORT, ETAG, ("Age", "1"), then=3),
        get(VALIDATED, ("Cache-Control", "max-age=10"), status=304, then=9),
        get(HIT, has=(("Age", "9"),), then=1),
        get(VALIDATED, status=304),
    ),
    case(
        "with-the-stored-lifetime",
        put(SHORT, ETAG, DATE, then=3),
        get(VALIDATED, DATE, status=304, then=1),
        get(HIT, has=(("Date", -1),), then=2),
        get(VALIDATED, status=304),
    ),
    case(
        "no-store-in-a-304-ends-it",
        put(SHORT, ETAG, then=3),
        get(
            VALIDATED,
            ("Cache-Control", "no-store"),
            status=304,
            content=b"content 1",
            why="fwd-status=304; detail=no-store",
        ),
        get(ORIGIN, unsent=("If-None-Match",), content=b"content 3"),
    ),
    case(
        "connection-fields-stay-out",
        put(SHORT, ETAG, then=3),
        get(VALIDATED, MAX_AGE, ("Connection", "Hop"), ("Hop", "1"), status=304, lacks=("Hop",)),
        get(HIT, lacks=("Hop",)),
    ),
]

COOKIE = ("Set-Cookie", "a=c")

SET_COOKIE = [
    case(
        "304-does-not-store-one",
        put(SHORT, ETAG, then=3),
        get(VALIDATED, MAX_AGE, COOKIE, status=304),
        get(HIT, lacks=("Set-Cookie",)),
    ),
    case(
        "304-has-it-for-its-client",
        put(SHORT, ETAG, then=3),
        get(VALIDATED, MAX_AGE, COOKIE, status=304, has=(COOKIE,)),
        get(HIT, lacks=("Set-Cookie",)),
    ),
    case(
        "304-has-it-for-its-client-who-has-a-copy",
        put(SHORT, ETAG, then=3),
        get(VALIDATED, COOKIE, status=304, ask=unless('"abcdef"'), answer=304, has=(COOKIE,)),
    ),
]


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", TO_CLIENTS)
async def test_conditions_of_clients_are_answered(steps: Sequence[Step], profile: str) -> None:
    """A stored response answers 304 by weak comparison (RFC 9111 §4.3.2)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", TO_THE_ORIGIN)
async def test_a_stale_response_is_validated(steps: Sequence[Step], profile: str) -> None:
    """With its own validators, as they are (RFC 9111 §4.3.1)."""
    await play(steps, profile)


@pytest.mark.parametrize(("steps", "profile"), UPDATES)
async def test_a_304_updates_a_field(steps: Sequence[Step], profile: str) -> None:
    """In this answer and in what is stored; never what describes the bytes (RFC 9111 §3.2)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", FRESHENING)
async def test_a_304_freshens_what_is_stored(steps: Sequence[Step], profile: str) -> None:
    """Its fields over the stored ones, and a new life (RFC 9111 §4.3.4)."""
    await play(steps, profile)


@pytest.mark.parametrize("steps", SET_COOKIE)
async def test_a_304_brings_no_cookie_by_default(steps: Sequence[Step]) -> None:
    """What is not stored from a 200 is not stored from a 304."""
    await play(steps, PLAIN)


async def test_a_304_brings_a_cookie_where_they_are_stored() -> None:
    """With the option, the field is like any other."""
    await play(
        [
            put(SHORT, ETAG, ("Set-Cookie", "a=b"), then=3),
            get(
                VALIDATED, MAX_AGE, ("Set-Cookie", "a=c"), status=304, has=(("Set-Cookie", "a=c"),)
            ),
            get(HIT, has=(("Set-Cookie", "a=c"),)),
        ],
        FULL,
    )


async def test_what_the_cache_says_of_a_post_is_not_stored() -> None:
    """Nor is the member of an answer that is kept for GET."""
    world = World(PROFILES[FULL])
    located = (MAX_AGE, ("Content-Location", "/thing"))
    posted = await world.ask(Step(method="POST", fields=located))

    got = await world.ask(Step())

    assert posted.values("cache-status") == ["asgi-multitier; fwd=method"]
    assert got.values("cache-status") == ["asgi-multitier; hit; ttl=5000; detail=l1"]
    await world.close()


async def test_conditions_of_some_are_one_run_for_all() -> None:
    """The whole is asked for once, and each gets its own answer out of it: 304, or the content."""
    world = World(PROFILES[PLAIN])
    inner, asked, gate = world.middleware.app, asyncio.Event(), asyncio.Event()

    async def gated(scope: Scope, receive: Receive, send: Send) -> None:
        asked.set()
        await gate.wait()
        await inner(scope, receive, send)

    world.middleware.app = gated
    whole = Step(fields=(MAX_AGE, ("ETag", '"mine"')))
    conditional = replace(whole, ask=unless('"mine"'))
    leader = asyncio.create_task(world.ask(conditional))
    await asked.wait()
    others = [asyncio.create_task(world.ask(step)) for step in 3 * [whole, conditional]]
    for _ in range(20):
        await asyncio.sleep(0)
    gate.set()
    got = await asyncio.gather(leader, *others)
    await world.close()

    assert [answer.status for answer in got] == [304, *3 * [200, 304]]
    assert len(world.seen) == 1
