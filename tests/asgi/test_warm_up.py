"""`warm="top:200"`: a process that has started asks for what clients of all processes ask for."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Host, Mount

from asgi_multitier import (
    CacheConfig,
    CacheManager,
    CacheMiddleware,
    ConfigError,
    Rule,
    TierConfig,
    cached,
)
from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.engine.health import WarmUpHealth
from asgi_multitier.manager import warmer
from asgi_multitier.policy.key import storage_key
from asgi_multitier.warming.popularity import LIFETIME, MAX_BYTES, read
from asgi_multitier.warming.targets import Origin as At
from asgi_multitier.warming.targets import Target
from tests.asgi.test_lifespan import Lifespan
from tests.manager.support import SeenTier
from tests.manager.test_event_loops import Loop
from tests.servers import ValkeyServer
from tests.support import (
    EVERYTHING,
    Client,
    FakeClock,
    Origin,
    answering,
    pass_time,
    settled,
    stop_time,
)

LIST = storage_key("\x00popular")
around: ContextVar[str] = ContextVar("around", default="nothing")


@dataclass
class Process:
    """One process of an application.

    Attributes:
        manager: Its cache.
        origin: Its application.
        client: A client of it.
    """

    manager: CacheManager
    origin: Origin
    client: Client

    @property
    def asked(self) -> list[str]:
        """What its application was asked for."""
        return [scope["path"] for scope in self.origin.scopes]

    async def health(self) -> WarmUpHealth:
        """How far its warm-up is."""
        return (await self.manager.health()).warm


class Machine:
    """Processes with one shared tier."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.tier = SeenTier(self.clock)

    def manager(self, warm: str | None = "top:9", **settings: Any) -> CacheManager:
        """The cache of another process."""
        given = {"tiers": [(self.tier, TierConfig(2))], "redis_url": None, "namespace": "test"}
        given |= {"clock": self.clock, "wall": self.clock}
        return CacheManager(**given | settings, warm=warm)

    @asynccontextmanager
    async def process(
        self, warm: str | None = "top:200", *, rules: Any = EVERYTHING, **settings: Any
    ) -> AsyncIterator[Process]:
        """A process that has started; at its end nothing of it is left."""
        before = asyncio.all_tasks()
        manager = self.manager(warm, **settings)
        origin = Origin()
        app = CacheMiddleware(origin, manager, rules=rules)

        async def started(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                for kind in ("startup", "shutdown"):
                    await receive()
                    await send({"type": f"lifespan.{kind}.complete"})
            else:
                await origin(scope, receive, send)

        app.app = started
        app._lifespan._app = started
        async with Lifespan(app):
            yield Process(manager, origin, Client(app))
        await settled()

        assert asyncio.all_tasks() - before == set()
        assert not manager.running


async def seconds(count: int) -> None:
    """Let so many seconds pass, with all that is due in each."""
    for _ in range(count):
        await pass_time(1.01)


async def visited(machine: Machine, *paths: str, **options: Any) -> None:
    """A process that clients ask for these paths, and that is closed then."""
    async with machine.process(**options) as process:
        await settled()
        for path in paths:
            await process.client.get(path)
        await seconds(2)


async def test_what_clients_asked_for_is_there_before_they_ask_again() -> None:
    """The most asked for, and no more than is wanted; by the next process, which has nothing."""
    machine = Machine()
    await visited(machine, *["/a"] * 3, *["/b"] * 2, "/c")
    async with machine.process("top:2") as process:
        assert (await process.health()).state == "running"
        await seconds(3)

        assert sorted(process.asked) == ["/a", "/b"]
        assert await process.health() == WarmUpHealth("done", asked=2, stored=2)
        assert (await process.client.get("/a")).cache.startswith("hit")
        assert (await process.client.get("/c")).cache.startswith("fwd")


async def test_processes_that_start_at_once_do_not_ask_for_the_same_at_once() -> None:
    """In blocks: what is asked for more still comes before what is asked for less."""
    many = [Target(At("http", b"a"), b"/%d" % number) for number in range(60)]
    orders = [warmer._mixed([*many]) for _ in range(5)]

    assert len({tuple(order) for order in orders}) == 5
    for order in orders:
        blocks = [order[:20], order[20:40], order[40:]]
        assert [set(block) for block in blocks] == [
            set(many[:20]),
            set(many[20:40]),
            set(many[40:]),
        ]


def test_an_event_loop_that_has_ended_is_left_behind() -> None:
    """As in tests, or under a server that is started again: the next one begins again."""
    machine = Machine()
    manager = machine.manager()
    app = Client(CacheMiddleware(Origin(), manager, rules=EVERYTHING))

    async def use(*paths: str) -> WarmUpHealth:
        for path in paths:
            await app.get(path)
        await seconds(2)
        return (await manager.health()).warm

    async def use_and_close(*paths: str) -> WarmUpHealth:
        found = await use(*paths)
        await manager.close()
        return found

    assert asyncio.run(use("/a", "/b")).detail == warmer.NO_LIST
    assert asyncio.run(use_and_close("/a", "/b")).detail == warmer.NO_LIST
    assert asyncio.run(use("/a")).asked == 2
    stopped = asyncio.new_event_loop()
    assert stopped.run_until_complete(use("/a")).asked == 2
    asyncio.run(manager.close())
    assert manager.warm_up_health.state == "off"
    for task in asyncio.all_tasks(stopped):
        task.cancel()
    stopped.run_until_complete(settled())
    stopped.close()


async def test_a_cache_that_is_switched_on_later_begins_then() -> None:
    """Until then a change starts the log, which it is told to, and no more."""
    machine = Machine()
    await visited(machine, "/a")
    async with machine.process(mode="off") as process:
        await process.client.request("PUT", "/x")
        await seconds(2)
        assert process.manager.running
        process.manager.begin_warm_up()
        assert process.manager.warm_up_health.state == "off"
        process.manager.mode = "on"
        await process.client.get("/x")
        await seconds(2)

        assert await process.health() == WarmUpHealth("done", asked=1, stored=1)


def test_it_runs_where_the_cache_lives() -> None:
    """Requests of another event loop bypass the cache, and begin nothing there."""
    manager = CacheManager(redis_url=None, namespace="test", warm="top:9")
    app = Client(CacheMiddleware(Origin(), manager, rules=EVERYTHING))
    one, two = Loop(), Loop()
    try:
        replies = [loop.run(app.get("/a")) for loop in (one, two)]

        assert [reply.detail for reply in replies] == ["", "event-loop"]
        assert manager._warmer is not None
        assert manager._warmer._loop is one.loop
        one.run(manager.close())
    finally:
        one.end()
        two.end()


async def test_behind_a_reverse_proxy_it_is_the_same() -> None:
    """The fields that it sends are in every key, and its own requests' too."""
    machine, proxied = Machine(), [("x-forwarded-proto", "https"), ("x-forwarded-for", "10.0.0.1")]
    async with machine.process() as process:
        await settled()
        await process.client.get("/a", proxied)
        await seconds(2)
    machine.tier.items = {LIST: machine.tier.items[LIST]}
    async with machine.process() as process:
        await seconds(2)
        assert await process.health() == WarmUpHealth("done", asked=1, stored=1)
        assert (await process.client.get("/a", proxied)).hit


async def test_it_goes_slowly() -> None:
    """Ten in a second, and health says how far it is."""
    stop_time()
    machine = Machine()
    await visited(machine, *(f"/{number}" for number in range(9)))
    async with machine.process() as process:
        await settled()
        assert len(process.asked) == 1
        await pass_time(0.06)
        assert len(process.asked) == 1
        await pass_time(0.05)
        assert len(process.asked) == 2
        assert await process.health() == WarmUpHealth("running", asked=2, stored=2)


async def test_the_log_says_what_became_of_it(caplog: pytest.LogCaptureFixture) -> None:
    """In one line: health has counts only, and no caller waits for a report."""
    caplog.set_level(logging.INFO)
    machine = Machine()
    await visited(machine, "/a", "/b")
    async with machine.process():
        await seconds(2)
    assert "warm-up: 2 targets were asked for" in caplog.text
    machine.tier.items = {LIST: machine.tier.items[LIST]}
    async with machine.process() as process:
        process.origin._answer = answering(b"", status=503)
        await seconds(2)

    assert "warm-up: 2 of 2 targets failed, first http://example.org/" in caplog.text
    assert ": status 503; clients ask for them themselves" in caplog.text


async def test_a_process_that_ends_meanwhile_cancels_it() -> None:
    """Also a request under way; `Machine.process` looks for what is left."""
    machine = Machine()
    await visited(machine, "/a", "/b")
    async with machine.process() as process:
        process.origin.gate.clear()
        await seconds(1)
        assert len(process.asked) == 2

    assert (process.manager.warm_up_health.state, len(process.asked)) == ("off", 2)


async def test_it_waits_until_the_log_is_followed() -> None:
    """Before that, nothing that is stored would last."""
    machine = Machine()
    await visited(machine, "/a")
    gate = asyncio.Event()

    class Slow(LocalLog):
        async def start(self, listener: Any) -> None:
            await gate.wait()
            await super().start(listener)

    async with machine.process(log=Slow(machine.clock)) as process:
        await seconds(3)
        assert process.asked == []
        gate.set()
        await seconds(1)
        assert process.asked == ["/a"]


async def test_a_cache_that_is_renewed_begins_again() -> None:
    """As between tests of an application."""
    machine = Machine()
    await visited(machine, "/a")
    async with machine.process() as process:
        await seconds(2)
        manager = process.manager
        manager.renew(manager._backends, patience=0.0)
        assert manager.warm_up_health == WarmUpHealth()
        await process.client.get("/b")
        await seconds(2)

        assert (await process.health()).asked == 1


async def test_a_process_that_starts_again_begins_again() -> None:
    """What it had is gone or not; it asks."""
    machine = Machine()
    await visited(machine, "/a")
    async with machine.process() as process:
        await seconds(2)
        assert (await process.health()).asked == 1
        await process.manager.close()
        process.manager.engine.stack.local.clear()
        await process.client.get("/other")
        await seconds(2)

        assert await process.health() == WarmUpHealth("done", asked=1, hits=1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"warm": None}, WarmUpHealth("off")),
        ({"mode": "off"}, WarmUpHealth("off")),
        ({"tiers": None}, WarmUpHealth("done", warmer.NO_TIER)),
        ({}, WarmUpHealth("done", warmer.NO_LIST)),
    ],
    ids=["not wanted", "switched off", "no tier", "no list"],
)
async def test_health_says_why_there_is_nothing_to_do(
    options: dict[str, Any], expected: WarmUpHealth
) -> None:
    """It is no reason to count as degraded."""
    machine = Machine()
    async with machine.process(**options) as process:
        await seconds(1)
        health = await process.manager.health()

        assert health.warm == expected
        assert not health.degraded
        await process.client.get("/x")
        await seconds(1)
    assert (LIST in machine.tier.items) is (expected.detail == warmer.NO_LIST)


async def test_a_cache_that_is_switched_off_meanwhile_asks_no_further() -> None:
    """The application would answer, and nothing would be stored."""
    stop_time()
    machine = Machine()
    await visited(machine, "/a", "/b", "/c")
    async with machine.process() as process:
        await settled()
        process.manager.mode = "off"
        await process.client.get("/x")
        await seconds(2)

        assert process.asked[1:] == ["/x"]
        assert process.manager.warm_up_health == WarmUpHealth("done", "", 3, 1, bypassed=2)
    found = read_list(machine)
    assert found is not None
    assert "/x" not in found


def read_list(machine: Machine) -> dict[str, float] | None:
    """The paths in the list, with their scores."""
    held = machine.tier.items.get(LIST)
    if held is None:
        return None
    ranking = read(held[0][held[0].index(b"\x93\x01\xcb") :])
    assert ranking is not None
    return {target.raw_path.decode(): score for target, score in ranking.scores.items()}


async def test_a_tier_that_does_not_answer_is_asked_again() -> None:
    """For half a minute; then the warm-up is done without anything to ask for."""
    machine = Machine()
    await visited(machine, "/a")
    machine.tier.broken = True
    async with machine.process() as process:
        await seconds(2)
        assert await process.health() == WarmUpHealth("running", warmer.NO_ANSWER)
        machine.tier.broken = False
        machine.clock.advance(2)
        await seconds(2)
        assert await process.health() == WarmUpHealth("done", asked=1, stored=1)
    machine.tier.broken = True
    async with machine.process() as process:
        await seconds(warmer.ANSWERED_WITHIN + 1)
        assert await process.health() == WarmUpHealth("done", warmer.NO_ANSWER)
        machine.tier.broken = False


async def test_a_target_that_is_not_for_anyone_any_more_is_left_out() -> None:
    """The next release separates its users there."""
    machine = Machine()
    await visited(machine, "/a", "/b")
    rules = (Rule("/a", 300, vary_by=lambda request: "me"), Rule("*", 300))
    async with machine.process(rules=rules) as process:
        await seconds(2)

        assert process.asked == ["/b"]
        assert await process.health() == WarmUpHealth("done", asked=2, stored=1, bypassed=1)


def part(name: str, manager: CacheManager) -> FastAPI:
    """An application that is mounted in another, with the same paths as its neighbours."""
    app = FastAPI(title=name)
    app.add_middleware(CacheMiddleware, cache=manager)

    @app.get("/x")
    @cached(300)
    async def x() -> str:
        return name

    return app


def by_path(manager: CacheManager) -> Starlette:
    names = ("one", "two")
    return Starlette(routes=[Mount(f"/{name}", app=part(name, manager)) for name in names])


def by_host(manager: CacheManager) -> Starlette:
    return Starlette(routes=[Host(name, app=part(name, manager)) for name in ("one", "two")])


@pytest.mark.parametrize(
    ("site", "one", "two"),
    [(by_path, ("/one/x", "a"), ("/two/x", "a")), (by_host, ("/x", "one"), ("/x", "two"))],
    ids=["by path", "by host"],
)
async def test_an_application_is_not_asked_for_what_its_neighbour_answers(
    site: Callable[[CacheManager], Starlette], one: tuple[str, str], two: tuple[str, str]
) -> None:
    """Both have the manager, and the same paths below what the router around them takes off."""
    machine = Machine()
    for (path, host), bypassed in ((two, 0), (one, 1)):
        manager = machine.manager()
        client = Client(site(manager))
        await client.get(path, [("host", host)])
        await seconds(2)
        assert manager.warm_up_health.bypassed == bypassed
        assert (await client.get(two[0], [("host", two[1])])).body == b'"two"'
        await manager.close()
        machine.tier.items = {LIST: machine.tier.items[LIST]}


async def test_counts_of_processes_are_added_up_once_a_minute() -> None:
    """While they run, and not only when they end; by a clock of each process's own."""
    machine = Machine()
    async with machine.process() as one, machine.process() as other:
        await settled()
        for process, paths in ((one, ["/a", "/b", "/b"]), (other, ["/b", "/c"])):
            for path in paths:
                await process.client.get(path)
        await seconds(30)
        assert read_list(machine) is None
        await seconds(50)

        assert read_list(machine) == {"/a": 1.0, "/b": 3.0, "/c": 1.0}
        assert machine.tier.items[LIST][1] - machine.clock() == LIFETIME
        await seconds(80)
        assert read_list(machine) == {"/a": 1.0, "/b": 3.0, "/c": 1.0}


@pytest.mark.parametrize("fails", ["reads", "writes"])
async def test_counts_that_cannot_be_told_are_told_later(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tier that does not answer may hold a list, which is not overwritten unread."""
    machine = Machine()
    await visited(machine, "/old")
    async with machine.process() as process:
        await seconds(1)
        await process.client.get("/new")
        name = {"reads": "get_many", "writes": "set_many"}[fails]

        async def failing(*_: Any) -> Any:
            raise OSError("no")

        with monkeypatch.context() as patch:
            patch.setattr(machine.tier, name, failing)
            await seconds(80)
        assert read_list(machine) == {"/old": 1.0}
        machine.clock.advance(2)
        await seconds(80)
        found = read_list(machine)

        assert found is not None
        assert found["/new"] == 1.0
        assert 0.99 < found["/old"] <= 1.0


@pytest.mark.parametrize(
    ("settings", "reads"),
    [
        ({"version": "another"}, True),
        ({"secret": b"another secret of 16 bytes"}, False),
        ({"namespace": "another"}, False),
    ],
    ids=["release", "secret", "namespace"],
)
async def test_who_reads_the_list(settings: dict[str, Any], reads: bool) -> None:
    """Any release of the application, and only those who can sign; a list in doubt is none."""
    machine = Machine()
    await visited(machine, "/a", secret=b"a secret of 16 bytes at least")
    given = {"secret": b"a secret of 16 bytes at least", **settings}
    namespace = given.pop("namespace", "test")
    manager = machine.manager(namespace=namespace, **given)
    origin = Origin()
    await Client(CacheMiddleware(origin, manager, rules=EVERYTHING)).get("/z")
    await seconds(2)

    assert [scope["path"] for scope in origin.scopes] == (["/z", "/a"] if reads else ["/z"])
    assert bool(manager.tier_stats()[1].unreadable) is not reads
    await manager.close()


async def test_without_a_lifespan_it_begins_with_the_first_request() -> None:
    """Apart from that: what is set around the request is not around what is asked for."""
    machine = Machine()
    await visited(machine, "/a")
    seen, read_in = [], []
    found = machine.tier.get_many

    async def get_many(names: Any) -> Any:
        if LIST in names:
            read_in.append(around.get())
        return await found(names)

    machine.tier.get_many = get_many  # type: ignore[method-assign]
    manager = machine.manager()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["path"], around.get()))
        await Origin().count(scope, receive, send)

    around.set("a request")
    await Client(CacheMiddleware(answer, manager, rules=[Rule("*", 300)])).get("/x")
    await seconds(2)

    assert seen == [("/x", "a request"), ("/a", "nothing")]
    assert read_in == ["nothing"]
    await manager.close()


async def test_what_it_asks_for_is_no_request_of_a_client() -> None:
    """Else what was asked for once would be asked for for ever."""
    machine = Machine()
    await visited(machine, "/a")
    for _ in range(3):
        async with machine.process():
            await seconds(3)

    assert read_list(machine) == {"/a": 1.0}


async def test_a_guarded_route_is_left_out() -> None:
    """Its guard needs a user; FastAPI's lifespan begins and ends the warm-up."""
    machine = Machine()
    runs = []

    def site() -> tuple[FastAPI, CacheManager]:
        manager = machine.manager()
        app = FastAPI()
        app.add_middleware(CacheMiddleware, cache=manager)

        @app.get("/guarded")
        @cached(300, guarded="shared")
        async def guarded() -> str:
            runs.append("/guarded")
            return "x"

        @app.get("/open")
        @cached(300)
        async def opened() -> str:
            runs.append("/open")
            return "x"

        return app, manager

    app, _ = site()
    async with Lifespan(app):
        await settled()
        for path in ("/guarded", "/open"):
            await Client(app).get(path)
        await seconds(2)
    runs.clear()
    app, manager = site()
    async with Lifespan(app):
        await seconds(2)
        assert (await manager.health()).warm == WarmUpHealth("done", asked=1, stored=1)

    assert runs == ["/open"]


async def test_over_a_server_the_next_process_has_them_in_memory(
    valkey: ValkeyServer, namespace: str
) -> None:
    """What lies in Redis is taken from there, and the application is not asked."""
    origin = Origin()

    def made() -> tuple[CacheManager, Client]:
        manager = CacheManager(redis_url=valkey.url, namespace=namespace, warm="top:9")
        return manager, Client(CacheMiddleware(origin, manager, rules=[Rule("*", 300)]))

    manager, client = made()
    await client.get("/a")
    await client.get("/a")
    await manager.engine.stack.settle()
    await manager.close()
    manager, client = made()
    await client.get("/b")
    async with asyncio.timeout(30):
        while (await manager.health()).warm.state != "done":  # noqa: ASYNC110  # of a real server
            await asyncio.sleep(0.01)

    assert (await manager.health()).warm == WarmUpHealth("done", asked=1, hits=1)
    assert (await client.get("/a")).detail == "l1"
    assert origin.calls == 2
    await manager.close()


# How it is asked for.


def test_it_is_a_setting_like_others() -> None:
    """Off unless it is asked for; by argument or environment; of the middleware, too."""
    environ = {"ASGI_MULTITIER_WARM": "top:7"}

    assert CacheConfig().warm_top == 0
    assert CacheConfig.resolve(environ=environ, dotenv=None).warm_top == 7
    assert CacheConfig.resolve(environ=environ, dotenv=None, warm=None).warm_top == 0
    assert CacheMiddleware(Origin(), warm="top:5").manager.config.warm_top == 5
    assert CacheMiddleware(Origin()).manager.config.warm_top == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda value: CacheConfig(warm=value),
        lambda value: CacheManager(redis_url=None, warm=value),
        lambda value: CacheMiddleware(Origin(), warm=value),
    ],
    ids=["config", "manager", "middleware"],
)
@pytest.mark.parametrize(
    "value", ["200", "top:0", "top:2001", "top:", "top:-1", "TOP:1", 200, True]
)
def test_what_is_no_warm_up(make: Callable[[Any], object], value: Any) -> None:
    """The message says what is one."""
    with pytest.raises(ConfigError, match=r"warm=.* expected None, or 'top:200'"):
        make(value)


def test_a_manager_and_its_middleware_cannot_both_say_it() -> None:
    """The message says where to write it."""
    with pytest.raises(ConfigError, match=r"None where .* write CacheManager\(warm='top:5'\)"):
        CacheMiddleware(Origin(), CacheManager(redis_url=None), warm="top:5")


def test_a_list_is_smaller_than_what_a_tier_takes() -> None:
    """Its bound is that of what is read."""
    assert CacheConfig().max_entry > MAX_BYTES
