"""The sync facade: for endpoints in threads, and for scripts."""

import asyncio
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from asgi_multitier import CacheError, CacheManager, ConfigError
from asgi_multitier.manager.sync import SyncCache
from asgi_multitier.testing import FakeClock
from tests.manager.support import SeenTier, over


@dataclass
class User:
    id: int


@pytest.fixture
def script() -> Iterator[SyncCache]:
    """The facade of a manager that nobody else runs."""
    with CacheManager(redis_url=None).sync as cache:
        yield cache


def test_a_script_uses_every_method(script: SyncCache) -> None:
    """Each means what the manager's own means."""
    script.set("a", 1, 60, tags=["t"])
    script.set_many({"b": 2, "u": {"id": 3}}, 60)
    assert script.get("a") == 1
    assert script.get("absent", 0) == 0
    assert script.get_many(["a", "b", "absent"]) == {"a": 1, "b": 2}
    assert script.get_typed("u", User) == User(3)
    assert script.get_or_compute("c", lambda: 3) == 3
    assert script.get_or_compute_typed("d", User, lambda: User(4)) == User(4)
    script.update("a", 5)
    assert script.get("a") == 5
    assert script.invalidate("a")
    assert script.get("a") is None
    script.set("a", 1, tags=["t"])
    assert script.invalidate_tags("t")
    assert script.invalidate_pattern("b*")
    assert script.get_many(["a", "b"]) == {}
    assert script.invalidate_path("/x", below=True)
    assert script.clear()
    assert script.get("c") is None
    assert script.health().healthy
    with pytest.raises(CacheError, match="no CacheMiddleware"):
        script.invalidate_route("name")


def test_functions_run_in_threads_and_their_exceptions_are_their_own(script: SyncCache) -> None:
    """A function that blocks stops nobody else; an async one is awaited."""
    error = LookupError("no")

    def failing() -> int:
        raise error

    async def awaited() -> int:
        return 2

    assert script.get_or_compute("t", threading.get_ident) != threading.get_ident()
    with pytest.raises(LookupError) as caught:
        script.get_or_compute("f", failing)
    assert caught.value is error
    value: Any = script.get_or_compute("a", awaited)
    assert value == 2


def test_time_outs_of_the_function_are_its_own(script: SyncCache) -> None:
    """They are not taken for the facade's own waiting."""

    def failing() -> int:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        script.get_or_compute("f", failing)


def test_function_that_asks_for_itself_is_told_so(script: SyncCache) -> None:
    """Through threads as well."""

    def itself() -> Any:
        return script.get_or_compute("k", itself)

    with pytest.raises(CacheError, match="asks for 'k'"):
        script.get_or_compute("k", itself)


def test_threads_share_one_run(script: SyncCache) -> None:
    """Coalescing holds for threads."""
    runs, both = [], threading.Barrier(2)
    gate = threading.Event()

    def slow() -> int:
        runs.append(1)
        gate.wait(10)
        return 1

    results: list[int] = []

    def ask() -> None:
        both.wait(10)
        results.append(script.get_or_compute("k", slow))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    flights = script._cache.engine.flights
    while not any(flight.waiting == 2 for flight in list(flights._flights.values())):
        pass
    gate.set()
    for thread in threads:
        thread.join(10)

    assert results == [1, 1]
    assert len(runs) == 1


async def test_where_a_loop_runs_it_refuses() -> None:
    """It would stop the loop; the manager's own method is there."""
    async with CacheManager(redis_url=None) as cache:
        with pytest.raises(CacheError, match="await the manager's own method"):
            cache.sync.get("k")


async def test_in_a_thread_beside_the_managers_loop_calls_go_there() -> None:
    """As in a sync endpoint: one cache, one loop."""
    async with CacheManager(redis_url=None) as cache:
        await cache.set("k", 1)

        assert await asyncio.to_thread(cache.sync.get, "k") == 1
        assert await asyncio.to_thread(cache.sync.get_or_compute, "c", lambda: 2) == 2
        assert await cache.get("c") == 2
        assert cache.sync is cache.sync
        cache.sync.close()
        assert cache.running


def test_closing_ends_the_thread_and_a_later_call_starts_anew() -> None:
    """Twice is no error; nothing is left behind."""
    clock = FakeClock()
    below = SeenTier(clock)
    cache = over(clock, below)
    before = threading.active_count()
    with cache.sync as sync:
        sync.set("k", 1)
        assert cache.running
    sync.close()

    assert not cache.running
    assert threading.active_count() == before
    assert below.calls["close"] == 1
    with cache.sync as sync:
        assert sync.get("k") == 1
    assert repr(sync).startswith("<SyncCache of <CacheManager")


def test_call_whose_loop_ends_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application was stopped in the middle of it."""
    monkeypatch.setattr("asgi_multitier.manager.threads._LOOK", 0.01)
    cache = CacheManager(redis_url=None)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(cache.start(), loop).result(10)

    async def never() -> None:
        loop.stop()
        await asyncio.Event().wait()

    with pytest.raises(CacheError, match="ended during the call"):
        cache.sync.run(never())
    thread.join(10)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_calls_while_another_thread_closes_are_answered() -> None:
    """They are served before the end or start it anew, and none is lost or hangs."""
    sync, errors = CacheManager(redis_url=None).sync, []

    def use(number: int) -> int:
        try:
            sync.set(f"k{number}", number)
            if number % 5 == 0:
                sync.close()
        except CacheError as error:
            errors.append(error)
        return number

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(use, range(100))) == list(range(100))

    assert errors == []
    sync.close()
    assert not sync.running


def test_a_call_that_comes_between_the_close_and_the_end_of_the_loop_is_answered() -> None:
    """The manager that it has started again is closed with the loop."""
    cache = CacheManager(redis_url=None)
    sync, late = cache.sync, []
    sync.start()
    close = cache.close

    async def closing() -> None:
        await close()
        if not late:
            late.append(asyncio.create_task(cache.set("k", 1)))

    cache.close = closing  # type: ignore[method-assign]
    sync.close()

    assert late[0].done()
    assert late[0].exception() is None
    assert not cache.running


def test_functions_nest_as_deep_as_they_like(script: SyncCache) -> None:
    """No pool that the outer ones hold while they wait for the inner ones."""

    def at(depth: int) -> int:
        if depth == 0:
            return 0
        return script.get_or_compute(f"at:{depth - 1}", lambda: at(depth - 1)) + 1

    assert script.get_or_compute("at:100", lambda: at(100)) == 100
    assert script.get("at:50") == 50


def test_several_threads_nest_at_once(script: SyncCache) -> None:
    """Each has threads of its own, and none of them is left."""
    script.start()
    before = threading.active_count()
    ready, results = threading.Barrier(8), []

    def nest(name: str, depth: int) -> int:
        if depth == 0:
            ready.wait(20)  # all of them are as deep as they go
            return 0
        return 1 + script.get_or_compute(f"{name}:{depth}", lambda: nest(name, depth - 1))

    threads = [
        threading.Thread(target=lambda name=str(i): results.append(nest(name, 12)))  # type: ignore[misc]
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert results == [12] * 8
    for thread in threading.enumerate():
        if thread.name == "asgi-multitier compute":
            thread.join(20)
    assert threading.active_count() == before


async def test_the_loops_own_pool_is_left_alone() -> None:
    """Its threads look up host names; functions that block take none of them."""
    gate = threading.Event()
    async with CacheManager(redis_url=None) as cache:
        loop = asyncio.get_running_loop()
        names: list[str] = []
        begun, ended = asyncio.Event(), asyncio.Event()

        def slow() -> int:
            names.append(threading.current_thread().name)
            loop.call_soon_threadsafe(begun.set)
            gate.wait(20)
            return 1

        loop.set_default_executor(only := ThreadPoolExecutor(1))

        def ask() -> None:
            cache.sync.get_or_compute("k", slow)
            loop.call_soon_threadsafe(ended.set)

        asked = threading.Thread(target=ask)
        asked.start()
        await begun.wait()
        assert await loop.run_in_executor(None, lambda: 7) == 7
        gate.set()
        await ended.wait()
        asked.join(20)
        assert names == ["asgi-multitier compute"]
        only.shutdown()


def test_a_function_that_asks_for_itself_through_another_is_told_so(script: SyncCache) -> None:
    """Whoever is asked on the way."""

    def one() -> Any:
        return script.get_or_compute("two", two)

    def two() -> Any:
        return script.get_or_compute("one", one)

    with pytest.raises(CacheError, match="asks for 'one'"):
        script.get_or_compute("one", one)


@pytest.mark.parametrize("error", [StopIteration(1), SystemExit(2), KeyboardInterrupt()], ids=repr)
def test_what_a_future_cannot_hold_ends_the_call_and_not_the_loop(
    script: SyncCache, error: BaseException
) -> None:
    """It is told as the cause."""

    def failing() -> int:
        raise error

    with pytest.raises(CacheError, match=type(error).__name__) as caught:
        script.get_or_compute("f", failing)
    assert caught.value.__cause__ is error
    assert script.get_or_compute("g", lambda: 1) == 1


def test_what_returns_an_awaitable_is_awaited(script: SyncCache) -> None:
    """Also where the function does not look async."""

    async def value() -> int:
        return 2

    found = script.get_or_compute("a", lambda: value())
    assert found == 2


async def test_in_endpoints_of_a_thread_pool() -> None:
    """Sync endpoints of FastAPI, each of which computes through another."""
    app = FastAPI()
    cache = CacheManager(redis_url=None)

    @app.get("/{depth}")
    def endpoint(depth: int) -> int:
        def at(depth: int) -> int:
            return (
                0
                if depth == 0
                else 1 + cache.sync.get_or_compute(f"{depth}", lambda: at(depth - 1))
            )

        return at(depth)

    async with cache, AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        replies = await asyncio.gather(*(client.get(f"/{depth}") for depth in range(0, 60, 3)))

    assert [reply.json() for reply in replies] == list(range(0, 60, 3))


def test_functions_are_decorated_as_async_ones_are(script: SyncCache) -> None:
    """Key, types, tags, `invalidate`: the same."""
    runs = []

    @script.cached("user:{number}", 60, tags=["users"])
    def user(number: int) -> User:
        runs.append(number)
        return User(number)

    assert [user(1), user(number=1), user(2)] == [User(1), User(1), User(2)]
    assert runs == [1, 2]
    assert user.key(1) == "user:1"
    assert repr(user) == "<SyncCachedFunction 'user:{number}'>"
    assert user.invalidate(1)
    assert user(1) == User(1)
    assert script.invalidate_tags("users")
    assert user(1) == User(1)
    assert runs == [1, 2, 1, 1]

    async def awaited() -> None: ...
    def generator() -> Iterator[int]:
        yield 1

    for wrong in (awaited, generator, len):
        with pytest.raises(ConfigError, match=r"a plain function|a function"):
            script.cached("k")(wrong)


INNER = {
    "begin_invalidation": "for the middleware",
    "beginning": "for the middleware",
    "config": "a part",
    "drop_again": "for the middleware",
    "engine": "a part",
    "invalidate_selectors": "for the middleware",
    "invalidation": "a part",
    "loop": "a part",
    "name_after": "for the middleware",
    "of": "makes a manager",
    "on_mode_change": "for the middleware",
    "serializer": "a part",
    "spawn": "for the middleware",
    "streams": "an object of its own: `sync.run(manager.streams.publish(...))`",
    "sync": "itself",
    "taken": "for decorators",
}
"""What of a manager's public names is no operation of its users, and why."""


def _operations(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_every_operation_of_the_manager_is_there() -> None:
    """None is forgotten: a new one gets its method, or a reason in the table."""
    assert _operations(CacheManager) - INNER.keys() == _operations(SyncCache) - {"run"}


SAME = sorted(
    name
    for name in _operations(CacheManager) - INNER.keys()
    if not isinstance(getattr(CacheManager, name), property)
)


@pytest.mark.parametrize("name", SAME)
def test_each_operation_takes_what_the_managers_own_takes(name: str) -> None:
    """Names, kinds and defaults of parameters; only functions are plain there."""
    theirs, ours = (inspect.signature(getattr(kind, name)) for kind in (CacheManager, SyncCache))

    def shape(signature: inspect.Signature) -> list[tuple[Any, ...]]:
        return [(p.name, p.kind, p.default) for p in signature.parameters.values()]

    assert shape(ours) == shape(theirs)


def test_each_operation_does_what_the_managers_own_does(script: SyncCache) -> None:
    """Those that the other tests do not call."""
    script.start()
    assert script.running
    script.mode = "off"
    assert script.mode == script._cache.mode == "off"
    script.mode = "on"
    assert script.namespace == script._cache.namespace
    script.set_with_broadcast("a", 1, tags=["t"])
    script.set_many({"b": 2, "c": 3})
    assert script.invalidate_many(["b", "c"], settle=1)
    script.set("b", 2)
    assert script.get_many(["a", "b", "c"]) == {"a": 1}
    for drop in (
        lambda: script.invalidate("a", settle=1),
        lambda: script.invalidate_tags("t", settle=1),
        lambda: script.invalidate_pattern("a*", settle=1),
        lambda: script.invalidate_path("/a", settle=1),
    ):
        assert drop()
    assert script.stats().total.requests == 3
    assert [tier.name for tier in script.tier_stats()] == ["memory"]
    assert script.invalidation_stats() == script._cache.invalidation_stats()
    assert script.health_check()
