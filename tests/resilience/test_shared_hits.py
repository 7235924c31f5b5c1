"""A plain hit of a second tier is sent without a second thought, and each client's is its own."""

import asyncio
from typing import Any

from asgi_multitier import NullLocalTier, Policy, Rule
from asgi_multitier._types import Message, Receive, Scope, Send
from tests.http.test_shared_tiers import DictTier
from tests.support import Client, Origin, answering, caching, respond, settled

LINE = (b"x-line", b"1")


async def filled(cache: Any) -> None:
    """Have the second tier hold the answer, and no other."""
    assert (await cache.get("/x")).stored
    await cache.manager.engine.stack.settle()


async def test_hits_of_one_read_have_field_lines_of_their_own() -> None:
    """A layer outside that edits one client's field lines edits nobody else's."""
    async with caching(
        Origin(answering(b"hello", LINE)), l1=NullLocalTier(), l2=DictTier()
    ) as cache:
        await filled(cache)

        async def editing(scope: Scope, receive: Receive, send: Send) -> None:
            async def edited(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"].append((b"x-added", b"1"))
                await send(message)

            await cache.middleware(scope, receive, edited)

        outside = Client(editing)
        replies = await asyncio.gather(*(outside.get("/x") for _ in range(3)))

        assert {reply.detail for reply in replies} == {"l2"}
        assert [reply.all("x-added") for reply in replies] == [[b"1"]] * 3
        assert cache.manager.stats().tiers[1].hits == 3


async def test_a_plain_hit_is_as_old_as_it_is() -> None:
    """`Age` and what is left are those of the moment, and a stale entry is none."""
    origin = Origin()
    rules = [Rule("*", 60)]
    async with caching(origin, rules, l1=NullLocalTier(), l2=DictTier()) as cache:
        await filled(cache)
        ages = []
        for _ in range(2):
            cache.clock.advance(20)
            reply = await cache.get("/x")
            ages.append((reply.get("age"), reply.cache))
        cache.clock.advance(30)
        late = await cache.get("/x")

        assert ages == [
            (b"20", "hit; ttl=40; detail=l2"),
            (b"40", "hit; ttl=20; detail=l2"),
        ]
        assert not late.hit
        assert (late.body, origin.calls) == (b"2", 2)


async def test_a_head_gets_a_plain_hit_without_its_body() -> None:
    """The same field lines, and nothing after them."""
    async with caching(
        Origin(answering(b"hello", LINE)), l1=NullLocalTier(), l2=DictTier()
    ) as cache:
        await filled(cache)
        reply = await cache.client.request("HEAD", "/x")

        assert reply.detail == "l2"
        assert reply.body == b""
        assert (reply.get("content-length"), reply.get("x-line")) == (b"5", b"1")


async def test_a_condition_is_answered_from_below() -> None:
    """Only what says nothing beyond its target is sent without a thought."""
    app = Origin(answering(b"hello", (b"etag", b'"a"')))
    async with caching(app, l1=NullLocalTier(), l2=DictTier()) as cache:
        await filled(cache)
        reply = await cache.get("/x", [("if-none-match", '"a"')])

        assert (reply.status, reply.body, reply.detail) == (304, b"", "l2")


async def test_one_reader_that_leaves_takes_nothing_from_the_others() -> None:
    """Three wait for one read of the second tier; the first is cancelled."""
    origin = Origin()
    async with caching(origin, l1=NullLocalTier(), l2=DictTier()) as cache:
        await filled(cache)
        first, *others = (cache.client.begin("/x") for _ in range(3))
        await asyncio.sleep(0)
        first.cancel()
        replies = await asyncio.gather(*others)
        await settled()

        assert first.cancelled()
        assert {reply.detail for reply in replies} == {"l2"}
        assert origin.calls == 1


async def test_what_a_head_teaches_is_judged_by_the_request_as_it_came() -> None:
    """The application of a HEAD gets the very scope, and may edit it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            scope["headers"] = [(b"authorization", b"secret")]
        age = b"max-age=3600" if scope["method"] == "HEAD" else b"max-age=2"
        await respond(send, b"hello", (b"cache-control", age), (b"etag", b'"a"'))

    async with caching(app, (), default=Policy.from_origin()) as cache:
        assert (await cache.get("/x")).stored
        cache.clock.advance(3)
        await cache.client.request("HEAD", "/x")

        assert (await cache.get("/x")).hit
