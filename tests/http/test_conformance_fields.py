"""What of a response is kept, what a hit carries, and whose answers are shared."""

from collections.abc import Sequence

import pytest

from tests.http.support import (
    FULL,
    HIT,
    ORIGIN,
    PLAIN,
    PROFILES,
    VALIDATED,
    Step,
    World,
    case,
    get,
    play,
    put,
    reuse,
)

MAX_AGE = ("Cache-Control", "max-age=3600")
SHORT = ("Cache-Control", "max-age=2")
ETAG = ("ETag", '"abc"')

KEPT = [
    ("Test-Header", "a"),
    ("X-Test-Header", "a"),
    ("Content-Foo", "a"),
    ("X-Content-Foo", "a"),
    ("Cache-Control", "max-age=3600"),
    ("Content-Length", "9"),
    ("Content-Location", "/foo"),
    ("Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A=="),
    ("Content-Security-Policy", "default-src 'self'"),
    ("Content-Type", "text/plain"),
    ("Content-Encoding", "identity"),
    ("Clear-Site-Data", '"cookies"'),
    ("ETag", '"abc"'),
    ("Expires", "Fri, 01 Jan 2038 01:01:01 GMT"),
    ("Date", "Fri, 15 Jan 2027 07:59:59 GMT"),
    ("Public-Key-Pins", "a"),
    ("Set-Cookie2", "a=b"),
    ("X-Frame-Options", "deny"),
    ("X-XSS-Protection", "1"),
    ("Vary", "Nothing"),
    ("Cache-Groups", '"a"'),
    ("Warning", '110 - "stale"'),
]

DROPPED = [
    ("Proxy-Authenticate", "Basic"),
    ("Proxy-Authentication-Info", "a"),
    ("Proxy-Connection", "a"),
    ("Keep-Alive", "timeout=5"),
    ("TE", "trailers"),
    ("Trailer", "a"),
    ("Transfer-Encoding", "chunked"),
    ("Upgrade", "h2c"),
    ("Connection", "close"),
]

FIELDS = [
    *(
        case(
            f"keeps-{name}",
            put(*((MAX_AGE,) if name != "Cache-Control" else ()), (name, value)),
            get(HIT, has=((name, value),)),
        )
        for name, value in KEPT
    ),
    *(
        case(f"drops-{name}", put(MAX_AGE, (name, value)), get(HIT, lacks=(name,)))
        for name, value in DROPPED
    ),
    case(
        "drops-what-connection-names",
        put(MAX_AGE, ("Connection", "A, b"), ("a", "1"), ("B", "2"), ("c", "3")),
        get(HIT, lacks=("a", "b", "connection"), has=(("c", "3"),)),
    ),
    case(
        "lines-stay-lines",
        put(MAX_AGE, ("Link", "<a>"), ("X-Other", "1"), ("Link", "<b>")),
        get(HIT, has=(("Link", "<a>"), ("Link", "<b>"))),
    ),
]

AGE = [
    case("on-every-hit", put(MAX_AGE, then=3), get(HIT, has=(("Age", "3"),))),
    case("at-once", put(MAX_AGE), get(HIT, has=(("Age", "0"),))),
    case(
        "upstream-is-added-max-age",
        put(MAX_AGE, ("Age", "30"), then=3),
        get(HIT, has=(("Age", "33"),)),
    ),
    case(
        "upstream-is-added-expires",
        put(("Expires", 3600), ("Date", 0), ("Age", "30"), then=3),
        get(HIT, has=(("Age", "33"),)),
    ),
    case(
        "one-line-only",
        put(MAX_AGE, ("Age", "30"), ("Age", "30"), then=3),
        get(HIT, has=(("Age", "33"),)),
    ),
    case(
        "apparent-age-counts",
        put(MAX_AGE, ("Date", -100), then=3),
        get(HIT, has=(("Age", "103"), ("Date", -103))),
    ),
    case(
        "on-a-304",
        put(MAX_AGE, ETAG, then=3),
        get(HIT, ask=(("If-None-Match", '"abc"'),), answer=304, has=(("Age", "3"),)),
    ),
]

BASIC = (("Authorization", "Basic YTpi"),)

SHARED = [
    case("authorization", put(MAX_AGE, ask=BASIC), get(ORIGIN, ask=BASIC)),
    case("authorization-then-without", put(MAX_AGE, ask=BASIC), get(ORIGIN)),
    *(
        case(
            f"authorization-{name}",
            put(("Cache-Control", directives), ask=BASIC),
            get(HIT, ask=BASIC),
        )
        for name, directives in (
            ("public", "max-age=3600, public"),
            ("must-revalidate", "max-age=3600, must-revalidate"),
            ("s-maxage", "s-maxage=3600"),
        )
    ),
    case("api-key", put(MAX_AGE, ask=(("X-Api-Key", "k"),)), get(ORIGIN)),
    reuse("request-cookie-does-not-matter", HIT, MAX_AGE, ask=(("Cookie", "a=b"),)),
    reuse("set-cookie", (ORIGIN, HIT), MAX_AGE, ("Set-Cookie", "a=b")),
    case(
        "set-cookie-is-sent-again",
        put(MAX_AGE, ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")),
        get((ORIGIN, HIT), ("Set-Cookie", "a=b"), has=(("Set-Cookie", "a=b"),)),
    ),
    case(
        "set-cookie-kept-private",
        put(("Cache-Control", 'max-age=3600, private="set-cookie"'), ("Set-Cookie", "a=b")),
        get(HIT, lacks=("Set-Cookie",)),
    ),
    case("query-differs", put(MAX_AGE, query="a=1"), get(ORIGIN, query="a=2")),
    case("query-absent", put(MAX_AGE, query="a=1"), get(ORIGIN)),
    case("query-same", put(MAX_AGE, query="a=1"), get(HIT, query="a=1")),
    reuse("attachment", HIT, MAX_AGE, ("Content-Disposition", "attachment; filename=a")),
    reuse("event-stream", ORIGIN, MAX_AGE, ("Content-Type", "text/event-stream")),
    reuse("cut-short", ORIGIN, MAX_AGE, ("Content-Length", "500")),
    reuse("immutable", HIT, ("Cache-Control", "max-age=3600, immutable")),
    case(
        "immutable-and-max-age-0",
        put(("Cache-Control", "max-age=3600, immutable"), then=3),
        get(HIT, ask=(("Cache-Control", "max-age=0"),)),
    ),
]

STATUS_FIELD = [
    case("uri-miss", put(MAX_AGE, why="asgi-multitier; fwd=uri-miss; stored; ttl=3600"), get(HIT)),
    case("hit", put(MAX_AGE, then=3), get(HIT, why="asgi-multitier; hit; ttl=3597; detail=l1")),
    case("not-stored", put(("Cache-Control", "no-store"), why="fwd=uri-miss; detail=no-store")),
    case(
        "validated",
        put(SHORT, ETAG, then=3),
        get(VALIDATED, MAX_AGE, status=304, why="fwd=stale; fwd-status=304; stored; ttl=3600"),
    ),
    case("stale", put(SHORT, ETAG, then=3), get(ORIGIN, MAX_AGE, why="fwd=stale; stored")),
    case("method", put(method="POST", why="asgi-multitier; fwd=method")),
    case("options", put(method="OPTIONS", why="asgi-multitier; fwd=method")),
    case("bypass", put(ask=(("X-Api-Key", "k"),), why="fwd=bypass; detail=credentials")),
    case(
        "request",
        put(MAX_AGE),
        get(
            (HIT, ORIGIN),
            MAX_AGE,
            ask=(("Cache-Control", "no-cache"),),
        ),
    ),
    case(
        "behind-those-upstream",
        put(MAX_AGE, ("Cache-Status", "upstream; hit")),
        get(HIT, has=(("Cache-Status", "upstream; hit"),)),
    ),
]


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", FIELDS)
async def test_fields_of_a_hit(steps: Sequence[Step], profile: str) -> None:
    """End-to-end fields as they came, nothing of the connection (RFC 9111 §3.1)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", AGE)
async def test_age_of_a_hit(steps: Sequence[Step], profile: str) -> None:
    """The current age in one line, the date untouched (RFC 9111 §4, §5.1)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", SHARED)
async def test_what_is_shared(steps: Sequence[Step], profile: str) -> None:
    """Nobody gets what was another's own (RFC 9111 §3.5)."""
    await play(steps, profile)


@pytest.mark.parametrize("profile", [PLAIN, FULL])
@pytest.mark.parametrize("steps", STATUS_FIELD)
async def test_cache_status(steps: Sequence[Step], profile: str) -> None:
    """Every response says what happened to its request (RFC 9211)."""
    await play(steps, profile)


async def test_upstream_members_come_first() -> None:
    """This cache's member is the last line, nearest to the client (RFC 9211 §2)."""
    world = World(PROFILES[PLAIN])
    await world.ask(Step(fields=(MAX_AGE, ("Cache-Status", "upstream; hit"))))

    got = await world.ask(Step())

    assert got.values("cache-status") == [
        "upstream; hit",
        "asgi-multitier; hit; ttl=3600; detail=l1",
    ]
    await world.close()


@pytest.mark.parametrize(
    ("directives", "detail"),
    [
        ("no-cache", "request-no-cache"),
        ("max-age=1", "request-max-age"),
        ("min-fresh=9999", "request-min-fresh"),
    ],
)
async def test_what_a_request_objects_to_is_told_and_counted(directives: str, detail: str) -> None:
    """The reason not to use what is stored stands in the field and in the statistics."""
    world = World(PROFILES[FULL])
    await world.ask(Step(fields=(MAX_AGE,)))
    world.now = 3.0

    got = await world.ask(Step(fields=(MAX_AGE,), ask=(("Cache-Control", directives),)))

    assert got.cache_status == f"asgi-multitier; fwd=request; stored; ttl=3600; detail={detail}"
    assert world.manager.stats().unused == {detail: 1}
    await world.close()


async def test_what_is_always_validated_says_so() -> None:
    """A response with `no-cache` is found, and asked about."""
    world = World(PROFILES[PLAIN])
    await world.ask(Step(fields=(("Cache-Control", "no-cache"), ETAG)))

    got = await world.ask(Step(status=304))

    assert got.cache_status.startswith("asgi-multitier; fwd=stale; fwd-status=304; stored")
    assert got.cache_status.endswith("; detail=no-cache")
    assert world.manager.stats().unused == {"no-cache": 1}
    await world.close()
