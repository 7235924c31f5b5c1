"""The cache switched off: by argument, environment and at run time; and the debug mode."""

import asyncio
import threading
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, Rule
from asgi_multitier.config.process import CacheConfig
from tests.manager.test_instances import caught_up
from tests.servers import ValkeyServer
from tests.support import Client, Origin, caching, scope_of


async def test_off_the_application_answers_everything() -> None:
    """Each response says why."""
    origin = Origin()
    async with caching(origin, mode="off") as cache:
        replies = [await cache.get("/a") for _ in range(3)]

    assert [reply.body for reply in replies] == [b"1", b"2", b"3"]
    assert {reply.cache for reply in replies} == {"fwd=bypass; detail=off"}


async def test_off_nothing_is_opened_until_something_changes() -> None:
    """Only an invalidation needs the log."""
    async with caching(Origin(), mode="off") as cache:
        await cache.get("/a")
        await cache.manager.get("k")
        assert cache.manager.loop is None

        await cache.client.request("PUT", "/a")
        assert cache.manager.loop is not None


async def test_off_a_probe_opens_nothing() -> None:
    """Health is that of what is used; once something has started the cache, that of all."""
    manager = CacheManager(redis_url="redis://127.0.0.1:1", namespace="probed", mode="off")
    health = await manager.health()
    assert (health.mode, health.healthy, health.degraded) == ("off", True, False)
    assert [tier.level for tier in health.tiers] == [1]
    assert not manager.running

    async with manager:
        health = await manager.health()
        assert (health.mode, health.degraded) == ("off", True)
        assert [tier.level for tier in health.tiers] == [1, 2]


async def test_the_mode_changes_while_the_process_runs() -> None:
    """What was stored before is served again afterwards, unless it was invalidated meanwhile."""
    origin = Origin()
    async with caching(origin) as cache:
        for target in ("/a", "/b"):
            assert (await cache.get(target)).stored
            assert (await cache.get(target)).hit

        cache.manager.mode = "off"
        assert (await cache.get("/a")).detail == "off"
        await cache.client.request("PUT", "/b")

        cache.manager.mode = "on"
        assert (await cache.get("/a")).body == b"1"
        assert (await cache.get("/b")).stored


async def test_another_thread_may_change_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the middle of a look at it: what was found then is not remembered."""
    async with caching(Origin()) as cache:
        events = cache.manager.engine.events
        tally = events.tally

        def switching(route: str) -> Any:
            monkeypatch.undo()
            cache.manager._mode = "off"
            return tally(route)

        monkeypatch.setattr(events, "tally", switching)
        assert (await cache.get("/a")).stored
        assert (await cache.get("/a")).detail == "off"


async def test_a_thread_changes_the_mode_for_what_runs_in_the_loop_as_well() -> None:
    """What a request is about to remember when the thread comes is forgotten after it."""
    async with caching(Origin()) as cache:
        for _ in range(2):
            await cache.get("/a")
        plans = cache.middleware._plans
        (kept,) = plans.at_hand[1].values()
        thread = threading.Thread(target=setattr, args=(cache.manager, "mode", "off"))
        thread.start()
        thread.join()
        plans.remember(scope_of("GET", "/a"), b"example.org", kept)
        await asyncio.sleep(0)
        assert (await cache.get("/a")).detail == "off"


async def test_off_another_instance_hears_what_changes(
    valkey: ValkeyServer, namespace: str
) -> None:
    """An instance that is on drops what this one has changed, responses and values alike."""
    shared = {"redis_url": valkey.url, "namespace": namespace}
    rules = [Rule("/a", 60)]
    async with CacheManager(**shared) as on, CacheManager(**shared, mode="off") as off:
        client = Client(CacheMiddleware(Origin(), on, rules=rules))
        changing = Client(CacheMiddleware(Origin(), off, rules=rules))
        await on.set("k", "old", 60)
        assert (await client.get("/a")).stored
        assert (await changing.get("/a")).detail == "off"

        await changing.request("PUT", "/a")
        await off.set("k", "new")
        await caught_up(on, off)

        assert (await client.get("/a")).stored
        assert await on.get("k") is None


async def test_values_go_to_their_origin() -> None:
    """Nothing is looked up and nothing stored; a value that is set drops the one before."""
    async with CacheManager(redis_url=None) as manager:
        await manager.set("k", "old", 60)
        manager.mode = "off"
        assert await manager.get("k", "none") == "none"
        assert await manager.get_typed("k", str) is None
        assert await manager.get_many(["k"]) == {}
        runs = [await manager.get_or_compute("c", iter("ab").__next__) for _ in range(1)]
        runs.append(await manager.get_or_compute("c", lambda: "again"))
        assert runs == ["a", "again"]
        await manager.set("k", "new", 60)

        manager.mode = "on"
        assert await manager.get("k") is None
        assert await manager.get("c") is None


def test_the_environment_switches_it_off() -> None:
    """As every other setting."""
    environ = {"ASGI_MULTITIER_MODE": "off", "ASGI_MULTITIER_DEBUG": "1"}
    config = CacheConfig.resolve(environ=environ, dotenv=None)

    assert (config.mode, config.debug) == ("off", True)


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("mode", "of", "'on', 'off' or 'shadow'"),
        ("mode", None, "'on', 'off' or 'shadow'"),
        ("debug", 1, "True or False"),
    ],
)
def test_another_value_is_refused(option: str, value: Any, allowed: str) -> None:
    """With the option, the value and what is allowed."""
    with pytest.raises(ConfigError, match=f"{option}={value!r} is not allowed; expected {allowed}"):
        CacheConfig(**{option: value})


def test_another_word_in_the_environment_is_refused() -> None:
    """The same for its texts."""
    with pytest.raises(ConfigError, match="debug='maybe' is not allowed; expected 1 or 0"):
        CacheConfig.resolve(environ={"ASGI_MULTITIER_DEBUG": "maybe"}, dotenv=None)


async def test_another_mode_at_run_time_is_refused() -> None:
    """And the one before stays."""
    manager = CacheManager(redis_url=None)
    with pytest.raises(ConfigError, match="mode='shadwo'"):
        manager.mode = "shadwo"  # type: ignore[assignment]
    assert manager.mode == "on"


@pytest.mark.parametrize(
    "fields",
    [
        [("cache-control", "no-cache"), ("pragma", "no-cache")],
        [("cache-control", "max-age=0")],
    ],
    ids=["hard-reload", "reload"],
)
@pytest.mark.parametrize("debug", [True, False])
async def test_a_reload_asks_the_application_in_debug_mode_only(
    fields: list[tuple[str, str]], debug: bool
) -> None:
    """Under load nobody may steer a cache so; a person who develops expects it."""
    app = Origin()
    async with CacheManager(redis_url=None, debug=debug) as manager:
        client = Client(CacheMiddleware(app, manager, rules=[Rule("/a", 60)]))
        await client.get("/a")
        reloaded = await client.get("/a", fields)
        usual = await client.get("/a")

    assert reloaded.hit is not debug
    assert reloaded.body == usual.body == (b"2" if debug else b"1")
