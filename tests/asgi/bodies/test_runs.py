"""Runs for questions with content: the application is asked what the leader has asked."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule, cached
from tests.asgi.bodies.support import JSON, Chunks, Reader, post, searches
from tests.patience import until
from tests.servers import ValkeyServer
from tests.support import Cache, Client, Reply, Visit, caching, pass_time, settled


def begin(cache: Cache, body: bytes, **options: Any) -> "asyncio.Task[Reply]":
    """Ask in a task of its own."""
    return asyncio.create_task(post(cache, body, JSON, **options))


async def test_identical_questions_share_one_run() -> None:
    """Fifty at one time, and one other: the application runs twice."""
    origin = Reader()
    origin.gate.clear()
    async with caching(origin, searches(body="json")) as cache:
        await cache.manager.start()  # who comes when it is done would lead those who wait for it
        tasks = [begin(cache, b'{"a":1}' + b" " * number) for number in range(50)]
        other = begin(cache, b'{"a":2}')
        await settled()
        origin.gate.set()
        replies = await asyncio.gather(*tasks)
        await other

    assert {reply.body for reply in replies} == {b'1:{"a":1}'}
    assert origin.asked == [("POST", b'{"a":1}'), ("POST", b'{"a":2}')]


@pytest.mark.parametrize("method", ["POST", "QUERY"])
async def test_a_client_that_leaves_takes_nothing_with_it(method: str) -> None:
    """The run goes on for those who wait, with its content."""
    origin = Reader()
    origin.gate.clear()
    async with caching(origin, searches()) as cache:
        visit = Visit(body=b"q")
        leader = begin(cache, b"q", method=method, visit=visit)
        await origin.arrived.acquire()
        follower = begin(cache, b"q", method=method)
        await settled()
        visit.leave()
        leader.cancel()
        await asyncio.gather(leader, return_exceptions=True)
        origin.gate.set()
        reply = await follower

    assert reply.body == b"1:q"
    assert origin.asked == [(method, b"q")]


async def test_a_waiting_client_that_leaves_is_noticed() -> None:
    """Its channel is read for that, beyond the content."""
    origin = Reader()
    origin.gate.clear()
    async with caching(origin, searches()) as cache:
        leader = begin(cache, b"q")
        await origin.arrived.acquire()
        visit = Visit(body=b"q")
        follower = begin(cache, b"q", visit=visit)
        await pass_time(2)
        visit.leave()
        await follower
        assert visit.reply.messages == []
        origin.gate.set()
        assert (await leader).body == b"1:q"


@pytest.mark.parametrize("late", [False, True])
async def test_who_waited_in_vain_asks_with_its_own_content(late: bool) -> None:
    """The response is not shared after all: each asks alone, from the start of its content; also
    where its channel was read meanwhile, to see whether it is there.
    """
    origin = Reader((b"set-cookie", b"a=1"))
    origin.gate.clear()
    async with caching(origin, searches()) as cache:
        tasks = [begin(cache, b"q", visit=Visit(body=b"q")) for _ in range(3)]
        await origin.arrived.acquire()
        if late:
            await pass_time(2)
        origin.gate.set()
        replies = await asyncio.gather(*tasks)

    assert origin.asked == [("POST", b"q")] * 3
    assert sorted(reply.body for reply in replies) == [b"1:q", b"2:q", b"3:q"]


async def test_who_may_not_have_what_came_asks_with_its_own_content() -> None:
    """A request with `Authorization` waited for one without, whose response does not allow it."""
    origin = Reader((b"cache-control", b"max-age=60"))
    origin.gate.clear()
    policy = Policy.from_origin(methods=["POST"], body=True)
    async with caching(origin, [Rule("*", policy)]) as cache:
        leader = asyncio.create_task(post(cache))
        await origin.arrived.acquire()
        follower = asyncio.create_task(post(cache, b"q", ("authorization", "x")))
        await pass_time(2)
        origin.gate.set()
        replies = await asyncio.gather(leader, follower)

    assert [reply.body for reply in replies] == [b"1:q", b"2:q"]
    assert replies[1].detail == "authorization"


@pytest.mark.parametrize("method", ["POST", "QUERY"])
@pytest.mark.parametrize("option", ["stale_while_revalidate", "eager_refresh"])
async def test_background_runs_ask_the_same(method: str, option: str) -> None:
    """The same content, type and method; the clients get what is there meanwhile."""
    origin = Reader()
    rules = searches(**{option: {"stale_while_revalidate": 60, "eager_refresh": 0.5}[option]})
    async with caching(origin, rules) as cache:
        await post(cache, b"q", JSON, method=method)
        cache.clock.advance(301 if option == "stale_while_revalidate" else 200)
        stale = await post(cache, b"q", JSON, method=method)
        await settled()
        fresh = await post(cache, b"q", JSON, method=method)

    assert (stale.body, fresh.body) == (b"1:q", b"2:q")
    assert fresh.hit
    assert origin.asked == [(method, b"q")] * 2
    assert origin.fields[0] == origin.fields[1]


@pytest.mark.parametrize(
    ("method", "conditional"), [pytest.param("POST", False), pytest.param("QUERY", True)]
)
async def test_only_what_has_conditions_is_validated(method: str, conditional: bool) -> None:
    """A stale response to a POST is asked for again: its conditions mean 412 (RFC 9110 §13.1.2)."""
    origin = Reader((b"etag", b'"1"'))
    async with caching(origin, searches(stale_if_error=60)) as cache:
        await post(cache, method=method)
        cache.clock.advance(301)
        again = await post(cache, method=method)

    assert again.body == b"2:q"
    assert (origin.fields[1].get(b"if-none-match") == b'"1"') is conditional


async def test_a_validator_sees_the_content() -> None:
    """It says of this question whether its answer still holds."""
    origin, versions = Reader(), {b"a": "1", b"b": "1"}
    rules = searches(validator=lambda request: versions[bytes(request.body)])
    async with caching(origin, rules) as cache:
        for body in (b"a", b"b"):
            await post(cache, body)
        versions[b"b"] = "2"
        cache.clock.advance(301)
        for body in (b"a", b"b"):
            await post(cache, body)

    assert origin.asked == [("POST", b"a"), ("POST", b"b"), ("POST", b"b")]


@pytest.mark.parametrize("waits", ["for its content", "for when="])
async def test_a_request_that_is_cancelled_early_is_counted(waits: str) -> None:
    """While its content is read, or the rule is asked."""
    begun = asyncio.Event()

    async def when(request: Any) -> bool:
        begun.set()
        await asyncio.Event().wait()
        return True

    async with caching(Reader(), searches(when=when)) as cache:
        visit = Visit(body=b"q")
        if waits == "for its content":
            visit._asked = True
            begun.set()
        task = asyncio.create_task(post(cache, visit=visit))
        await begun.wait()
        await settled()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cache.manager.stats().total.misses == 1


@pytest.mark.parametrize("failure", ["raises", "answers 500"])
async def test_something_stale_stands_in(failure: str) -> None:
    """For a question as for a GET."""
    origin = Reader()
    async with caching(origin, searches(stale_if_error=60)) as cache:
        await post(cache)
        cache.clock.advance(301)
        origin.fails, origin.status = failure == "raises", 500
        reply = await post(cache)

    assert reply.body == b"1:q"
    assert reply.detail == "stale-if-error"


async def test_failures_are_its_clients_alone_and_drop_nothing() -> None:
    """An exception of the application reaches its client; what is stored stays."""
    origin = Reader()
    async with caching(origin, searches()) as cache:
        await post(cache, b"kept")
        origin.fails = True
        with pytest.raises(RuntimeError, match="it failed"):
            await post(cache, b"other")
        assert (await post(cache, b"kept")).hit


@pytest.mark.parametrize("fields", [(b"set-cookie", b"a=1"), (b"cache-control", b"no-store")])
async def test_what_may_not_be_stored_is_not(fields: tuple[bytes, bytes]) -> None:
    """The same rules as for GET."""
    origin = Reader(fields)
    async with caching(origin, searches()) as cache:
        for number in (1, 2):
            reply = await post(cache)
            assert (reply.body, reply.stored) == (b"%d:q" % number, False)


async def test_representations_are_chosen_as_those_of_a_get() -> None:
    """A response that names fields in `Vary` has variants."""
    origin = Reader((b"vary", b"accept-language"))
    async with caching(origin, searches()) as cache:
        for language in ("en", "fr", "en", "fr"):
            reply = await post(cache, b"q", ("accept-language", language))
        assert reply.hit
        other = await post(cache, b"r", ("accept-language", "en"))

    assert other.body == b"3:r"
    assert len(origin.asked) == 3


async def test_what_separates_users_separates_their_questions() -> None:
    """`vary_by=`, `cookies=`, and a partition that is not known."""
    origin = Reader()

    def whose(request: Any) -> str | None:
        user: str | None = request.headers.get("authorization")
        return user

    async with caching(origin, searches(vary_by=whose)) as cache:
        for user in ("a", "b", "a", "b"):
            reply = await post(cache, b"q", ("authorization", user))
        assert (reply.body, reply.hit) == (b"2:q", True)
        unknown = await post(cache)
        assert unknown.detail == "partition"
        assert (await post(cache, b"q", ("authorization", "a"))).hit
    async with caching(origin, searches(cookies=["theme"])) as cache:
        light = await post(cache, b"q", ("cookie", "theme=light; id=1"))
        assert (await post(cache, b"q", ("cookie", "theme=light; id=2"))).hit
        assert not (await post(cache, b"q", ("cookie", "theme=dark"))).hit
        assert light.stored


async def test_a_nested_question_is_no_deadlock() -> None:
    """An application that asks what it is answering gets an answer of its own."""
    origin = Reader()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if not origin.asked:
            origin.asked.append(("outer", b""))
            await post(cache)
        await origin.read(scope, receive, send)

    async with caching(answer, searches()) as cache:
        assert (await post(cache)).body == b"3:q"


@pytest.mark.parametrize(
    "drop",
    [
        pytest.param(lambda m: m.invalidate_path("/x"), id="path"),
        pytest.param(lambda m: m.invalidate_tags("all"), id="tag"),
        pytest.param(lambda m: m.invalidate("named"), id="name"),
        pytest.param(lambda m: m.invalidate_pattern("/x*"), id="pattern"),
        pytest.param(lambda m: m.clear(), id="all"),
    ],
)
async def test_invalidations_reach_questions(drop: Any) -> None:
    """All that were asked of this URL, whatever their content."""
    async with caching(Reader(), searches(tags="all", key="named")) as cache:
        for body in (b"a", b"b"):
            await post(cache, body)
            assert (await post(cache, body)).hit
        await drop(cache.manager)
        for body in (b"a", b"b"):
            assert not (await post(cache, body)).hit


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_change_of_the_url_drops_its_questions(method: str) -> None:
    """RFC 9111 §4.4: the responses of its URL, to whatever method."""
    async with caching(Reader(), searches()) as cache:
        await post(cache)
        assert (await post(cache)).hit
        await post(cache, b"", method=method)
        assert not (await post(cache)).hit


@pytest.mark.parametrize("method", ["POST", "QUERY"])
async def test_questions_drop_nothing(method: str) -> None:
    """Neither a miss nor a hit, whatever the response names."""
    origin = Reader((b"location", b"/x"), (b"cache-group-invalidation", b'"g"'))
    rules = [*searches("/q"), Rule("/x", 60)]
    async with caching(origin, rules) as cache:
        await cache.get("/x")
        for _ in range(2):
            await post(cache, target="/q", method=method)
        assert (await cache.get("/x")).hit
        assert cache.manager.invalidation_stats().sent == 0


async def test_routes_name_their_questions() -> None:
    """`invalidate_route` finds them, and their own methods have entries of their own."""

    @cached(60, methods=["GET", "HEAD", "POST"], body=True)
    async def search(request: Request) -> Response:
        return PlainTextResponse(f"{request.method} {await request.body()!r}")

    app = Starlette(routes=[Route("/s/{shop}", search, methods=["GET", "POST"])])
    async with caching(app, ()) as cache:
        for _ in range(2):
            got = await cache.get("/s/1")
            reply = await post(cache, target="/s/1")
        head = await cache.client.request("HEAD", "/s/1")
        assert (got.hit, reply.hit, head.hit) == (True, True, True)
        assert (got.body, reply.body) == (b"GET b''", b"POST b'q'")
        await cache.manager.invalidate_route(search, shop=1)
        assert not (await post(cache, target="/s/1")).hit
        assert not (await cache.get("/s/1")).hit


async def test_another_instance_finds_the_answer(valkey: ValkeyServer, namespace: str) -> None:
    """In the shared tier, under the same key; a change on one drops it on both."""
    origins = [Reader(), Reader()]
    async with AsyncExitStack() as stack:
        made = []
        for origin in origins:
            manager = CacheManager(redis_url=valkey.url, namespace=namespace)
            await stack.enter_async_context(manager)
            made.append((Client(CacheMiddleware(origin, manager, rules=searches())), manager))
        (here, manager), (there, other) = made
        await post(here, b"q", JSON)
        await until(lambda: manager.tier_stats()[1].writes > 0)
        reply = await post(there, b"q", JSON)
        assert (reply.body, reply.detail) == (b"1:q", "l2")
        assert (await post(there, b"r", JSON)).stored
        await manager.invalidate_path("/x")
        await until(lambda: other.invalidation_stats().received > 0)
        assert not (await post(there, b"q", JSON)).hit

    assert [origin.asked for origin in origins] == [
        [("POST", b"q")],
        [("POST", b"r"), ("POST", b"q")],
    ]


async def test_the_bytes_that_are_held_are_those_of_requests_under_way() -> None:
    """While contents are read, there is no flight, no plan of theirs and no entry."""
    origin = Reader()
    async with caching(origin, searches(max_body=10)) as cache:
        visits = [Chunks([b"x"], leaves=False) for _ in range(5)]
        for visit in visits:
            visit.left = []
        tasks = [asyncio.create_task(post(cache, visit=visit, length=False)) for visit in visits]
        await settled()
        assert len(cache.manager.engine.flights) == 0
        for visit in visits:
            visit.leave()
        await asyncio.gather(*tasks)
        assert cache.manager.stats().fills == 0
