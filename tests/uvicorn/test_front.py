"""What a cache promises holds for answers that are given in front of ASGI as well."""

import logging
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, Rule, cached, invalidates
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.uvicorn.front import front_of
from tests.uvicorn.support import (
    GET,
    PAIRS,
    answers,
    cache,
    everything,
    get,
    hot,
    in_front,
    manager,
    served,
)

pytestmark = pytest.mark.parametrize("protocol", [pair[1] for pair in PAIRS.values()], ids=PAIRS)


class Counter:
    """An application whose value is edited."""

    def __init__(self) -> None:
        self.value = 0
        counter = self

        @cached(300, tags=["value"])
        async def read(request: Request) -> Response:
            return PlainTextResponse(f"value {counter.value:06}")

        @invalidates(tags=["value"])
        async def write(request: Request) -> Response:
            counter.value += 1
            return PlainTextResponse("ok")

        self.app = Starlette(
            routes=[Route("/", read), Route("/edit", write, methods=["PUT"])],
        )
        self.app.add_middleware(CacheMiddleware, cache=manager())


async def test_no_old_answer_after_an_edit(protocol: Any) -> None:
    """On the same connection and on another, at once: 200 edits, 400 reads of each kind."""
    counter = Counter()
    put = b"PUT /edit HTTP/1.1\r\nhost: example.org\r\ncontent-length: 0\r\n\r\n"
    old = 0
    async with (
        served(counter.app, protocol) as server,
        server.connected() as (reader, writer),
        server.connected() as (other, others),
    ):
        for _ in range(200):
            writer.write(put)
            await answers(reader)
            others.write(GET)
            writer.write(GET)
            expected = b"value %06d" % counter.value
            for source in (other, reader):
                old += expected not in await answers(source)
            # Stored now: twice from the cache, and the next edit finds its bytes known.
            writer.write(GET)
            old += expected not in await answers(reader)
            others.write(GET)
            got = await answers(other)
            old += expected not in got

            assert b"; hit; " in got
        assert front_of(server.config).requests.young

    assert old == 0


async def test_another_response_has_another_head(protocol: Any) -> None:
    """Also in the same second, and where the server's own lines stay as they are."""
    counter = Counter()
    counter.value = 999_999
    put = b"PUT /edit HTTP/1.1\r\nhost: example.org\r\ncontent-length: 0\r\n\r\n"
    async with served(counter.app, protocol, date_header=False) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            writer.write(put)
            await answers(reader)
            for _ in range(3):
                writer.write(GET)
                assert (await answers(reader)).endswith(b"\r\n\r\nvalue 1000000")
            cycle = server.connections[-1].cycle
            writer.write(GET)
            await answers(reader)
            assert server.connections[-1].cycle is cycle


async def test_an_edit_in_the_same_read_counts(protocol: Any) -> None:
    """A PUT and a GET in one read: the GET waits for the PUT."""
    counter = Counter()
    put = b"PUT /edit HTTP/1.1\r\nhost: example.org\r\ncontent-length: 0\r\n\r\n"
    async with served(counter.app, protocol) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            for number in range(1, 20):
                writer.write(put + GET)

                assert (await answers(reader, 2)).endswith(b"value %06d" % number)


async def test_nothing_is_answered_before_the_cache_runs(protocol: Any) -> None:
    """Without lifespan events the first request starts it; the layers are built by then."""
    app = Starlette(routes=[Route("/{x:path}", _hello)])
    app.add_middleware(CacheMiddleware, cache=manager(), rules=[Rule("*", 300)])
    async with served(app, protocol, lifespan="off") as server:
        front = front_of(server.config)
        async with server.connected() as (reader, writer):
            writer.write(GET)
            assert b"fwd=uri-miss" in await answers(reader)
            assert front.cache is None
            # uvicorn renews its lines, and the layers are looked at again.
            server.state.default_headers = [*server.state.default_headers]
            writer.write(GET)
            await answers(reader)
            assert front.cache is not None


async def _hello(request: Request) -> Response:
    return PlainTextResponse("hello")


@pytest.mark.parametrize("proxy_headers", [True, False])
async def test_a_new_connection_knows_what_others_have_asked(
    protocol: Any, proxy_headers: bool
) -> None:
    """Its first request is not parsed."""
    async with served(cache(), protocol, proxy_headers=proxy_headers) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            writer.write(GET)

            assert b"; hit; " in await answers(reader)
            assert server.connections[-1]._begun == 0


async def test_an_escaped_target_is_answered_in_front(protocol: Any) -> None:
    """It is read as uvicorn reads it."""
    async with served(cache(), protocol) as server:
        await hot(server, get("/caf%C3%A9"))


async def test_equal_lines_of_the_server_keep_heads(protocol: Any) -> None:
    """Without a `Date` they are the same each second, in another list."""
    async with served(cache(), protocol, date_header=False) as server:
        await hot(server)
        lines = front_of(server.config).lines
        server.state.default_headers = [*server.state.default_headers]
        await hot(server)

        assert front_of(server.config).defaults is server.state.default_headers
        assert front_of(server.config).lines is lines


async def test_lines_of_the_server_are_renewed(protocol: Any) -> None:
    """`Date` and all that `--header` gives: those that the server has now."""
    async with served(cache(), protocol, headers=[("X-Server", "1")]) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            writer.write(GET)
            assert b"\r\nx-server: 1\r\n" in await answers(reader)
            server.state.default_headers = [(b"date", b"now"), (b"server", b"another")]
            writer.write(GET)
            got = await answers(reader)

            assert got.startswith(b"HTTP/1.1 200 OK\r\ndate: now\r\nserver: another\r\n")
            assert b"x-server" not in got
            # A line that ends connections is for uvicorn to write.
            server.state.default_headers = [(b"connection", b"close")]
            writer.write(GET)
            got = await everything(reader)
            assert b"connection: close\r\n" in got
            assert server.connections[-1].cycle is not None


async def test_heads_are_accounted_for_as_they_are_now(protocol: Any) -> None:
    """Another head, of another second or entry, may be longer."""
    async with served(cache(), protocol) as server:
        await hot(server)
        requests = front_of(server.config).requests
        size = requests.size
        server.state.default_headers = [(b"x-long", b"x" * 2_000)]
        async with server.connected() as (reader, writer):
            writer.write(GET)
            await answers(reader)

        assert requests.size > size + 1_900


async def test_an_answer_that_uvicorn_would_change(protocol: Any) -> None:
    """It goes by ASGI, and is counted once."""
    app = cache()
    async with served(app, protocol) as server:
        await hot(server)
        hits = app.manager.stats().total.hits[1]
        server.state.default_headers = [(b"content-length", b"5")]
        for request in (GET, get("/", "x: 1")):
            # Two lengths: what becomes of that is uvicorn's affair.
            await server.send(request)
        assert server.connections[-1].cycle is not None
        assert app.manager.stats().total.hits == {1: hits + 2}


async def test_a_layer_outside_sees_all_requests(
    protocol: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Hits go by ASGI, and one line says why; when the layer goes, they are answered in front."""
    app = cache()
    layer = GZipMiddleware(app)
    async with served(layer, protocol) as server:
        await hot(server)
        assert in_front(server) == 0
        assert app.manager.stats().total.hits == {1: 3}
        async with server.connected() as (reader, writer):
            server.connections[-1]._ask = None  # nothing is prepared for a question
            writer.write(GET)
            assert b" 200 OK" in await answers(reader)
        server.state.default_headers = [*server.state.default_headers]
        await hot(server)
    said = [line for line in caplog.messages if "stands around CacheMiddleware" in line]

    assert len(said) == 1
    assert said[0].startswith("starlette.middleware.gzip.GZipMiddleware ")


async def test_layers_are_named_at_start(protocol: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Before the first connection, where there are lifespan events."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})

    async with served(GZipMiddleware(cache(application)), protocol):
        assert sum("stands around CacheMiddleware" in line for line in caplog.messages) == 1


async def test_a_layer_that_comes_later(protocol: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Tools put layers around an application that runs; it is seen within a second."""
    app = Starlette(routes=[Route("/", _hello)])
    app.add_middleware(CacheMiddleware, cache=manager(), rules=[Rule("*", 300)])
    async with served(app, protocol) as server:
        await hot(server)
        app.middleware_stack = GZipMiddleware(app.middleware_stack)  # type: ignore[arg-type]
        server.state.default_headers = [*server.state.default_headers]
        async with server.connected() as (reader, writer):
            writer.write(get("/", "accept-encoding: gzip"))
            await answers(reader)
            writer.write(GET)
            await answers(reader)

            assert server.connections[-1].cycle is not None
        assert len(front_of(server.config).requests) == 0
    assert sum("stands around CacheMiddleware" in line for line in caplog.messages) == 1


async def test_no_cache_at_all(protocol: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is served as by uvicorn's own protocol, and one line says what to write."""
    async with served(PlainTextResponse("hello"), protocol) as server:
        for _ in range(3):
            assert (await server.send(GET)).endswith(b"hello")
    said = [each for each in caplog.records if "finds no CacheMiddleware" in each.getMessage()]

    assert [each.levelno for each in said] == [logging.ERROR]


async def test_switched_off(protocol: Any) -> None:
    """A mode that is changed while the server runs holds for what is known, too."""
    app = cache()
    async with served(app, protocol) as server:
        await hot(server)
        app.manager.mode = "off"
        assert b"fwd=bypass" in await server.send(GET)
        app.manager.mode = "on"
        await server.send(GET)
        assert b"; hit; " in await server.send(GET)


async def test_requests_are_bounded_by_the_bytes_of_the_first_tier(protocol: Any) -> None:
    """An eighth of them, whatever clients send."""
    tier = CacheManager(redis_url=None, l1_bytes=400_000)
    app = CacheMiddleware(PlainTextResponse("hello"), tier, rules=[Rule("*", 300)])
    async with served(app, protocol) as server, server.connected() as (reader, writer):
        front = front_of(server.config)
        for number in range(200):
            for _ in range(4):
                writer.write(get("/", f"user-agent: {number}"))
                await answers(reader)

            assert front.requests.size + front._heads.size <= 400_000 // 8
        assert len(front.requests) > 5
