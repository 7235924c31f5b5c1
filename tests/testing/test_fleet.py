"""Simulated instances: invalidations reach all of them, and what a fault keeps from them."""

import pytest

from tests.testing.support import run

pytest_plugins = ["pytester"]


def test_instances_hear_each_other(pytester: pytest.Pytester) -> None:
    """Clients of both kinds; faults and their end; the application's own manager is one of them."""
    result = run(
        pytester,
        """
from shop import app, cache

async def ask(fleet, *hits):
    for instance, hit in zip(fleet, hits):
        async with asking(instance) as client:
            assert cache_status(await client.get("/books/1")).hit is hit

async def put(instance):
    async with asking(instance) as client:
        await client.put("/books/1")

async def test_awaited(cache_fleet):
    fleet = cache_fleet(3, app)
    assert (len(fleet), len({one.manager for one in fleet})) == (3, 3)
    await ask(fleet, False, False, False)
    await ask(fleet, True, True, True)
    await put(fleet[0])
    await ask(fleet, False, False, False)
    await cache.invalidate_tags("book:1")
    await ask(fleet, False, False, False)
    async with asking(fleet[1]) as client:
        await client.get("/drop")
    await ask(fleet, False, False, False)

async def test_cut(cache_fleet):
    fleet = cache_fleet(2, app)
    await ask(fleet, False, False)
    fleet[1].cut()
    await put(fleet[0])
    await ask(fleet, False, True)
    await put(fleet[1])
    await ask(fleet, True, False)
    fleet[1].heal()
    await fleet.settled()
    await ask(fleet, False, False)

async def test_hung(cache_fleet, cache_clock):
    fleet = cache_fleet(2, app)
    await ask(fleet, False, False)
    fleet[1].hang()
    await put(fleet[0])
    await ask(fleet, False, True)
    cache_clock.advance(10)
    await ask(fleet, True, False)
    fleet.heal()
    await fleet.settled()

async def test_slow(cache_fleet):
    fleet = cache_fleet(2, app)
    await ask(fleet, False, False)
    fleet[1].slow(60)
    await put(fleet[0])
    await ask(fleet, False, True)
    fleet.heal()
    await fleet.settled()
    await ask(fleet, True, False)

def test_threads(cache_fleet):
    fleet = cache_fleet(2, app)
    with TestClient(fleet[0]) as one, TestClient(fleet[1]) as other:
        for client in (one, other):
            assert_stored(client.get("/books/1"))
        one.put("/books/1")
        assert_stored(other.get("/books/1"))
        fleet[1].cut()
        one.put("/books/1")
        assert_hit(other.get("/books/1"))
        fleet.heal()
        fleet.settle()
        assert_stored(other.get("/books/1"))

def test_clients_without_a_lifespan(cache_fleet):
    one, other = map(TestClient, cache_fleet(2))
    for client in (one, other):
        assert_stored(client.get("/books/1"))
    one.put("/books/1")
    for client in (one, other):
        assert_stored(client.get("/books/1"))

def test_nothing_is_left():
    client = TestClient(app)
    assert_stored(client.get("/books/1"))
    assert type(cache.engine.log).__name__ == "LocalLog"
""",
    )

    result.assert_outcomes(passed=7)


def test_applications_of_other_kinds(pytester: pytest.Pytester) -> None:
    """Without a manager of their own, wrapped, made by a function; and what cannot be one."""
    result = run(
        pytester,
        """
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, Rule

rules = [Rule("*", 60)]

async def page(request):
    return PlainTextResponse("page")

routes = [Route("/page", page, methods=["GET", "PUT"])]

def plain():
    return Starlette(routes=routes)

def added():
    app = plain()
    app.add_middleware(CacheMiddleware, rules=rules)
    return app

def listed():
    layers = [Middleware(CacheMiddleware, CacheManager(), rules=rules)]
    return Starlette(routes=routes, middleware=layers)

def wrapped():
    return CacheMiddleware(plain(), CacheManager(), rules=rules)

def outside():
    return GZipMiddleware(wrapped())

@pytest.mark.parametrize("make", [added, listed, wrapped, outside])
@pytest.mark.parametrize("made", [True, False])
async def test_fleet(cache_fleet, make, made):
    fleet = cache_fleet(2, make() if made else make)
    async with asking(fleet[0]) as one, asking(fleet[1]) as other:
        for turn in range(2):
            assert_stored(await one.get("/page"))
            assert_hit(await one.get("/page"))
            assert_stored(await other.get("/page"))
            await one.put("/page")
    for instance in fleet:
        assert instance.manager.stats().total.misses

@pytest.mark.parametrize("given", [(2, plain()), (0, added()), (2,)], ids=["bare", "none", "two"])
def test_refused(cache_fleet, given):
    with pytest.raises(ConfigError, match="cache_fleet"):
        cache_fleet(*given)

first, second = added(), wrapped()
""",
    )

    result.assert_outcomes(passed=11)
