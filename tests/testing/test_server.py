"""A Redis for one test: all caches use it, and nothing of it is left for the next one."""

import sys

import pytest

from asgi_multitier.errors import ConfigError
from asgi_multitier.testing.server import new_server
from tests.testing.support import run

pytest_plugins = ["pytester"]

SHOP = """
from fastapi import FastAPI
from asgi_multitier import CacheManager, CacheMiddleware, InvalidationConfig, cached, invalidates

cache = CacheManager(invalidation=InvalidationConfig(enable_audit_stream=True))
app = FastAPI()
app.add_middleware(CacheMiddleware, cache=cache)

@app.get("/books/{id}")
@cached(60, tags=["book:{id}"], coalesce="fleet")
async def book(id: int):
    return {}

@app.put("/books/{id}")
@invalidates(tags=["book:{id}"])
async def edit(id: int):
    await cache.streams.publish("edits", {"id": id})
    return {}
"""


@pytest.mark.usefixtures("usual_redis_timeout")
def test_caches_of_the_module_use_it(pytester: pytest.Pytester) -> None:
    """Entries, log, leases and streams; one that a test makes as well, unless it names another."""
    pytester.makepyfile(main=SHOP)
    result = run(
        pytester,
        """
import fakeredis
from asgi_multitier import CacheManager
from shop import app, cache

def tiers(cache):
    return [tier.name for tier in cache.tier_stats()]

def kinds(server):
    names = fakeredis.FakeRedis(server=server, decode_responses=True).keys("*")
    plain = [name.replace("{", "").replace("}", "") for name in names]
    return {name.removeprefix(cache.namespace).split(":")[1] for name in plain}

@pytest.mark.parametrize("turn", [1, 2])
def test_of_a_client(turn, cache_redis):
    assert kinds(cache_redis) == set()
    with TestClient(app) as client:
        assert_stored(client.get("/books/1"))
        settle(cache)
        cache.engine.stack.local.clear()
        assert cache_status(client.get("/books/1")).detail == "l2"
        client.put("/books/1")
        assert_stored(client.get("/books/1"))
        settle(cache)
        assert kinds(cache_redis) - {"nodes"} == {"e", "cache", "leases", "s"}
    assert tiers(cache) == ["memory", "redis"]
    assert cache.config.redis_timeout == 10  # a machine that stalls is not a server that hangs

async def test_awaited(cache_redis):
    async with asking(app) as client:
        assert_stored(await client.get("/books/1"))
        await settled(cache)
        cache_redis.connected = False
        cache.engine.stack.local.clear()
        assert_stored(await client.get("/books/1"))
        cache_redis.connected = True

def test_of_several_event_loops(cache_redis):
    async def edit():
        async with asking(app) as client:
            assert_hit(await client.get("/books/1"))
            await client.put("/books/1")
            assert_stored(await client.get("/books/1"))
    with TestClient(app) as client:
        assert_stored(client.get("/books/1"))
        asyncio.run(edit())
        assert_hit(client.get("/books/1"))
    asyncio.run(edit())

async def test_made_in_the_test(cache_redis):
    async with CacheManager(namespace="own") as own:
        assert tiers(own) == ["memory", "redis"]
        await own.set("k", "v")
    async with CacheManager(redis=fakeredis.FakeServer(), namespace="own") as other:
        assert await other.get("k") is None
    async with CacheManager(namespace="own") as again:
        assert await again.get("k") == "v"

def test_of_an_application_without_a_name(cache_redis):
    from main import app  # on a server that others may use it would be refused
    assert_stored(TestClient(app).get("/books/1"))

@pytest.fixture(scope="session")
def lasting():
    with TestClient(app) as client:
        yield client

def test_of_a_client_of_the_session(lasting, cache_redis):
    assert_stored(lasting.get("/books/1"))
    assert cache_redis.sockets

def test_it_is_closed(lasting):
    async def tasks():
        return [task for task in asyncio.all_tasks() if "asgi-multitier" in task.get_name()]
    assert lasting.portal.call(tasks) == []

def test_nothing_is_left():
    assert tiers(cache) == ["memory"]
    assert cache.config.redis_timeout == 0.25
    assert tiers(CacheManager(namespace="own")) == ["memory"]
    assert_stored(TestClient(app).get("/books/1"))

@pytest.mark.cache_attach
def test_what_is_attached_stays(cache_redis):
    assert tiers(cache) == ["memory", "redis"]
    assert cache.engine.stack.shared[0].tier.link.name == "redis://127.0.0.1:1"
""",
        app=SHOP.replace("CacheManager(", "CacheManager(redis_url='redis://127.0.0.1:1', "),
    )

    result.assert_outcomes(passed=10)


def test_without_fakeredis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra."""
    monkeypatch.setitem(sys.modules, "fakeredis", None)
    with pytest.raises(ConfigError, match=r"pip install asgi-multitier\[testing\]"):
        new_server()
