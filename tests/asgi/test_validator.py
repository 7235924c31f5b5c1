"""`validator=`: a stale response whose data has not changed lives on without the application.

What holds for responses and values alike is in `tests/engine/test_two_doors.py`.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Rule, TierConfig
from asgi_multitier._types import Receive, Scope, Send
from tests.engine.doors import Data
from tests.manager.support import SeenTier
from tests.support import (
    Cache,
    Client,
    FakeClock,
    Origin,
    Reply,
    Visit,
    answering,
    caching,
    pass_time,
    respond,
)

LIFETIME = 60


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """A page with all that a cache adds or changes."""
    await respond(send, b"a page", (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"), (b"x-a", b"1"))


async def negotiated(scope: Scope, receive: Receive, send: Send) -> None:
    """A page in the language that is asked for."""
    language = dict(scope["headers"]).get(b"accept-language", b"none")
    await respond(send, language, (b"vary", b"accept-language"))


def rules(data: Data, **options: Any) -> list[Rule]:
    return [Rule("*", LIFETIME, validator=data, **options)]


async def gone_stale(cache: Cache, *headers: tuple[str, str]) -> Reply:
    """The first answer, which is stale now."""
    reply: Reply = await cache.get("/x", headers)
    cache.clock.advance(LIFETIME + 1)
    return reply


@pytest.mark.parametrize(
    ("method", "headers", "status", "body"),
    [
        ("GET", {}, 200, b"a page"),
        ("HEAD", {}, 200, b""),
        ("GET", {"if-none-match": "*"}, 304, b""),
        ("GET", {"range": "bytes=2-3"}, 206, b"pa"),
    ],
    ids=["get", "head", "conditional", "range"],
)
async def test_what_its_client_gets_is_a_hit(
    method: str, headers: Mapping[str, str], status: int, body: bytes
) -> None:
    """Said to be validated; whatever it asks for, it is answered out of the stored response."""
    data, origin = Data(), Origin(page)
    async with caching(origin, rules(data)) as cache:
        await gone_stale(cache)
        reply = await cache.client.request(method, "/x", headers.items())

        assert (reply.status, reply.body) == (status, body)
        assert reply.cache == "hit; ttl=60; detail=validated"
        assert (origin.calls, data.asked) == (1, 2)
        assert cache.manager.stats().total.hits == {1: 1}
        assert (await cache.get("/x")).cache == "hit; ttl=60; detail=l1"


async def test_fields_stay_and_only_the_date_is_new() -> None:
    """As after a 304 without fields of its own (RFC 9111 §4.3.4)."""
    async with caching(page, rules(Data())) as cache:
        first = await gone_stale(cache)
        again = await cache.get("/x")

        changing = ("date", "age", "cache-status")
        kept = [line for line in first.headers if line[0].decode() not in changing]
        assert [line for line in again.headers if line[0].decode() not in changing] == kept
        assert again.get("age") == b"0"
        assert first.get("date") != again.get("date")


async def test_each_variant_is_validated_by_itself() -> None:
    """The version of one says nothing about the lifetime of the other."""
    data, origin = Data(), Origin(negotiated)
    async with caching(origin, rules(data)) as cache:
        for language in ("da", "fi"):
            await cache.get("/x", [("accept-language", language)])
        cache.clock.advance(LIFETIME + 1)
        replies = [await cache.get("/x", [("accept-language", lang)]) for lang in ("da", "fi")]

        assert [reply.body for reply in replies] == [b"da", b"fi"]
        assert [reply.detail for reply in replies] == ["validated", "validated"]
        assert (origin.calls, data.asked) == (2, 4)


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({"public": True}, [("authorization", "Bearer x")]),
        ({"honor_request_directives": True}, [("cache-control", "no-store")]),
        ({"honor_request_directives": True}, [("cache-control", "no-cache")]),
    ],
    ids=["authorization", "no-store", "no-cache"],
)
async def test_who_asks_has_no_say_in_what_is_stored_already(options: Any, headers: Any) -> None:
    """It is no response to that request: its client gets it, and it stays for the others."""
    data, origin = Data(), Origin(page)
    async with caching(origin, rules(data, **options)) as cache:
        await gone_stale(cache)
        replies = [await cache.get("/x", headers), await cache.get("/x")]

        assert [reply.cache for reply in replies] == [
            "hit; ttl=60; detail=validated",
            "hit; ttl=60; detail=l1",
        ]
        assert origin.calls == 1


async def test_what_is_not_there_is_not_validated() -> None:
    """A client may ask for any number of names; each would take room for an hour at least."""
    data, origin = Data(), Origin(answering(status=404))
    async with caching(origin, rules(data, negative=5)) as cache:
        await cache.get("/x")
        cache.clock.advance(6)

        assert (await cache.get("/x")).cache == "fwd=uri-miss; stored; ttl=5"
        assert origin.calls == 2


async def test_it_gets_the_request_as_vary_by_does() -> None:
    """With path, query and fields."""
    seen = []

    def version(request: Any) -> str:
        seen.append((request.scope["path"], request.query_params["a"], request.headers["host"]))
        return "1"

    async with caching(page, [Rule("*", LIFETIME, validator=version)]) as cache:
        await cache.get("/x?a=1")

    assert seen == [("/x", "1", "example.org")]


async def test_one_that_hangs_is_ended_by_the_hard_timeout() -> None:
    """The application is asked then, and its time is its own."""
    data, origin = Data(), Origin(page)
    async with caching(origin, rules(data, hard_timeout=2)) as cache:
        await gone_stale(cache)
        data.gate.clear()
        asked = cache.client.begin("/x")
        await pass_time(2.1)
        reply = await asked

        assert (reply.cache, origin.calls) == ("fwd=stale; stored; ttl=60", 2)
        assert cache.manager.stats().failures == {"validator": 1}


@pytest.mark.parametrize("age", [LIFETIME - 1, LIFETIME + 1], ids=["fresh", "stale"])
async def test_a_reload_reaches_the_application_while_the_entry_is_fresh(age: int) -> None:
    """Where clients may ask for that; a stale entry is validated as for any request."""
    origin = Origin()
    async with caching(origin, rules(Data(), honor_request_directives=True)) as cache:
        await cache.get("/x")
        cache.clock.advance(age)
        reply = await cache.get("/x", [("cache-control", "no-cache")])

        assert (reply.detail, reply.body) == (
            ("request-no-cache", b"2") if age < LIFETIME else ("validated", b"1")
        )


async def test_what_was_invalidated_meanwhile_is_not_validated_by_the_application() -> None:
    """It is asked for all of the response: its own 304 must not bring the old one back either."""
    data, asked = Data(), []

    async def tagged(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(dict(scope["headers"]).get(b"if-none-match"))
        await respond(send, b"%d" % len(asked), (b"etag", b'"v1"'))

    async with caching(tagged, rules(data)) as cache:
        await gone_stale(cache)
        data.version = 2
        assert (await cache.get("/x")).body == b"2"
        cache.clock.advance(LIFETIME + 1)
        data.gate.clear()
        waiting = cache.client.begin("/x")
        await pass_time(0.1)
        await cache.manager.invalidate_path("/x")
        data.gate.set()

        assert (await waiting).body == b"3"
        assert asked == [None, b'"v1"', None]


async def test_a_connection_that_breaks_as_the_answer_is_sent_is_no_failure() -> None:
    """Nothing is logged, and the entry lives on."""
    data, origin = Data(), Origin(page)
    async with caching(origin, rules(data)) as cache:
        await gone_stale(cache)
        await cache.get("/x", visit=Visit(broken=True))

        assert (await cache.get("/x")).cache == "hit; ttl=60; detail=l1"
        assert origin.calls == 1


async def test_a_client_that_leaves_meanwhile_harms_nothing() -> None:
    """The entry lives on for the others."""
    data, origin = Data(), Origin(page)
    async with caching(origin, rules(data)) as cache:
        await gone_stale(cache)
        data.gate.clear()
        asked = cache.client.begin("/x")
        await pass_time(0.1)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        data.gate.set()
        await pass_time(0.1)

        assert (await cache.get("/x")).cache == "hit; ttl=60; detail=l1"
        assert origin.calls == 1


async def test_a_response_that_may_not_be_kept_any_more_is_not() -> None:
    """Another process has stored it by other rules: its client gets it, and it is forgotten."""
    data, origin, clock = Data(), Origin(), FakeClock()
    tier = SeenTier(clock)
    shared = {"tiers": [(tier, TierConfig(2))], "redis_url": None, "namespace": "test"}
    manager = CacheManager(**shared, clock=clock, wall=clock)
    loose = Client(CacheMiddleware(origin, manager, rules=rules(data)))
    await loose.get("/x")
    await manager.engine.stack.settle()
    clock.advance(LIFETIME + 1)
    strict = CacheManager(
        **shared,
        clock=clock,
        wall=clock,
        header_block=1,
    )
    strict.engine.index.enter(manager.engine.index.gen, manager.engine.index.seq)
    reply = await Client(CacheMiddleware(origin, strict, rules=rules(data))).get("/x")

    assert (reply.body, reply.detail) == (b"1", "headers-oversized")
    assert len(strict.engine.stack.local) == 0
    await manager.close()
    await strict.close()


async def test_instances_learn_the_new_lifetime_from_the_shared_tier() -> None:
    """One asks the validator; the other finds the entry renewed, and neither asks the application.

    An invalidation by a tag that the entry had from the start still drops it everywhere.
    """
    data, origin, clock = Data(), Origin(), FakeClock()
    tier = SeenTier(clock)
    async with AsyncExitStack() as ends:
        managers = [
            CacheManager(
                tiers=[(tier, TierConfig(2))],
                redis_url=None,
                namespace="test",
                clock=clock,
                wall=clock,
            )
            for _ in range(2)
        ]
        here, there = (
            Client(CacheMiddleware(origin, manager, rules=rules(data, tags="pages")))
            for manager in managers
        )
        for manager in managers:
            await ends.enter_async_context(manager)
        managers[1].engine.index.enter(managers[0].engine.index.gen, 0)
        await here.get("/x")
        await managers[0].engine.stack.settle()
        await there.get("/x")
        clock.advance(LIFETIME + 1)
        renewed = await here.get("/x")
        await managers[0].engine.stack.settle()
        found = await there.get("/x")

        assert (renewed.detail, found.detail) == ("validated", "l2")
        assert (origin.calls, data.asked) == (1, 2)
        await managers[1].invalidate_tags("pages")
        clock.advance(LIFETIME + 1)
        assert (await there.get("/x")).body == b"2"
