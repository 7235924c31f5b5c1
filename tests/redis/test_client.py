"""Links: what they take, whose connections they are, how they fail."""

import asyncio
import gc
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio as aredis
import uvloop
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.sentinel import Sentinel

from asgi_multitier import CacheManager
from asgi_multitier.errors import BackendError, ConfigError
from asgi_multitier.redis import Leases, Link, RedisLog, RedisStreams, RedisTier, connect
from asgi_multitier.redis.client import one_command, send
from tests.fakeredis_server import Server
from tests.patience import until
from tests.redis.support import TAG, Recorder, followed, invalidate
from tests.servers import FaultProxy, ValkeyServer, free_port
from tests.support import pass_time


async def ping(client: aredis.Redis) -> Any:
    return await send(client, "ECHO", "PONG")


async def _hang(client: aredis.Redis) -> Any:
    return await send(client, "BLPOP", "nothing", 5)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("http://localhost", id="another scheme"),
        pytest.param("redis://u:hush@localhost:port", id="no port"),
        pytest.param("localhost", id="no scheme"),
        pytest.param(redis.Redis(), id="a client that does not await"),
        pytest.param(7, id="a number"),
    ],
)
def test_what_is_no_target_is_refused_without_repeating_it(target: Any) -> None:
    """A ConfigError; an address may hold a password."""
    with pytest.raises(ConfigError) as caught:
        connect(target)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        pytest.param("redis://u:hush@h:1/2?password=hush", "redis://h:1/2", id="redis"),
        pytest.param("rediss://u:hush@h", "rediss://h", id="rediss"),
        pytest.param("unix://u:hush@/x.sock", "unix:///x.sock", id="unix"),
        pytest.param(aredis.Redis(host="h", password="hush"), "redis://h:6379/0", id="client"),
        pytest.param(aredis.Redis(unix_socket_path="/x"), "redis:///x/0", id="client on a socket"),
    ],
)
def test_a_link_tells_where_it_leads_and_no_secret(target: Any, name: str) -> None:
    """In its repr and everything made from it."""
    link = connect(target)

    assert link.name == name
    for made in (link, RedisTier(link), RedisLog(link), RedisStreams(link), Leases(link)):
        assert "hush" not in repr(made)
        assert name in repr(made)
    assert connect(link) is link


@pytest.mark.parametrize("kind", [RedisTier, RedisLog, RedisStreams, Leases])
async def test_a_link_is_closed_by_what_has_made_it_alone(kind: Callable[[Any], Any]) -> None:
    """Given a link, others may use it too; given an address, its connections are its own."""
    link = connect("redis://127.0.0.1:1")
    lane = link._lane()
    await kind(link).close()

    assert link._lane() is lane
    await link.close()
    made = kind("redis://127.0.0.1:1")
    own = made._link if kind is RedisLog else made.link
    own._lane()
    await made.close()

    assert len(own._lanes) == 0


def test_rediss_verifies_certificates() -> None:
    """Unless the user's address says otherwise."""
    pool = connect("rediss://localhost")._build(1, 0.25).connection_pool
    context = pool.make_connection().ssl_context

    assert context.check_hostname
    assert context.cert_reqs.name == "CERT_REQUIRED"


def test_a_users_client_is_a_recipe() -> None:
    """Its place and credentials are taken, its time-outs and decoding are not."""
    theirs = aredis.Redis(
        host="h", db=3, username="u", password="p", decode_responses=True, socket_timeout=99
    )
    ours = connect(theirs)._build(1, 0.25).connection_pool.connection_kwargs

    assert (ours["host"], ours["db"], ours["username"], ours["password"]) == ("h", 3, "u", "p")
    assert ours["decode_responses"] is False
    assert (ours["socket_timeout"], ours["socket_connect_timeout"]) == (None, 0.25)
    assert ours["retry"].get_retries() == 0


async def test_work_beyond_the_connections_waits_its_turn(valkey: ValkeyServer) -> None:
    """A hundred pieces of work over two connections: none raises, none opens a third."""
    link = Link(valkey.url, connections=2, timeout=5.0)
    replies = await asyncio.gather(*(link.run(ping) for _ in range(100)))
    pool = link._lane().client.connection_pool

    assert replies == [b"PONG"] * 100
    assert len(pool._available_connections) <= 2
    await link.close()


async def test_work_has_a_time_limit(valkey: ValkeyServer) -> None:
    """A quarter of a second, with waiting; the connection can be used after it."""
    link = Link(valkey.url, connections=1)
    await link.run(ping)
    hanging = asyncio.create_task(link.run(_hang))
    await pass_time(0.25)
    assert hanging.done()
    with pytest.raises(BackendError, match="Time"):
        await hanging

    assert await link.run(ping) == b"PONG"
    await link.close()


async def test_a_dedicated_connection_blocks_nobody(valkey: ValkeyServer) -> None:
    """Other work goes on; its deadline is its own."""
    link = Link(valkey.url, connections=1)
    async with link.dedicated() as connection:
        blocked = asyncio.create_task(connection.run(_hang, timeout=0.1))

        assert await link.run(ping) == b"PONG"
        with pytest.raises(BackendError):
            await blocked
    await link.close()


def test_an_event_loop_that_is_dropped_with_its_tasks_is_collected_in_silence(
    valkey: ValkeyServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only the garbage collector ends does not go on, nor fail: it can await nothing."""
    kept: list[asyncio.Task[Any]] = []
    told: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda of: told.append(repr(of.object)))

    async def begin() -> set[str]:
        cache = CacheManager(redis_url=valkey.url, namespace=namespace)
        leases = [Leases(valkey.url, namespace=namespace, ttl=60.0) for _ in range(2)]
        await cache.start()
        reader = asyncio.create_task(anext(cache.streams.tail("s")), name="reader")
        run = asyncio.create_task(cache.get_or_compute("k", asyncio.Event().wait), name="run")
        await asyncio.gather(*(each.claim("k") for each in leases))
        await until(lambda: len(cache.engine.flights) == 1, 20)
        kept.extend((reader, run))
        return {task.get_name() for task in asyncio.all_tasks()}

    loop = asyncio.new_event_loop()
    begun = loop.run_until_complete(begin())
    kept.clear()
    loop.close()
    del loop
    gc.collect()

    assert {"asgi-multitier lease tail", "asgi-multitier log tail", "reader", "run"} <= begun
    # Connections that nobody closed are told of; what matters is who runs on.
    assert [each for each in told if each.startswith("<coroutine")] == []


def test_each_event_loop_has_its_own_connections(valkey: ValkeyServer) -> None:
    """A second run does not meet the first one's; closing closes its own."""
    link = Link(valkey.url)

    async def once() -> Any:
        try:
            return await link.run(ping)
        finally:
            await link.close()

    assert asyncio.run(once()) == b"PONG"
    assert asyncio.run(once()) == b"PONG"
    assert len(link._lanes) == 0


async def test_a_forked_process_has_its_own_connections(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent's are kept untouched: closing them would disturb its loop."""
    link = Link(valkey.url)
    await link.run(ping)
    parents = link._lane()
    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert await link.run(ping) == b"PONG"
    assert link._lane() is not parents

    await link.close()
    monkeypatch.undo()
    await parents.client.aclose()


def _child(link: Link, results: Any) -> None:
    async def work() -> Any:
        try:
            return await link.run(lambda client: send(client, "CLIENT", "ID"))
        finally:
            await link.close()

    results.put(asyncio.run(work()))


async def test_a_real_fork_shares_no_socket(valkey: ValkeyServer) -> None:
    """Parent and child are two clients of the server, and the parent's goes on."""
    link = Link(valkey.url)
    mine = await link.run(lambda client: send(client, "CLIENT", "ID"))
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_child, args=(link, results))
    child.start()
    theirs = await asyncio.to_thread(results.get, True, 10)
    await asyncio.to_thread(child.join, 10)

    assert child.exitcode == 0
    assert theirs != mine
    assert await link.run(lambda client: send(client, "CLIENT", "ID")) == mine
    results.close()
    await link.close()


async def test_a_replica_that_refuses_writes_makes_the_link_connect_anew(
    own_valkey: ValkeyServer,
) -> None:
    """READONLY is a BackendError, and the next connection looks for the master again."""
    link = Link(own_valkey.url)
    await link.run(ping)
    own_valkey.command("REPLICAOF", "127.0.0.1", free_port())
    with pytest.raises(BackendError, match="ReadOnly"):
        await link.run(lambda client: send(client, "SET", "a", "b"))

    assert not link._lane().client.connection_pool._available_connections or all(
        not connection.is_connected
        for connection in link._lane().client.connection_pool._available_connections
    )
    await link.close()


async def test_a_cluster_serves_tier_log_leases_and_streams(namespace: str) -> None:
    """A client of a cluster is taken as it is; data spread, control keys stay together."""
    with ValkeyServer(cluster_enabled="yes", cluster_port=free_port()) as server:
        server.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await until(lambda: b"state:ok" in server.command("CLUSTER", "INFO"), 5.0)
        client = RedisCluster(host="127.0.0.1", port=server.port)
        tier = RedisTier(client, namespace=namespace)
        streams = RedisStreams(client, namespace=namespace)
        leases = Leases(client, namespace=namespace)
        await tier.set_many({f"k{n}": (b"v", 9.0) for n in range(20)})

        assert all(await tier.get_many([f"k{n}" for n in range(20)]))
        async with followed(client, namespace) as one, followed(client, namespace) as two:
            born = one.index.born()
            assert await tier.set_many_born({"a": (b"1", 9.0, born), "b": (b"2", 9.0, born)})
            position = await invalidate(one)
            assert position is not None
            assert await two.reached(position, 1.0)
        assert await streams.publish("s", {"a": "1"})
        assert [entry["a"] for entry in await streams.read("s", "0", block=0.1)] == ["1"]
        claim = await leases.claim("k")
        assert claim.held
        await claim.release()
        assert await tier.delete([f"k{n}" for n in range(20)]) == 20
        await tier.clear()
        assert await tier.get("a") is None
        await tier.ping()
        for made in (tier, streams, leases):
            await made.close()
        await client.aclose()


async def test_a_sentinels_master_is_followed(own_valkey: ValkeyServer, namespace: str) -> None:
    """A client from a Sentinel keeps asking it where the master is."""
    sentinel = Sentinel([("127.0.0.1", 1)])

    async def discover(_: str) -> tuple[str, int]:
        return "127.0.0.1", own_valkey.port

    sentinel.discover_master = discover  # type: ignore[method-assign]
    client = sentinel.master_for("mymaster")
    link = connect(client)

    assert link.name == "sentinel://mymaster"
    async with followed(client, namespace) as log:
        assert await invalidate(log) is not None
    await client.aclose()
    gc.collect()


async def test_a_cancellation_that_the_work_swallows_is_heeded_after_it(
    valkey: ValkeyServer,
) -> None:
    """The library loses one now and then; whoever runs in a loop ends all the same."""
    link = Link(valkey.url, timeout=10.0)
    begun = asyncio.Event()

    async def swallow(_: aredis.Redis) -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done"
        return "never"

    for run in (link.run(swallow), _dedicated(link, swallow)):
        begun.clear()
        task = asyncio.create_task(run)
        await begun.wait()
        task.cancel()

        assert await asyncio.gather(task, return_exceptions=True) != ["done"]
        assert task.cancelled()
    await link.close()


@pytest.mark.parametrize("cancelled", [False, True], ids=["by itself", "instead of a cancellation"])
async def test_uvloops_word_for_a_closed_transport_is_a_failure_like_others(
    valkey: ValkeyServer, cancelled: bool
) -> None:
    """A RuntimeError below the client library reaches nobody; a cancellation is not lost in it."""
    link = Link(valkey.url)
    begun = asyncio.Event()

    async def break_off(_: aredis.Redis) -> None:
        begun.set()
        try:
            if cancelled:
                await asyncio.Event().wait()
        finally:
            raise RuntimeError("the handler is closed")

    for run in (link.run(break_off, timeout=10.0), _dedicated(link, break_off)):
        begun.clear()
        task = asyncio.ensure_future(run)
        await begun.wait()
        if cancelled:
            task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)

        assert isinstance(result, asyncio.CancelledError if cancelled else BackendError)
    await link.close()


def test_a_cut_connection_is_a_failure_on_uvloop_too(valkey: ValkeyServer) -> None:
    """Reset between two commands: an error of ours, and then a new connection."""

    async def play() -> None:
        async with FaultProxy(valkey.port) as proxy:
            link = Link(proxy.url)
            for _ in range(20):
                await asyncio.gather(*(link.run(ping) for _ in range(4)))
                proxy.reset()
                results = await asyncio.gather(
                    *(link.run(ping) for _ in range(4)), return_exceptions=True
                )
                assert all(isinstance(result, BackendError | bool) for result in results)
            await link.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


async def _dedicated(link: Link, work: Any) -> Any:
    async with link.dedicated() as connection:
        return await connection.run(work, timeout=10.0)


async def test_closing_is_finished_though_its_caller_is_cancelled(valkey: ValkeyServer) -> None:
    """No connection is left open because two ends came at the same time."""
    link = Link(valkey.url)
    opened: list[Any] = []

    async def one() -> None:
        async with link.dedicated() as connection:
            await connection.run(ping, timeout=5.0)
            opened.append(connection._client.connection)

    task = asyncio.create_task(one())
    await until(lambda: opened, 2.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert not any(connection.is_connected for connection in opened)
    await link.close()


async def test_a_cluster_that_is_away_is_a_back_end_error() -> None:
    """Its own family of errors does not leave the border; nothing that was begun is lost."""
    port = free_port()
    log = RedisLog(RedisCluster(host="127.0.0.1", port=port), namespace="away")
    await log.start(Recorder())

    with pytest.raises(BackendError):
        await log._link.run(ping)
    for _ in range(5):
        assert await log.commit(log.begin([TAG])) is None
    assert log.stats().queued == 1
    assert not any(task.done() for task in log._tasks)
    await log.close()


@pytest.mark.parametrize("error", [AttributeError, TypeError, LookupError, ZeroDivisionError])
async def test_whatever_is_raised_within_is_a_back_end_error(
    valkey: ValkeyServer, error: type[Exception]
) -> None:
    """Of asyncio's closed transports, of the library, of hooks and credential providers."""
    link = Link(valkey.url)

    async def raising(client: Any) -> None:
        raise error("within")

    for run in (link.run(raising), _dedicated(link, raising)):
        with pytest.raises(BackendError, match=f"{error.__name__}.*within"):
            await run
    await link.close()


async def test_a_loop_that_ends_leaves_no_connection_to_the_garbage_collector(
    server: Server,
) -> None:
    """It cancels what is to close the connection before that has begun."""
    link = connect(server.target)
    asked = asyncio.Event()

    async def hold() -> None:
        async with link.dedicated() as connection:
            await connection.run(one_command("PING"), timeout=30)
            asked.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await asked.wait()
    others = asyncio.all_tasks()
    task.cancel()
    await asyncio.sleep(0)
    closing = asyncio.all_tasks() - others
    for each in closing:
        each.cancel()
    await asyncio.wait({task, *closing})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del task, each, closing, others
        gc.collect()

    assert [str(one.message) for one in caught] == []
    await link.close()
