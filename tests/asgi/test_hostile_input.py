"""Requests made to harm: bounded work, bounded memory, and clean answers for all others."""

import random

import pytest

from asgi_multitier import Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.support import EVERYTHING, Origin, answering, caching, respond


@pytest.mark.parametrize(
    "lines",
    [
        [("range", "bytes=" + ",".join(f"{n}-{n}" for n in range(1000)))],
        [("range", "bytes=5-2")],
        [("range", "bytes=0-,0-,0-")],
        [("range", "bytes=" + "9" * 5000 + "-")],
        [("range", "bytes=-0")],
        [("range", "x" * 64_000)],
        [("range", "bytes=0-1"), ("range", "bytes=2-3")],
        [("if-none-match", ", ".join(f'"{n}"' for n in range(10_000)))],
        [("if-none-match", '"' * 60_000)],
        [("if-none-match", "W/" * 30_000)],
        [("if-modified-since", "x" * 60_000)],
        [("if-modified-since", "Thu, 99 Foo 99999 99:99:99 GMT")],
        [("cache-control", "max-age=" + "9" * 60_000)],
        [("cache-control", "," * 60_000)],
        [("cookie", ";" * 60_000)],
        [("cookie", "a=" * 30_000)],
        [("accept-encoding", "gzip;q=" * 9_000)],
        [("accept-language", "," * 60_000)],
        [("x-forwarded-host", "x" * 60_000)],
        [("forwarded", "for=;" * 12_000)],
        [("content-length", "9" * 5_000)],
        [("host", "a" * 60_000)],
        [(f"x-{n}", "y") for n in range(2_000)],
    ],
    ids=lambda lines: f"{lines[0][0]}:{lines[0][1][:20]}",
)
async def test_a_hostile_request_is_answered_and_harms_nobody(
    lines: list[tuple[str, str]],
) -> None:
    """No exception, and the next client's answer is the origin's."""
    origin = Origin(answering(b"0123456789", (b"vary", b"accept-language, accept-encoding")))
    rules = [Rule("*", 300, cookies=["sid"])]
    async with caching(origin, rules) as cache:
        await cache.get("/x")
        reply = await cache.get("/x", lines)
        assert reply.status in (200, 206, 304, 416)
        clean = await cache.get("/x")

        assert clean.hit
        assert clean.status == 200
        assert clean.body == b"0123456789"


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=-3", 206, b"789"),
        ("bytes=7-", 206, b"789"),
        ("bytes=0-99", 206, b"0123456789"),
        ("bytes=10-", 416, b""),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("bytes=4-2", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
    ],
)
async def test_one_range_of_a_stored_response(wanted: str, status: int, body: bytes) -> None:
    """A sound single range is cut out of the copy; anything odd gets the whole."""
    async with caching(Origin(answering(b"0123456789"))) as cache:
        await cache.get("/x")
        reply = await cache.get("/x", [("range", wanted)])

        assert (reply.status, reply.body) == (status, body)
        assert reply.hit
        if status == 206:
            assert reply.get("content-length") == b"%d" % len(body)


async def test_a_part_that_the_origin_sends_is_not_taken_for_the_whole() -> None:
    """A 206 is passed on, and the next request without a range gets everything."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if any(name == b"range" for name, _ in scope["headers"]):
            await respond(send, b"01", (b"content-range", b"bytes 0-1/10"), status=206)
        else:
            await respond(send, b"0123456789")

    async with caching(Origin(page)) as cache:
        part = await cache.get("/x", [("range", "bytes=0-1")])
        whole = await cache.get("/x")

        assert (part.status, part.body) == (206, b"01")
        assert (whole.status, whole.body) == (200, b"0123456789")


async def test_oversized_urls_pass_by_and_are_not_remembered_for_ever() -> None:
    """A megabyte of URL costs no exception and no lasting memory."""
    async with caching(Origin(answering(b"x")), l1_bytes=20 * 1024 * 1024) as cache:
        for number in range(40):
            reply = await cache.get(f"/{number}" + "a" * 1_000_000)
            assert reply.detail == "target"
        plans = cache.middleware._plans
        remembered = 2 * sum(
            len(place) + len(kept.path)
            for half in (plans._young, plans._old[0])
            for places in half.values()
            for place, kept in places.items()
        )

        assert remembered <= 10 * 1024 * 1024 + 2 * 4_100_000


async def test_a_flood_of_cache_busting_requests_runs_the_origin_once() -> None:
    """`no-cache`, `Pragma`, `max-age=0` and `Range` of strangers do not reach the origin."""
    origin = Origin()
    async with caching(origin) as cache:
        await cache.get("/x")
        for _ in range(100):
            for name, value in [
                ("cache-control", "no-cache"),
                ("cache-control", "no-store, max-age=0"),
                ("pragma", "no-cache"),
                ("range", "bytes=0-0"),
            ]:
                await cache.get("/x", [(name, value)])

        assert origin.calls == 1


@pytest.mark.parametrize("seed", range(3))
async def test_mixed_users_never_see_each_other(seed: int) -> None:
    """Thousands of requests of many users by all means of telling them apart: no leak."""
    randomly = random.Random(seed)

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        told = dict(scope["headers"])
        who = told.get(b"authorization") or told.get(b"x-api-key") or told.get(b"cookie") or b"-"
        await respond(send, who)

    rules = [
        Rule("/cookie/*", 300, cookies=["sid"]),
        Rule("/vary/*", 300, vary=["x-api-key"]),
        Rule("/by/*", 300, vary_by=lambda request: request.headers.get("authorization")),
        *EVERYTHING,
    ]
    async with caching(Origin(page), rules) as cache:
        for _ in range(1_500):
            target = randomly.choice(["/cookie/", "/vary/", "/by/", "/plain/"]) + randomly.choice(
                "ab"
            )
            who = f"user{randomly.randint(0, 5)}"
            name = randomly.choice(["authorization", "x-api-key", "cookie", ""])
            value = f"sid={who}" if name == "cookie" else who
            reply = await cache.get(target, [(name, value)] if name else [])
            expected = value if name else "-"

            assert reply.body == expected.encode(), (target, name, reply.cache)
