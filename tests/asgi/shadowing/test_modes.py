"""How a cache comes to observe, and back: each door does the same."""

import asyncio
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule, cached
from asgi_multitier.cli.commands.mode import COMMAND
from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.config.process import CacheConfig
from tests.admin.support import OPERATOR, Person
from tests.asgi.shadowing.support import observing
from tests.patience import PATIENCE
from tests.support import Cache, Client, Origin, caching, scope_of


async def by_attribute(cache: Cache, mode: Any) -> None:
    """At run time."""
    cache.manager.mode = mode


async def by_admin(cache: Cache, mode: Any) -> None:
    """By an operator, for this process."""
    told = await Person(cache.manager.admin(OPERATOR)).post("/api/mode", {"mode": mode})
    assert told["mode"] == mode


async def by_admin_of_all(cache: Cache, mode: Any) -> None:
    """By an operator, for all workers of the machine."""
    asked = {"mode": mode, "scope": "host"}
    told = await Person(cache.manager.admin(OPERATOR)).post("/api/mode", asked)
    assert [worker["mode"] for worker in told["workers"]] == [mode]


DOORS: dict[str, Callable[[Cache, Any], Awaitable[None]]] = {
    "attribute": by_attribute,
    "admin": by_admin,
    "admin, all workers": by_admin_of_all,
}


@pytest.mark.parametrize("door", DOORS)
async def test_it_changes_while_the_process_runs(door: str) -> None:
    """What was stored before is served again afterwards, unless it was invalidated meanwhile."""
    async with caching(Origin()) as cache:
        for target in ("/a", "/b"):
            assert (await cache.get(target)).stored
            assert (await cache.get(target)).hit

        await DOORS[door](cache, "shadow")
        replies = [await cache.get(target) for target in ("/a", "/b", "/a")]
        assert [reply.body for reply in replies] == [b"3", b"4", b"5"]
        assert {reply.get("cache-status") for reply in replies} == {None}
        put = await cache.client.request("PUT", "/b")
        assert put.get("cache-status") is None

        await DOORS[door](cache, "on")
        assert (await cache.get("/a")).body == b"1"
        assert (await cache.get("/b")).stored

        await DOORS[door](cache, "off")
        assert (await cache.get("/a")).detail == "off"


def test_the_environment_says_so() -> None:
    """As every other setting."""
    environ = {"ASGI_MULTITIER_MODE": "Shadow", "ASGI_MULTITIER_SHADOW_BYTES": "1000000"}
    config = CacheConfig.resolve(environ=environ, dotenv=None)

    assert (config.mode, config.shadow_bytes) == ("shadow", 1_000_000)
    assert CacheConfig(redis_url=None).shadow_bytes == 32 * 1024 * 1024


def test_the_command_takes_it() -> None:
    """`asgi-multitier mode shadow`."""
    parser = ArgumentParser()
    COMMAND.arguments(parser)

    assert parser.parse_args(["mode", "shadow"][1:]).mode == "shadow"


async def test_the_argument() -> None:
    """From the start on."""
    async with caching(Origin(), mode="shadow") as cache:
        replies = [await cache.get("/a") for _ in range(2)]

    assert [reply.body for reply in replies] == [b"1", b"2"]
    assert cache.manager.stats().total.passes == {"shadow": 2}


async def test_a_rule_is_for_its_routes_alone() -> None:
    """The others are cached."""
    rules = (Rule("/a/*", 60, shadow=True), Rule("*", 60))
    async with caching(Origin(), rules) as cache:
        observed = [await cache.get("/a/b") for _ in range(2)]
        answered = [await cache.get("/b") for _ in range(2)]

    assert [reply.body for reply in observed] == [b"1", b"2"]
    assert [reply.get("cache-status") for reply in observed] == [None, None]
    assert [reply.body for reply in answered] == [b"3", b"3"]


@pytest.mark.parametrize("guarded", [False, True])
async def test_an_annotation_says_so(guarded: bool) -> None:
    """Also that of a guarded route, whose endpoint runs each time."""
    from fastapi import FastAPI

    app, runs = FastAPI(), []

    @app.get("/a")
    @cached(Policy(60, shadow=True, guarded=guarded))
    async def a() -> int:
        runs.append(1)
        return len(runs)

    app.add_middleware(CacheMiddleware, cache=CacheManager(redis_url=None, namespace="t"))
    replies = [await Client(app).get("/a") for _ in range(2)]

    assert [reply.body for reply in replies] == [b"1", b"2"]
    assert [reply.get("cache-status") for reply in replies] == [None, None]


async def test_off_is_stronger_than_a_rule() -> None:
    """A cache that is off observes nothing."""
    async with caching(Origin(), (Rule("*", 60, shadow=True),), mode="off") as cache:
        assert (await cache.get("/a")).detail == "off"


async def test_values_go_to_their_origin() -> None:
    """As where the cache is off."""
    async with CacheManager(redis_url=None, mode="shadow") as manager:
        await manager.set("k", "value", 60)
        numbers = iter(range(5))
        found = [await manager.get_or_compute("c", numbers.__next__) for _ in range(2)]

        assert found == [0, 1]
        assert await manager.get("k", "none") == "none"
        assert await manager.get_many(["k"]) == {}


async def test_what_is_explained_says_so() -> None:
    """`explain` tells why the cache does not answer."""
    async with caching(Origin(), mode="shadow") as cache:
        await cache.get("/a")
        found = await cache.manager.explain("GET", "/a")

    assert (found.verdict, found.reason) == ("bypass", "shadow")


async def test_another_loop_observes_nothing_and_answers() -> None:
    """The cache lives in one event loop at a time."""
    async with caching(Origin(), mode="shadow") as cache:
        await cache.get("/a")

        def elsewhere() -> bytes:
            return asyncio.run(cache.get("/a")).body

        assert await asyncio.to_thread(elsewhere) == b"2"


async def test_from_observing_to_answering_and_back() -> None:
    """What would be held is kept meanwhile, and is valid as long as nothing drops it."""
    async with observing(Origin(), mode="on") as seen:
        manager = seen.cache.manager
        would: list[list[str]] = []
        for mode in ("shadow", "on", "shadow"):
            manager.mode = mode
            for _ in range(2):
                await seen.cache.get("/a")
            would.append([*seen.would()])
        await seen.cache.client.request("PUT", "/a")
        await seen.cache.get("/a")

        assert would == [["miss", "hit"], ["miss", "hit"], ["miss", "hit", "hit", "hit"]]
        assert seen.would()[4:] == ["miss"]


@pytest.mark.parametrize("how", ["the mode", "a rule"])
async def test_a_server_in_front_of_asgi_asks_the_application(how: str) -> None:
    """Nothing is answered from the parsed request."""
    settings: Any = {"mode": "shadow"} if how == "the mode" else {}
    async with caching(Origin(), (Rule("*", 60, shadow=how == "a rule"),), **settings) as cache:
        for _ in range(2):
            await cache.get("/a")
        assert cache.middleware.in_front.find(scope_of("GET", "/a")) is None

        cache.manager.mode = "on"
        await cache.get("/a")
        assert (cache.middleware.in_front.find(scope_of("GET", "/a")) is None) is (how == "a rule")


async def test_without_a_lifespan_no_request_waits_for_the_log() -> None:
    """The cache begins with the first one, which is observed."""

    class SilentLog(LocalLog):
        """A log whose server does not answer."""

        async def start(self, listener: Any) -> None:
            await asyncio.Event().wait()

    async with caching(Origin(), mode="shadow", log=SilentLog()) as cache:
        async with asyncio.timeout(PATIENCE):
            assert (await cache.get("/a")).body == b"1"
        assert cache.manager.starting
        report = await cache.manager.report()
        cache.manager._close_patience = 0.0

    assert [route.requests for route in report.routes] == [1]
