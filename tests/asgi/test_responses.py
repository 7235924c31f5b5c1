"""What a client gets: the application's response byte for byte, and what a cache adds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from asgi_multitier import CacheMiddleware, Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.testing import FakeClock
from tests.manager.support import SeenTier
from tests.support import (
    Client,
    Origin,
    Visit,
    answering,
    caching,
    plain,
    respond,
    scope_of,
    settled,
)

LINES = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"link", b"</a>; rel=preload"),
    (b"x-odd", b"\xe9\xff"),
    (b"link", b"</b>; rel=preload"),
    (b"x-empty", b""),
)


async def test_hit_is_the_response_byte_for_byte() -> None:
    """Status, field lines in order with duplicates, and the body are those of the origin."""
    body = bytes(range(256))
    origin = Origin(answering(body, *LINES, (b"etag", b'"v1"'), (b"cache-control", b"no-cache")))
    async with caching(origin) as cache:
        direct = await Client(origin).get("/x")
        miss, hit = await cache.get("/x"), await cache.get("/x")

        assert hit.hit
        assert plain(hit.headers) == plain(miss.headers) == direct.headers
        assert hit.body == miss.body == body
        assert hit.status == 200
        assert origin.calls == 2


async def test_field_names_reach_the_client_in_lower_case() -> None:
    """An application that writes `ETag` is understood and passed on as ASGI asks for."""
    async with caching(Origin(answering(b"x", (b"ETag", b'"v"'), (b"X-Y", b"z")))) as cache:
        miss, hit = await cache.get("/"), await cache.get("/")

        assert miss.get("etag") == hit.get("etag") == b'"v"'
        assert hit.get("x-y") == b"z"


@pytest.mark.parametrize(
    ("status", "stored"),
    [
        (200, True),
        (203, True),
        (204, True),
        (301, True),
        (308, True),
        (201, False),
        (206, False),
        (302, False),
        (303, False),
        (307, False),
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (410, False),
        (500, False),
        (503, False),
    ],
)
async def test_an_annotations_lifetime_holds_for_final_answers_only(
    status: int, stored: bool
) -> None:
    """200, 203, 204, 301 and 308 are stored; everything else passes, untouched."""
    body = b"" if status == 204 else b"x"
    origin = Origin(answering(body, status=status, length=status != 204))
    async with caching(origin) as cache:
        first, second = await cache.get("/x"), await cache.get("/x")

        assert first.stored is stored
        assert second.hit is stored
        assert second.status == status
        assert second.body == body
        assert origin.calls == (1 if stored else 2)
        if not stored:
            assert second.detail in ("status", "partial")


@pytest.mark.parametrize("status", [404, 410])
async def test_negative_answers_live_as_long_as_the_rule_says(status: int) -> None:
    """With `negative=`, 404 and 410 are stored for that time."""
    origin = Origin(answering(b"no", status=status))
    async with caching(origin, [Rule("*", 300, negative=5)]) as cache:
        await cache.get("/x")
        cache.clock.advance(4.9)
        during = await cache.get("/x")
        cache.clock.advance(0.2)
        after = await cache.get("/x")

        assert during.hit
        assert during.status == status
        assert not after.hit


async def test_age_grows_and_lifetime_ends() -> None:
    """`Age` counts whole seconds from the fill; at the end of the lifetime the origin is asked."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10)]) as cache:
        first = await cache.get("/x")
        ages = []
        for _ in range(3):
            ages.append((await cache.get("/x")).get("age"))
            cache.clock.advance(4)
        last = await cache.get("/x")

        assert first.get("age") is None
        assert ages == [b"0", b"4", b"8"]
        assert "fwd=" in last.cache
        assert last.body == b"2"


@pytest.mark.parametrize("jump", [3600.0, -3600.0, -1e9], ids=["forward", "back", "1970"])
async def test_a_wall_clock_that_jumps_changes_no_lifetime(jump: float) -> None:
    """Ages and lifetimes go by the monotonic clock."""
    clock, wall = FakeClock(), FakeClock(1_800_000_000.0)
    async with caching(Origin(), [Rule("*", 10)], clock=clock, wall=wall) as cache:
        await cache.get("/x")
        wall.advance(jump)
        clock.advance(9)
        late = await cache.get("/x")
        clock.advance(2)
        over = await cache.get("/x")
        again = await cache.get("/x")

        assert (late.hit, late.get("age")) == (True, b"9")
        assert not over.hit
        assert (again.hit, again.get("age")) == (True, b"0")


async def test_a_method_that_the_rule_leaves_out_passes_by() -> None:
    """`methods=["GET"]`: a HEAD is the application's own."""
    origin = Origin()
    async with caching(origin, [Rule("*", 10, methods=["GET"])]) as cache:
        await cache.get("/x")
        head = await cache.client.request("HEAD", "/x")

        assert head.cache == "fwd=bypass; detail=method"
        assert origin.scopes[-1]["method"] == "HEAD"


async def test_a_sparse_scope_is_enough() -> None:
    """A server may leave out what ASGI calls optional."""
    async with caching(Origin()) as cache:
        for _ in range(2):
            scope = {
                key: value
                for key, value in scope_of("GET", "/x").items()
                if key in ("type", "method", "path", "headers", "query_string")
            }
            visit = Visit()
            await cache.middleware(scope, visit.receive, visit.send)

        assert visit.reply.hit


async def test_clients_are_told_to_ask_each_time_unless_the_rule_says_more() -> None:
    """No `Cache-Control` from the origin: `no-cache` and an `ETag` from the content."""
    async with caching(Origin(answering(b"x"))) as cache:
        miss, hit = await cache.get("/x"), await cache.get("/x")

        assert miss.get("cache-control") == hit.get("cache-control") == b"no-cache"
        assert miss.get("etag") == hit.get("etag") is not None


async def test_client_cache_is_what_clients_are_told() -> None:
    """`client_cache=60` says so."""
    async with caching(Origin(answering(b"x")), [Rule("*", 300, client_cache=60)]) as cache:
        assert (await cache.get("/x")).get("cache-control") == b"max-age=60"
        assert (await cache.get("/x")).get("cache-control") == b"max-age=60"


@pytest.mark.parametrize("warm", [False, True], ids=["miss", "hit"])
async def test_not_modified_for_a_client_that_has_it(warm: bool) -> None:
    """`If-None-Match` with the content's tag gets 304 without a body, from a miss and a hit."""
    origin = Origin(answering(b"x"))
    async with caching(origin) as cache:
        etag = (await cache.get("/tag")).get("etag")
        assert etag is not None
        if warm:
            await cache.get("/x")
        reply = await cache.get("/x", [("if-none-match", etag)])

        assert reply.status == 304
        assert reply.body == b""
        assert reply.get("etag") == etag
        assert reply.hit is warm
        assert not any(name == b"if-none-match" for name, _ in origin.scopes[-1]["headers"])


async def test_head_is_answered_from_get_and_get_from_head() -> None:
    """A HEAD gets the GET's field lines without a body; a HEAD on a miss fills for the GETs."""
    origin = Origin(answering(b"hello", *LINES))
    async with caching(origin) as cache:
        head = await cache.client.request("HEAD", "/x")
        get = await cache.get("/x")
        again = await cache.client.request("HEAD", "/x")

        assert origin.calls == 1
        assert origin.scopes[0]["method"] == "GET"
        assert get.hit
        assert get.body == b"hello"
        assert plain(head.headers) == plain(get.headers) == plain(again.headers)
        assert head.body == again.body == b""
        assert head.complete
        assert again.complete


async def test_head_of_what_is_not_stored_has_no_body() -> None:
    """A response that passes is cut to its field lines too."""
    async with caching(Origin(answering(b"hello", (b"set-cookie", b"a=b")))) as cache:
        head = await cache.client.request("HEAD", "/x")

        assert head.detail == "set-cookie"
        assert head.get("content-length") == b"5"
        assert head.body == b""
        assert head.complete


async def test_head_waits_with_gets() -> None:
    """A HEAD that comes while a GET flies shares its run, and gets no body."""
    origin = Origin()
    origin.gate.clear()
    async with caching(origin) as cache:
        get = cache.client.begin("/x")
        await origin.arrived.acquire()
        head = asyncio.create_task(cache.client.request("HEAD", "/x"))
        await settled()
        origin.gate.set()

        assert (await get).body == b"1"
        assert (await head).body == b""
        assert (await head).get("content-length") == b"1"
        assert "collapsed" in (await head).cache


async def test_a_hit_cannot_be_edited_by_a_layer_outside() -> None:
    """A layer outside that appends to the list of field lines does so for its own client only."""
    async with caching(Origin()) as cache:
        await cache.get("/x")
        for _ in range(2):
            reply = await cache.get("/x")
            reply.start["headers"].append((b"x-outside", b"1"))
        last = await cache.get("/x")

        assert last.get("x-outside") is None


async def test_hits_share_one_body() -> None:
    """The body of a hit is the stored object itself: a thousand slow clients hold one copy."""
    async with caching(Origin(answering(b"x" * 100_000))) as cache:
        await cache.get("/x")
        bodies = {id((await cache.get("/x")).messages[1]["body"]) for _ in range(10)}

        assert len(bodies) == 1


async def test_a_layer_that_cuts_responses_into_pieces_is_cached() -> None:
    """A `BaseHTTPMiddleware` inside turns every response into several messages."""

    async def through(request: Request, call_next: object) -> Response:
        return await call_next(request)  # type: ignore[operator]

    calls = 0

    async def page(request: Request) -> Response:
        nonlocal calls
        calls += 1
        return PlainTextResponse(f"{calls}")

    inner = Starlette(
        routes=[Route("/x", page)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=through)],
    )
    async with caching(inner) as cache:
        first, second = await cache.get("/x"), await cache.get("/x")

        assert first.stored
        assert first.get("etag") is not None
        assert second.hit
        assert second.body == b"1"


async def test_background_tasks_run_once_and_delay_nobody_else() -> None:
    """Waiters and later requests are answered while the leader's background task still runs."""
    gate, ran = asyncio.Event(), []

    async def work() -> None:
        await gate.wait()
        ran.append(1)

    async def page(request: Request) -> Response:
        return PlainTextResponse("x", background=BackgroundTask(work))

    async with caching(Starlette(routes=[Route("/x", page)])) as cache:
        visit = Visit()
        leader = cache.client.begin("/x", visit=visit)
        await visit.heard.wait()
        hit = await cache.get("/x")

        assert hit.hit
        assert not leader.done()
        gate.set()
        assert (await leader).complete
        assert ran == [1]


async def test_compressed_variants_are_kept_apart() -> None:
    """`Vary: Accept-Encoding` from a layer inside: nobody gets an encoding that he did not ask."""

    async def page(request: Request) -> Response:
        return PlainTextResponse("x" * 5000)

    inner = Starlette(routes=[Route("/x", page)], middleware=[Middleware(GZipMiddleware)])
    async with caching(inner) as cache:
        kinds = {}
        for _ in range(2):
            for accept in ("gzip", "identity", "br"):
                reply = await cache.get("/x", [("accept-encoding", accept)])
                kinds[accept] = (reply.get("content-encoding"), reply.hit)

        assert kinds == {
            "gzip": (b"gzip", True),
            "identity": (None, True),
            "br": (None, True),
        }


async def test_variants_of_one_url_are_bounded_and_dropped_together() -> None:
    """Of many `User-Agent`s the newest 64 are kept, and the URL's invalidation drops them all."""

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        agent = dict(scope["headers"])[b"user-agent"]
        await respond(send, agent, (b"vary", b"user-agent"))

    origin = Origin(echo)
    async with caching(origin) as cache:
        for number in range(500):
            reply = await cache.get("/x", [("user-agent", f"a{number}")])
            assert reply.body == b"a%d" % number
        entries = cache.manager.stats().tiers[0].entries
        recent = await cache.get("/x", [("user-agent", "a499")])
        oldest = await cache.get("/x", [("user-agent", "a0")])
        await cache.manager.invalidate_path("/x")
        after = [await cache.get("/x", [("user-agent", f"a{n}")]) for n in range(440, 500)]

        assert entries == 64 + 1
        assert recent.hit
        assert not oldest.hit
        assert not any(reply.hit for reply in after)


@pytest.mark.no_cover  # it repeats what others cover
async def test_a_million_bytes_of_distinct_urls_stay_within_the_first_tier() -> None:
    """However many URLs are asked for, the accounted bytes never exceed the bound."""
    bound = 1024 * 1024
    async with caching(Origin(answering(b"x" * 1024)), l1_bytes=bound) as cache:
        largest = 0
        for number in range(2_000):
            await cache.get(f"/x/{number}")
            largest = max(largest, cache.manager.stats().tiers[0].size or 0)

        assert 0.9 * bound < largest <= bound


async def test_a_stale_local_copy_gives_way_to_what_another_instance_filled() -> None:
    """Before the origin is asked again the shared tier is, also where a stale copy is kept."""
    log, clock = LocalLog(), FakeClock()
    shared = SeenTier(clock)
    options = {"l2": shared, "log": log, "clock": clock, "wall": clock, "namespace": "shop"}
    rules = [Rule("*", 10, stale_if_error=100)]
    one, two = Origin(answering(b"one")), Origin(answering(b"two"))
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(caching(one, rules, **options))
        await first.manager.start()  # what it leaves behind is not the second one's
        second = await stack.enter_async_context(caching(two, rules, **options))
        await first.get("/x")
        await first.manager.engine.stack.settle()
        assert (await second.get("/x")).detail == "l2"
        clock.advance(11)
        one._answer = answering(b"new")
        await first.get("/x")
        await first.manager.engine.stack.settle()
        reply = await second.get("/x")

        assert (reply.body, reply.detail) == (b"new", "l2")
        assert (await second.get("/x")).detail == "l1"
        assert two.calls == 0


async def test_streaming_response_of_a_framework_is_stored() -> None:
    """A short stream without a length is sent as it comes, and the next client gets the copy."""

    async def pieces() -> AsyncIterator[str]:
        yield "one "
        yield "two"

    async def page(request: Request) -> Response:
        return StreamingResponse(pieces(), media_type="text/plain")

    async with caching(Starlette(routes=[Route("/x", page)])) as cache:
        first, second = await cache.get("/x"), await cache.get("/x")

        assert first.body == second.body == b"one two"
        assert second.hit


async def test_what_layers_outside_look_for_stands_in_their_scope() -> None:
    """After a miss, `endpoint` and `path_params` are in the scope that the server made."""

    async def page(request: Request) -> Response:
        return PlainTextResponse("x")

    scopes = []

    class Outside:
        def __init__(self, app: CacheMiddleware) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)
            scopes.append(scope)

    async with caching(Starlette(routes=[Route("/{x}", page)])) as cache:
        await Client(Outside(cache.middleware)).get("/a")

        assert scopes[0]["endpoint"] is page
        assert scopes[0]["path_params"] == {"x": "a"}
