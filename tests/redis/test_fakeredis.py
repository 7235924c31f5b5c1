"""fakeredis instead of a server: what can be given, and that caches share it."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import fakeredis
import pytest
import redis.asyncio as aredis
from fastapi import FastAPI
from starlette.testclient import TestClient

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, cached, invalidates
from asgi_multitier.errors import BackendError
from asgi_multitier.redis import Link, RedisTier
from asgi_multitier.testing import settle, settled
from tests.servers import free_port


class Derived(fakeredis.FakeAsyncRedis):
    """A user's own."""


def _pooled(server: fakeredis.FakeServer) -> aredis.Redis:
    kind = fakeredis.FakeAsyncRedis(server=server).connection_pool.connection_class
    return aredis.Redis(connection_pool=aredis.ConnectionPool(connection_class=kind, server=server))


GIVEN: dict[str, Callable[[fakeredis.FakeServer], Any]] = {
    "a server": lambda server: server,
    "a client": lambda server: fakeredis.FakeAsyncRedis(server=server),
    "decoding": lambda server: fakeredis.FakeAsyncRedis(server=server, decode_responses=True),
    "RESP3": lambda server: fakeredis.FakeAsyncRedis(server=server, protocol=3),
    "an old one": lambda server: fakeredis.FakeAsyncRedis(server=server, version=6),
    "one connection": lambda server: fakeredis.FakeAsyncRedis(
        server=server, single_connection_client=True
    ),
    "of a class of one's own": lambda server: Derived(server=server),
    "connections in a pool": _pooled,
}


@pytest.mark.parametrize("given", GIVEN)
async def test_caches_on_one_server_share_entries_and_invalidations(given: str) -> None:
    """What one has stored the other reads, and what one drops is dropped in the other's memory."""
    target = GIVEN[given](fakeredis.FakeServer())
    one, two = (CacheManager(redis=target, namespace="shop") for _ in range(2))
    async with one, two:
        await one.set("k", "old", tags=["t"])
        await settled(one)
        assert await two.get("k") == "old"
        await one.invalidate_tags("t")
        await settled(one, two)
        assert await two.get("k") is None
        assert (await two.health()).healthy
        assert two.engine.log.trusted


async def test_a_client_without_a_server_has_one_of_its_own() -> None:
    """As fakeredis says: clients made without a server share nothing."""
    one, two = (RedisTier(fakeredis.FakeAsyncRedis()) for _ in range(2))
    await one.set("k", b"v", 10.0)

    assert await one.get("k") is not None
    assert await two.get("k") is None
    await one.close()
    await two.close()


async def test_the_users_client_stays_the_users() -> None:
    """It works after the cache is closed, and sees what the cache has written."""
    client = fakeredis.FakeAsyncRedis(decode_responses=True)
    async with CacheManager(redis=client, namespace="shop") as cache:
        await cache.set("k", "v")
        await settled(cache)

    assert any(name.startswith("shop:e:") for name in await client.keys("*"))
    await client.aclose()


async def test_a_server_that_is_switched_off_is_a_counted_miss() -> None:
    """As any other that refuses connections: fakeredis's own switch for it."""
    server = fakeredis.FakeServer()
    tier = RedisTier(server)
    await tier.set("k", b"v", 10.0)
    server.connected = False
    with pytest.raises(BackendError):
        await tier.get("k")
    server.connected = True
    assert await tier.get("k") is not None
    await tier.close()


def test_log_lines_show_no_made_up_host() -> None:
    """That of a client without a server names the one that fakeredis makes."""
    assert repr(Link(fakeredis.FakeServer())) == "<Link redis://fakeredis:6379/0>"
    client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer(), db=3)
    assert Link(client).name == "redis://fakeredis:6379/3"
    assert Link(fakeredis.FakeAsyncRedis(host="here")).name == "redis://here:6379/0"


async def test_its_server_for_several_processes_is_used_by_its_address() -> None:
    """It differs from other servers as the one in this process does."""
    server = fakeredis.TcpFakeServer(("127.0.0.1", free_port()))
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    url = f"redis://127.0.0.1:{server.server_address[1]}"
    settings: dict[str, Any] = {"redis_url": url, "namespace": "shop", "redis_timeout": 10}
    try:
        async with CacheManager(**settings) as one, CacheManager(**settings) as two:
            await one.set("k", "old", tags=["t"])
            await settled(one, two)
            assert await two.get("k") == "old"
            await one.invalidate_tags("t")
            await settled(one, two)
            assert await two.get("k") is None
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        serving.join()


@pytest.mark.parametrize(
    ("target", "seconds"), [(fakeredis.FakeServer(), 10.0), ("redis://127.0.0.1:1", 0.25)]
)
def test_a_machine_that_stalls_is_not_taken_for_a_server_that_hangs(
    target: Any, seconds: float
) -> None:
    """fakeredis runs in the process that waits for it; of a server a short time-out is kept."""
    link = Link(target, timeout=0.25)

    assert link.timeout == seconds
    assert link.within(0.25) == seconds
    assert link.within(30.0) == 30.0


def _shop(server: fakeredis.FakeServer) -> CacheMiddleware:
    prices = {"1": 10}
    app = FastAPI()

    @app.get("/prices/{name}")
    @cached(60, tags=["price:{name}"], coalesce="fleet")
    async def read(name: str) -> int:
        return prices[name]

    @app.put("/prices/{name}")
    @invalidates(tags=["price:{name}"])
    async def edit(name: str, value: int) -> int:
        prices[name] = value
        return value

    return CacheMiddleware(app, CacheManager(redis=server, namespace="shop"))


def test_applications_in_event_loops_of_their_own_share_one_server() -> None:
    """Each test client has a thread and a loop; the blocked reads of one are woken by another."""
    server = fakeredis.FakeServer()
    first, second = _shop(server), _shop(server)
    with TestClient(first) as one, TestClient(second) as two:
        assert one.get("/prices/1").headers["cache-status"].endswith("ttl=60")
        settle(first.manager)
        assert "detail=l2" in two.get("/prices/1").headers["cache-status"]
        assert "detail=l1" in two.get("/prices/1").headers["cache-status"]
        one.put("/prices/1?value=20")
        settle(first.manager, second.manager)
        assert "uri-miss" in two.get("/prices/1").headers["cache-status"]


def test_a_server_outlives_the_event_loops_of_a_cache() -> None:
    """A test client without `with` has a loop for each request; none is left waiting."""
    server = fakeredis.FakeServer()
    client = TestClient(_shop(server))
    statuses = [client.get("/prices/1").headers["cache-status"] for _ in range(3)]
    client.put("/prices/1?value=20")

    assert ["hit" in status for status in statuses] == [False, True, True]
    assert "uri-miss" in client.get("/prices/1").headers["cache-status"]


@pytest.mark.parametrize("target", [fakeredis.FakeRedis(), fakeredis.FakeStrictRedis()])
def test_synchronous_clients_are_refused(target: Any) -> None:
    """As those of redis-py are."""
    with pytest.raises(ConfigError, match=r"FakeAsyncRedis\(...\) or a fakeredis.FakeServer"):
        CacheManager(redis=target)


@pytest.mark.parametrize("given", ["a server", "a client", "connections in a pool"])
def test_without_lupa_it_is_refused_at_start_up(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fakeredis would answer each script with an unknown command."""
    target = GIVEN[given](fakeredis.FakeServer())
    monkeypatch.setitem(sys.modules, "lupa", None)
    with pytest.raises(ConfigError, match=r"pip install asgi-multitier\[testing\]"):
        CacheManager(redis=target)


def test_the_package_never_imports_it() -> None:
    """It is no dependency, and a start in production does not pay for it."""
    code = (
        "import sys, asgi_multitier, asgi_multitier.redis, asgi_multitier.testing\n"
        "asgi_multitier.CacheManager(redis_url='redis://127.0.0.1:1')\n"
        "assert not {'fakeredis', 'lupa'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
