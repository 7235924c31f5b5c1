"""The pytest plugin: caches are empty at the start of each test, alone, and close at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ValkeyServer
from tests.testing.support import run

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

pytest_plugins = ["pytester"]


def test_each_test_begins_with_empty_caches(pytester: pytest.Pytester) -> None:
    """With clients of every kind and life, and one application of the module."""
    pytester.makeconftest("from shop import app, cache")
    result = run(
        pytester,
        """
from shop import app, cache

@pytest.fixture(scope="session")
def living():
    with TestClient(app) as client:
        yield client

@pytest.fixture(scope="module")
def warm(living):
    assert_stored(living.get("/books/1"))

@pytest.mark.parametrize("turn", [1, 2])
def test_client_of_the_session(living, turn):
    assert_stored(living.get("/books/1"))
    assert_hit(living.get("/books/1"))
    assert (cache.stats().total.misses, cache.stats().total.hits) == (1, {1: 1})

@pytest.mark.parametrize("turn", [1, 2])
def test_client_of_the_test(turn):
    client = TestClient(app)
    assert_stored(client.get("/books/1"))
    assert_hit(client.get("/books/1"))

@pytest.mark.parametrize("turn", [1, 2])
async def test_client_that_is_awaited(turn):
    async with asking(app) as client:
        assert_stored(await client.get("/books/1"))
        assert_hit(await client.get("/books/1"))

@pytest.mark.parametrize("turn", [1, 2])
async def test_values(turn):
    assert await cache.get("a") is None
    await cache.set("a", turn)
    assert await asyncio.to_thread(cache.sync.get, "a") == turn

@pytest.mark.parametrize("turn", [1, 2])
def test_mode(turn):
    assert cache.mode == "on"
    cache.mode = "off"

async def test_several_event_loops(living):
    assert_stored(living.get("/books/1"))
    async with asking(app) as client:
        assert_hit(await client.get("/books/1"))
        await client.put("/books/1")
    assert_stored(living.get("/books/1"))
    assert_hit(living.get("/books/1"))

@pytest.mark.anyio
async def test_of_anyio(anyio_backend):
    async with asking(app) as client:
        assert_stored(await client.get("/books/1"))
        assert_hit(await client.get("/books/1"))

@pytest.fixture
def anyio_backend():
    return "asyncio"

def test_fixture_that_warms(warm, living):
    assert_hit(living.get("/books/1"))
""",
    )

    result.assert_outcomes(passed=13)


def test_nothing_is_attached_unless_asked_for(
    pytester: pytest.Pytester, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the address of the environment, nor the log of this machine; a marker, or an argument of
    a cache that the test makes, is a request."""
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.setenv("ADDRESS", valkey.url)
    result = run(
        pytester,
        """
import os
from asgi_multitier import CacheManager
from shop import app, cache

def tiers(cache):
    return [tier.name for tier in cache.tier_stats()]

async def test_alone():
    async with asking(app) as client:
        assert_stored(await client.get("/books/1"))
    assert (tiers(cache), type(cache.engine.log).__name__) == (["memory"], "LocalLog")
    async with CacheManager(namespace="own") as own:
        assert (tiers(own), type(own.engine.log).__name__) == (["memory"], "LocalLog")

@pytest.mark.cache_attach
@pytest.mark.parametrize("turn", [1, 2])
async def test_attached(turn):
    async with asking(app) as client:
        assert_stored(await client.get("/books/1"))
        assert_hit(await client.get("/books/1"))
    assert (tiers(cache), type(cache.engine.log).__name__) == (["memory", "redis"], "RedisLog")

async def test_named():
    async with CacheManager(redis_url=os.environ["ADDRESS"], namespace="named") as own:
        assert tiers(own) == ["memory", "redis"]

@pytest.fixture(scope="session")
def lasting():
    return CacheManager(redis_url=os.environ["ADDRESS"], namespace="lasting")

@pytest.mark.parametrize("turn", [1, 2])
async def test_named_by_a_fixture(lasting, turn):
    assert await lasting.get("a") is None
    await lasting.set("a", turn)
    assert await lasting.get("a") == turn
    assert tiers(lasting) == ["memory", "redis"]

def test_alone_again():
    assert tiers(cache) == ["memory"]
""",
        app="from fastapi import FastAPI\n"
        "from asgi_multitier import CacheManager, CacheMiddleware, cached\n"
        "cache = CacheManager(namespace='attaching')\n"
        "app = FastAPI()\n"
        "app.add_middleware(CacheMiddleware, cache=cache)\n"
        "@app.get('/books/{id}')\n"
        "@cached(60)\n"
        "async def book(id: int): return id\n",
    )

    result.assert_outcomes(passed=7)


def test_closing_does_not_wait(pytester: pytest.Pytester) -> None:
    """A run that goes on is cancelled, not awaited for five seconds."""
    result = run(
        pytester,
        """
from asgi_multitier import CacheManager

async def test_slow():
    async with CacheManager() as cache:
        begun = asyncio.Event()
        async def compute():
            begun.set()
            await asyncio.Event().wait()
        asking = asyncio.create_task(cache.get_or_compute("a", compute))
        await begun.wait()
    with pytest.raises(Exception, match="cancelled"):
        await asking
""",
        "--timeout=4",
    )

    result.assert_outcomes(passed=1)


def test_time_of_all_caches_is_moved(pytester: pytest.Pytester) -> None:
    """Lifetimes, stale windows, ages; the next test has the system's time."""
    result = run(
        pytester,
        """
import time
from datetime import timedelta
from asgi_multitier import CacheManager
from shop import app, cache

def test_lifetimes(cache_clock):
    client = TestClient(app)
    assert_stored(client.get("/books/1"))
    cache_clock.advance(59)
    response = client.get("/books/1")
    assert (response.headers["age"], cache_status(response).ttl) == ("59", 1)
    cache_clock.advance(timedelta(seconds=2))
    with client:
        assert cache_status(client.get("/books/1")).detail == "stale-while-revalidate"
    cache_clock.advance(91)
    assert_stored(client.get("/books/1"))
    with pytest.raises(ValueError, match="forward"):
        cache_clock.advance(-1)

async def test_cache_that_the_test_makes(cache_clock):
    async with CacheManager() as own:
        await own.set("a", 1, 10)
        cache_clock.advance(9.5)
        assert await own.get("a") == 1
        cache_clock.advance(0.5)
        assert await own.get("a") is None

def test_time_is_exact(cache_clock):
    begun = cache_clock()
    cache_clock.advance(0.5)
    cache_clock.advance(7)
    assert cache_clock() - begun == 7.5 and begun * 1024 % 1 == 0

def test_time_is_back():
    assert abs(cache.engine.wall() - time.time()) < 60
""",
    )

    result.assert_outcomes(passed=4)


BARE = """
from asgi_multitier import CacheManager, CacheMiddleware, Rule

async def books(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"books"})

cache = CacheManager()
app = CacheMiddleware(books, cache, rules=[Rule("*", 60)])
"""


def test_works_in_several_processes(pytester: pytest.Pytester) -> None:
    """With pytest-xdist, and an application that the tests import late."""
    result = run(
        pytester,
        """
@pytest.mark.parametrize("turn", [1, 2])
def test_turn(turn):
    from shop import app, cache
    client = TestClient(app)
    assert_stored(client.get("/books/1"))
    assert_hit(client.get("/books/1"))
    assert type(cache.engine.log).__name__ == "LocalLog"
""",
        "-n1",
        "--cache-detect",
        app=BARE,
        apart=True,
    )

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["cache detector: routes asked twice: /books/1"])


def test_a_run_that_does_not_use_it_imports_nothing(tmp_path: Path) -> None:
    """The plugin alone is loaded, not the package."""
    code = (
        "import sys, pytest; pytest.main(['-p', 'pytest_asgi_multitier', '--co', '-q']);"
        "sys.exit(any(name.startswith('asgi_multitier') for name in sys.modules))"
    )
    path = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": path}, check=False
    )

    assert ran.returncode == 0
