"""`Cache-Status` (RFC 9211) tells on every response what happened and why, in fixed words."""

import asyncio
import re

import http_sf
import pytest

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.support import Origin, answering, caching, respond, settled


async def test_each_outcome_has_its_words() -> None:
    """Miss, hit, bypass, changed, collapsed, stale, variant."""
    origin = Origin()
    rule = Rule("*", 100, stale_while_revalidate=50, stale_if_error=1000)
    async with caching(origin, [rule]) as cache:
        assert (await cache.get("/x")).cache == "fwd=uri-miss; stored; ttl=100"
        cache.clock.advance(30)
        assert (await cache.get("/x")).cache == "hit; ttl=70; detail=l1"
        bypass = await cache.get("/x", [("authorization", "a")])
        assert bypass.cache == "fwd=bypass; detail=authorization"
        assert (await cache.client.request("PUT", "/y")).cache == "fwd=method"
        cache.clock.advance(80)
        stale = await cache.get("/x")
        assert stale.cache == "hit; ttl=-10; detail=stale-while-revalidate"
        await settled()
        cache.clock.advance(200)
        assert (await cache.get("/x")).cache == "fwd=stale; stored; ttl=100"
        origin.gate.clear()
        tasks = [cache.client.begin("/z") for _ in range(2)]
        await settled()
        origin.gate.set()
        replies = await asyncio.gather(*tasks)
        assert replies[1].cache == "fwd=uri-miss; stored; collapsed; ttl=100"


@pytest.mark.parametrize("reading", [964.1, 4.3, 16_368.4, 1_073_741_764.7])
async def test_whole_seconds_are_whole_at_every_reading_of_the_clock(reading: float) -> None:
    """A lifetime of 60 s is 60, and an age of 59 s is 59, whatever the reading."""
    async with caching(Origin(), [Rule("*", 60)]) as cache:
        cache.clock.now = reading
        assert (await cache.get("/x")).cache == "fwd=uri-miss; stored; ttl=60"
        cache.clock.advance(59)
        for _ in range(2):  # the second way is that of a usual hit
            reply = await cache.get("/x")
            assert (reply.get("age"), reply.cache) == (b"59", "hit; ttl=1; detail=l1")


async def test_a_variant_miss_says_so() -> None:
    """The URL is known, the representation is not."""
    async with caching(Origin(answering(b"x", (b"vary", b"accept-language")))) as cache:
        await cache.get("/x", [("accept-language", "de")])
        other = await cache.get("/x", [("accept-language", "fr")])

        assert other.cache.startswith("fwd=vary-miss; stored")


async def test_a_cache_closer_to_the_origin_keeps_its_say() -> None:
    """Its member stands first, ours after it, on a miss and on a hit."""
    line = (b"cache-status", b"inner; hit")
    async with caching(Origin(answering(b"x", line))) as cache:
        for _ in range(2):
            reply = await cache.get("/x")
            first, second = reply.all("cache-status")

            assert first == b"inner; hit"
            assert second.startswith(b"asgi-multitier; ")


async def _sometimes(scope: Scope, receive: Receive, send: Send) -> None:
    lines = {"/own": [(b"set-cookie", b"a=b")], "/sse": [(b"content-type", b"text/event-stream")]}
    await respond(send, b"x", *lines.get(scope["path"], []))


@pytest.mark.parametrize("default", [None, Policy.from_origin()], ids=["rules", "from-origin"])
async def test_every_response_has_one_well_formed_member(default: Policy | None) -> None:
    """Only fixed tokens and numbers, and nothing of the request, whatever is asked."""
    hostile = "\"';,\\<script>&%0d%0aset-cookie:a=b"
    rules = [] if default else [Rule("/*", 60)]
    shape = re.compile(rb"asgi-multitier(; [a-z-]+(=[a-z0-9-]+)?)+")
    async with caching(_sometimes, rules, default=default) as cache:
        for method in ("GET", "GET", "HEAD", "POST", "OPTIONS", "TRACE", "X"):
            for target in ("/x", "/own", "/sse", f"/{hostile}", f"/x?{hostile}", "*", "//"):
                for lines in (
                    [],
                    [("host", hostile)],
                    [("cookie", hostile)],
                    [("range", "bytes=0-0")],
                    [("if-none-match", "*")],
                    [("if-match", "*")],
                    [("cache-control", "only-if-cached")],
                    [("expect", "100-continue")],
                ):
                    reply = await cache.client.request(method, target, lines)
                    (member,) = reply.all("cache-status")

                    assert shape.fullmatch(member), member
                    assert isinstance(http_sf.parse(member, tltype="list"), list)
                    for name, value in reply.headers:
                        assert b"script" not in name + value
                        assert not re.search(rb"[\x00-\x1f\x7f]", value)
