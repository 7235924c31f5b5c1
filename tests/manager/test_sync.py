"""The sync facade: for endpoints in threads, and for scripts."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from asgi_multitier import CacheError, CacheManager
from asgi_multitier.sync import SyncCache
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
    monkeypatch.setattr("asgi_multitier.sync._LOOK", 0.01)
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
