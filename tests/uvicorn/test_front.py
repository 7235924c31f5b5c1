"""What a server promises holds for answers that are given in front of ASGI as well."""

import asyncio
import logging
import ssl
from typing import Any

import fastapi
import pytest
import trustme
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, Rule, cached, invalidates
from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from asgi_multitier.uvicorn.front import front_of
from tests.patience import until
from tests.uvicorn.support import GET, PAIRS, Served, answers, everything, lines_of, served

pytestmark = pytest.mark.parametrize("protocol", [pair[1] for pair in PAIRS.values()], ids=PAIRS)


def manager() -> CacheManager:
    """One in memory."""
    return CacheManager(redis_url=None)


def cache(app: ASGIApp | None = None, body: str = "hello", **options: Any) -> CacheMiddleware:
    """A cache around everything, of all responses."""
    inner = PlainTextResponse(body) if app is None else app
    return CacheMiddleware(inner, manager(), rules=[Rule("*", 300)], **options)


def get(target: str, *lines: str) -> bytes:
    """A GET."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "host: example.org", *lines, "", ""]).encode()


async def hot(server: Served, request: bytes = GET) -> None:
    """The request is stored, and known by its bytes."""
    async with server.connected() as (reader, writer):
        for _ in range(4):
            writer.write(request)
            await answers(reader)
    front = front_of(server.config)
    assert front.cache is None or request in front.requests.young


def in_front(server: Served) -> int:
    """How many connections have had an answer without a cycle."""
    return sum(1 for one in server.connections if one.cycle is None and one._answered_at)


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


async def test_an_idle_connection_is_closed_by_one_timer(protocol: Any) -> None:
    """After the keep-alive time, counted from the last answer; the timer is not set for each."""
    async with served(cache(), protocol, timeout_keep_alive=60) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            connection = server.connections[-1]
            writer.write(GET)
            await answers(reader)
            timer = connection.timeout_keep_alive_task
            assert timer is not None
            # Known by its bytes, and parsed.
            for request in (GET, GET, get("/", "x: 1"), get("/", "x: 2"), GET + get("/", "x: 3")):
                writer.write(request)
                await answers(reader, request.count(b"host"))

                assert connection.timeout_keep_alive_task is timer
                assert not timer.cancelled()
            # The timer fires while 60 s have not passed since the last answer.
            timer.cancel()
            connection.timeout_keep_alive_handler()
            again = connection.timeout_keep_alive_task
            assert again is not timer
            assert 0 < again.when() - connection.loop.time() <= 60
            # And when they have.
            connection._answered_at -= 61
            again.cancel()
            connection.timeout_keep_alive_handler()

            assert await everything(reader) == b""


async def test_a_running_request_has_no_timer(protocol: Any) -> None:
    """Nor has one that came behind a hit in the same read; its answer sets the next."""
    gate, arrived = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/slow":
            arrived.set()
            await gate.wait()
        await PlainTextResponse("hello")(scope, receive, send)

    async with served(cache(slow), protocol) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            connection = server.connections[-1]
            writer.write(GET)
            await answers(reader)
            timer = connection.timeout_keep_alive_task
            writer.write(get("/", "x: 1") + get("/slow"))
            await answers(reader)
            await asyncio.wait_for(arrived.wait(), 60)

            assert timer.cancelled()
            assert connection.timeout_keep_alive_task is None
            gate.set()
            await answers(reader)
            assert connection.timeout_keep_alive_task is not None


async def test_a_request_that_is_not_ready_stops_the_timer(protocol: Any) -> None:
    """The application may take longer than the keep-alive time, and a client to send its fields."""
    async with served(cache(), protocol) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            writer.write(GET)
            await answers(reader)
            connection = server.connections[-1]
            read = server.received
            writer.write(GET[:10])
            await until(lambda: server.received == read + 10)

            assert connection.timeout_keep_alive_task is None
            writer.write(GET[10:])
            await answers(reader)
            assert connection.timeout_keep_alive_task is not None


async def test_limit_concurrency(protocol: Any) -> None:
    """Beyond the limit uvicorn refuses, also what is known by its bytes."""
    async with served(cache(), protocol, limit_concurrency=2) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            writer.write(GET)
            assert b"; hit; " in await answers(reader)
            async with server.connected():
                writer.write(GET)
                refused = await everything(reader)

    assert refused.startswith(b"HTTP/1.1 503 ")


async def test_limit_concurrency_counts_tasks(protocol: Any) -> None:
    """As of applications that still work when their answers are sent."""
    async with served(cache(), protocol, limit_concurrency=3) as server:
        await hot(server)
        gate = asyncio.Event()
        working = [asyncio.create_task(gate.wait()) for _ in range(3)]
        server.state.tasks.update(working)  # type: ignore[arg-type]
        async with server.connected() as (reader, writer):
            writer.write(GET)
            refused = await everything(reader)
        server.state.tasks.difference_update(working)  # type: ignore[arg-type]
        gate.set()
        await asyncio.gather(*working)

    assert refused.startswith(b"HTTP/1.1 503 ")


async def test_limit_max_requests(protocol: Any) -> None:
    """Answers in front count."""
    app = cache()
    one = Served(app, protocol, limit_max_requests=20)
    task = asyncio.create_task(one.server.serve())
    await until(lambda: one.server.started)
    async with one.connected() as (reader, writer):
        for _ in range(20):
            writer.write(GET)
            await answers(reader)
        await asyncio.wait_for(task, 60)

        assert await everything(reader) == b""
    assert one.state.total_requests == 20
    assert app.manager.stats().total.hits == {1: 19}


async def test_graceful_stop(protocol: Any) -> None:
    """A connection between two requests is closed; one whose request runs gets its answer first."""
    gate = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/slow":
            await gate.wait()
        await PlainTextResponse("hello")(scope, receive, send)

    async with served(cache(slow), protocol) as server:
        await hot(server)
        async with (
            server.connected() as (idle, idles),
            server.connected() as (busy, busies),
        ):
            idles.write(GET)
            await answers(idle)
            busies.write(GET)
            await answers(busy)
            busies.write(get("/slow"))
            await until(lambda: server.state.tasks)
            server.server.should_exit = True

            assert await everything(idle) == b""
            busies.write(GET)
            gate.set()
            assert (await everything(busy)).count(b"HTTP/1.1 200 OK") == 1


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


async def test_a_new_connection_knows_what_others_have_asked(protocol: Any) -> None:
    """Its first request is not parsed."""
    async with served(cache(), protocol) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            writer.write(GET)

            assert b"; hit; " in await answers(reader)
            assert server.connections[-1]._begun == 0


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


async def test_paused_writing(protocol: Any) -> None:
    """A client that reads nothing is not answered in front: uvicorn waits until it does."""
    body = "x" * 500_000
    app = cache(body=body)
    async with served(app, protocol) as server:
        await hot(server)
        async with server.connected(limit=1 << 16) as (reader, writer):
            connection = server.connections[-1]
            sent = 0
            while not connection.flow.write_paused:
                read = server.received
                writer.write(GET)
                sent += 1
                await until(lambda read=read: server.received == read + len(GET))  # type: ignore[misc]
            assert connection.cycle is None
            writer.write(GET)
            sent += 1
            await until(lambda: connection.cycle is not None)

            got = await answers(reader, sent)
        assert got.count(body.encode()) == sent
        assert app.manager.stats().total.hits == {1: 3 + sent}


async def test_many_requests_in_one_read(protocol: Any) -> None:
    """What waits to be sent is bounded, however many large answers one read asks for."""
    body = "x" * 500_000
    async with served(cache(body=body), protocol) as server:
        await hot(server)
        async with server.connected() as (reader, _):
            connection = server.connections[-1]
            connection.data_received(GET * 40)

            assert connection.transport.get_write_buffer_size() < 2 * len(body)
            assert (await answers(reader, 40)).count(body.encode()) == 40


def eager(loop: asyncio.AbstractEventLoop, coroutine: Any, **_: Any) -> Any:
    """A task of what waits for nothing, done at once: as by `asyncio.eager_task_factory`."""
    with pytest.raises(StopIteration):
        coroutine.send(None)
    return asyncio.Task(asyncio.sleep(0), loop=loop)


async def test_tasks_that_run_at_once(protocol: Any) -> None:
    """Answers come in the order of requests, and one timer is left."""

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["path"])(scope, receive, send)

    app = CacheMiddleware(plain, manager(), rules=[Rule("/", 300)])
    async with served(app, protocol) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            writer.write(GET)
            await answers(reader)
            connection, loop = server.connections[-1], asyncio.get_running_loop()
            timer = connection.timeout_keep_alive_task
            loop.set_task_factory(eager)
            connection.data_received(GET + get("/other"))
            loop.set_task_factory(None)
            got = await answers(reader, 2)

            assert got.index(b"; hit; ") < got.index(b"fwd=bypass")
            assert got.endswith(b"/other")
            assert timer.cancelled()
            assert not connection.timeout_keep_alive_task.cancelled()


async def test_a_hit_and_an_upgrade_in_one_read(protocol: Any) -> None:
    """The keep-alive time does not hold for what the connection has become."""

    class Upgraded(asyncio.Protocol):
        def __init__(self, **given: Any) -> None:
            pass

        def connection_made(self, transport: Any) -> None:
            transport.write(b"upgraded")

    upgrade = get("/", "connection: upgrade", "upgrade: websocket")
    async with served(cache(), protocol, ws=Upgraded) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            writer.write(GET)
            await answers(reader)
            writer.write(GET + upgrade)
            assert b"; hit; " in await answers(reader)
            assert await reader.readexactly(8) == b"upgraded"

            assert server.connections[-1].timeout_keep_alive_task is None


async def test_root_path(protocol: Any) -> None:
    """It is part of what is asked, as it is behind uvicorn's own protocol."""
    app = cache()
    async with served(app, protocol, root_path="/api") as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            writer.write(GET)

            assert b"; hit; " in await answers(reader)
            assert server.connections[-1].cycle is None


async def test_root_path_of_fastapi(protocol: Any) -> None:
    """The application gives it to each request, so the plans have it."""
    app = fastapi.FastAPI()
    app.root_path = "/api"

    @app.get("/")
    @cached(300)
    async def read(request: Request) -> str:
        return str(request.url)

    app.add_middleware(CacheMiddleware, cache=manager())
    async with served(app, protocol) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            for request in (GET, get("/", "x: 1")):
                writer.write(request)
                assert b"; hit; " in await answers(reader)
            assert server.connections[-1].cycle is None


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


@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.9"])
async def test_fields_of_a_proxy(
    protocol: Any, trusted: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The scheme and the client that a trusted proxy names hold; those of others do not."""
    caplog.set_level(logging.INFO, "uvicorn.access")

    async def seen(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["scheme"] + " " + scope["path"])(scope, receive, send)

    https = get("/a", "x-forwarded-for: 192.0.2.1")
    with_proto = get("/", "x-forwarded-proto: https", "x-forwarded-for: 192.0.2.1")
    async with served(cache(seen), protocol, forwarded_allow_ips=trusted) as server:
        await hot(server, GET)
        await hot(server, https)
        await hot(server, with_proto)
        caplog.clear()
        number = len(server.connections)
        plain = await server.send(GET)
        forwarded = await server.send(with_proto)
        await server.send(https)
        assert [one.cycle for one in server.connections[number:]] == [None, None, None]
    scheme = b"https /" if trusted == "127.0.0.1" else b"http /"
    client = "192.0.2.1:0" if trusted == "127.0.0.1" else "127.0.0.1"

    assert plain.endswith(b"http /")
    assert forwarded.endswith(scheme)
    assert lines_of(caplog.messages) == [
        '127.0.0.1 - "GET / HTTP/1.1" 200',
        f'{client} - "GET / HTTP/1.1" 200',
        f'{client} - "GET /a HTTP/1.1" 200',
    ]


async def test_the_same_bytes_of_a_client_that_is_not_trusted(protocol: Any) -> None:
    """What was learnt on the connection of a trusted proxy does not hold on any other."""

    async def seen(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["scheme"])(scope, receive, send)

    request = get("/", "x-forwarded-proto: https")
    async with served(cache(seen), protocol) as server:
        await hot(server, request)
        async with server.connected() as (reader, writer):
            connection = server.connections[-1]
            connection.client = ("192.0.2.7", 1)
            connection._origin = connection._front.origin_of("http", connection.client)
            for _ in range(4):
                writer.write(request)

                assert (await answers(reader)).endswith(b"\r\n\r\nhttp")


async def test_the_same_bytes_over_tls(protocol: Any) -> None:
    """They ask for another URL."""

    async def seen(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["scheme"])(scope, receive, send)

    async with served(cache(seen), protocol) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            connection = server.connections[-1]
            connection.scheme = "https"
            connection._origin = connection._front.origin_of("https", connection.client)
            for _ in range(4):
                writer.write(GET)

                assert (await answers(reader)).endswith(b"\r\n\r\nhttps")


async def test_what_was_asked_before_the_layers_were_known(protocol: Any) -> None:
    """A connection that is older than them is of a trusted proxy all the same."""

    async def seen(request: Request) -> Response:
        return PlainTextResponse(request.url.scheme)

    app = Starlette(routes=[Route("/", seen)])
    app.add_middleware(CacheMiddleware, cache=manager(), rules=[Rule("*", 300)])
    request = get("/", "x-forwarded-proto: https")
    async with served(app, protocol, lifespan="off") as server:
        async with server.connected() as (reader, writer):
            for _ in range(4):
                writer.write(request)
                assert (await answers(reader)).endswith(b"https")
                server.state.default_headers = [*server.state.default_headers]
        assert request in front_of(server.config).requests.young
        async with server.connected() as (reader, writer):
            connection = server.connections[-1]
            connection.client = ("192.0.2.7", 1)
            connection._origin = connection._front.origin_of("http", connection.client)
            writer.write(request)

            assert (await answers(reader)).endswith(b"\r\n\r\nhttp")


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


async def test_tls(protocol: Any, tmp_path: Any) -> None:
    """Over TLS; the scheme is part of what is asked."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async def seen(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["scheme"])(scope, receive, send)

    settings = {"ssl_certfile": str(chain), "ssl_keyfile": str(key)}
    async with served(cache(seen), protocol, **settings) as server:
        for _ in range(2):
            secure = {"ssl": context, "server_hostname": "localhost"}
            async with server.connected(**secure) as (reader, writer):
                for number in range(4):
                    writer.write(GET)
                    got = await answers(reader)

                    assert got.endswith(b"\r\n\r\nhttps")
                    assert (b"; hit; " in got) is (number > 0 or in_front(server) > 0)
        assert server.connections[-1].cycle is None
        assert GET in front_of(server.config).requests.young


async def test_a_closing_transport(protocol: Any) -> None:
    """What some transports still deliver is uvicorn's affair."""
    async with served(cache(), protocol) as server:
        await hot(server)
        async with server.connected() as (reader, _):
            connection = server.connections[-1]
            connection.transport.close()
            connection.data_received(GET)

            assert connection.cycle is not None
            assert await everything(reader) == b""


async def test_a_bytearray_is_parsed(protocol: Any) -> None:
    """Some transports give one; it is not looked up by its bytes."""
    async with served(cache(), protocol) as server:
        await hot(server)
        async with server.connected() as (reader, _):
            connection = server.connections[-1]
            connection.data_received(bytearray(GET))

            assert b"; hit; " in await answers(reader)


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
