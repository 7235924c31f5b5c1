"""What a server promises of connections holds where answers are given in front of ASGI as well."""

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from asgi_multitier import CacheMiddleware, Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.patience import until
from tests.uvicorn.support import (
    GET,
    PAIRS,
    Served,
    answers,
    cache,
    everything,
    get,
    hot,
    manager,
    served,
)

pytestmark = pytest.mark.parametrize("protocol", [pair[1] for pair in PAIRS.values()], ids=PAIRS)


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
