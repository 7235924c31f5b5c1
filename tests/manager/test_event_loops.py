"""One cache, several event loops at once: threads with a loop each, test clients, servers."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fakeredis import FakeServer
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from asgi_multitier.errors import BackendError
from asgi_multitier.manager import home as homes
from tests.patience import wait_for
from tests.servers import ValkeyServer

THREADS = 4
ROUNDS = 8


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.begin(work).result(30)

    def end(self) -> None:
        """End it as `asyncio.run` does: what still runs is cancelled."""
        if self.loop.is_closed():
            return
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _cancel_all(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def loops() -> Iterator[Callable[[], Loop]]:
    made: list[Loop] = []

    def make() -> Loop:
        made.append(Loop())
        return made[-1]

    yield make
    for loop in made:
        loop.end()


class Shop:
    """Prices that are read and edited, and values next to them."""

    def __init__(self, manager: CacheManager) -> None:
        self.manager = manager
        self.prices: dict[str, int] = {}
        app = FastAPI()

        @app.get("/prices/{name}")
        @cached(60, tags=["price:{name}"])
        async def read(name: str) -> int:
            await asyncio.sleep(0)
            return self.prices.get(name, 0)

        @app.put("/prices/{name}")
        @invalidates(tags=["price:{name}"])
        async def edit(name: str, value: int) -> int:
            self.prices[name] = value
            return value

        @app.get("/double/{name}")
        async def double(name: str, request: Request) -> int:
            async def compute() -> int:
                await asyncio.sleep(0)
                return 2 * self.prices.get(name, 0)

            cache: CacheManager = request.state.cache
            return await cache.get_or_compute(f"double:{name}", compute, tags=[f"price:{name}"])

        self.app = CacheMiddleware(app, manager)


def _manager(kind: str, server: ValkeyServer, namespace: str) -> CacheManager:
    if kind == "Redis":
        return CacheManager(redis_url=server.url, namespace=namespace)
    if kind == "fakeredis":
        return CacheManager(redis=FakeServer(), namespace=namespace)
    return CacheManager(redis_url=None, namespace=namespace)


KINDS = pytest.mark.parametrize("kind", ["Redis", "fakeredis", "memory"])


def _edits(client: Any, name: str) -> list[str]:
    """Edit a price of one's own again and again; what was read and is not what was written."""
    wrong = []
    for value in range(1, ROUNDS + 1):
        if client.put(f"/prices/{name}", params={"value": value}).status_code != 200:
            wrong.append(f"put {value}")
        for path in ("prices", "prices", "double", "double"):
            got = client.get(f"/{path}/{name}").json()
            if got != (2 * value if path == "double" else value):
                wrong.append(f"{path}: {got} instead of {value}")
        client.get("/prices/shared")
    return wrong


# A loop that ends with its request may end before the first step of what it had just begun.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@KINDS
@pytest.mark.parametrize("entered", [False, True], ids=["a loop a request", "a loop a client"])
def test_test_clients_in_threads_are_answered_and_right(
    kind: str, entered: bool, valkey: ValkeyServer, namespace: str
) -> None:
    """Each call in an event loop of its own, or each client; they end in any order."""
    shop = Shop(_manager(kind, valkey, namespace))

    def play(number: int) -> list[str]:
        client = TestClient(shop.app)
        if not entered:
            return _edits(client, f"p{number}")
        with client:
            return _edits(client, f"p{number}")

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(play, range(THREADS), timeout=50))

    assert results == [[]] * THREADS


@KINDS
def test_an_edit_in_one_loop_is_known_in_all(
    kind: str, valkey: ValkeyServer, namespace: str, loops: Callable[[], Loop]
) -> None:
    """Whichever loop the cache lives in, and whichever ends first."""
    manager = _manager(kind, valkey, namespace)
    shop = Shop(manager)
    four = [loops() for _ in range(THREADS)]

    async def ask(method: str, **params: Any) -> Any:
        transport = httpx.ASGITransport(shop.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            reply = await client.request(method, "/prices/1", params=params)
            return reply.json(), reply.headers["cache-status"]

    value = 0
    left = list(four)
    while left:
        for editor in left:
            value += 1
            assert editor.run(ask("PUT", value=value))[0] == value
            assert [loop.run(ask("GET"))[0] for loop in left] == [value] * len(left)
            assert [loop.run(ask("GET"))[0] for loop in left] == [value] * len(left)
        home = next(loop for loop in left if loop.loop is manager.loop)
        assert "hit" in home.run(ask("GET"))[1]
        if len(left) > 1:
            other = next(loop for loop in left if loop is not home)
            assert "fwd=bypass; detail=event-loop" in other.run(ask("GET"))[1]
        home.run(manager.close()) if len(left) % 2 else None
        home.end()
        left.remove(home)


@KINDS
def test_values_are_had_and_dropped_from_every_loop(
    kind: str, valkey: ValkeyServer, namespace: str, loops: Callable[[], Loop]
) -> None:
    """Stored in one, found in the others; computed where it was asked for; once for all."""
    manager = _manager(kind, valkey, namespace)
    one, two = loops(), loops()
    one.run(manager.start())
    runs: list[Any] = []
    let_go = asyncio.Event()

    async def compute() -> str:
        await let_go.wait()
        runs.append(asyncio.get_running_loop())
        return "computed"

    two.run(manager.set("k", "v", tags=["t"]))
    assert [loop.run(manager.get("k")) for loop in (one, two)] == ["v", "v"]
    assert two.run(manager.get_many(["k", "none"])) == {"k": "v"}
    assert two.run(manager.invalidate_tags("t"))
    assert [loop.run(manager.get("k")) for loop in (one, two)] == [None, None]
    asked = [two.begin(manager.get_or_compute("c", compute)) for _ in range(9)]
    flights = manager.engine.flights
    wait_for(lambda: sum(flight.waiting for flight in list(flights._flights.values())) >= 8)
    two.loop.call_soon_threadsafe(let_go.set)
    assert {future.result(10) for future in asked} == {"computed"}
    assert runs == [two.loop]
    assert one.run(manager.get_or_compute("c", compute)) == "computed"
    assert len(runs) == 1
    assert two.run(manager.health()).healthy
    assert two.run(manager.clear())
    assert one.run(manager.get("c")) is None
    with pytest.raises(ZeroDivisionError):
        two.run(manager.get_or_compute("e", lambda: 1 // 0))

    async def version() -> int:
        runs.append(asyncio.get_running_loop())
        return 1

    runs.clear()
    two.run(manager.get_or_compute("v", lambda: 1, validator=version))
    assert runs == [two.loop]
    two.run(manager.close())
    assert manager.loop is one.loop
    one.run(manager.set("k", "again"))
    one.run(manager.close())
    assert manager.loop is None
    assert two.run(manager.get("other")) is None
    assert manager.loop is two.loop
    two.run(manager.close())


@KINDS
def test_a_home_that_ends_in_the_middle_is_left(
    kind: str, valkey: ValkeyServer, namespace: str, loops: Callable[[], Loop]
) -> None:
    """Calls that it was to answer are answered all the same, in the loop that asks."""
    manager = _manager(kind, valkey, namespace)
    one, two = loops(), loops()
    one.run(manager.start())
    begun, release = threading.Event(), threading.Event()

    async def wait_at_home() -> str:
        begun.set()
        await asyncio.to_thread(release.wait, 10)
        return "one"

    asked = one.begin(manager.get_or_compute("c", wait_at_home))
    assert begun.wait(10)
    joined = two.begin(manager.get_or_compute("c", _two))
    try:
        one.end()
    finally:
        release.set()

    assert joined.result(10) == "two"
    assert asked.done()
    assert manager.loop is two.loop
    two.run(manager.close())


async def _two() -> str:
    return "two"


def test_a_blocked_home_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch, loops: Callable[[], Loop], namespace: str
) -> None:
    """As where an async test calls a test client: the answer is the application's own."""
    monkeypatch.setattr(homes, "_BEGIN_TIMEOUT", 0.05)
    manager = CacheManager(redis_url=None, namespace=namespace)
    shop = Shop(manager)
    shop.prices["1"] = 10
    one = loops()
    one.run(manager.start())
    free, blocked = threading.Event(), threading.Event()

    async def block() -> Any:
        await manager.set("k", "old", tags=["price:1"])
        blocked.set()
        free.wait(30)
        for _ in range(9):
            await asyncio.sleep(0)
        return await manager.get("k")

    held = one.begin(block())
    assert blocked.wait(10)
    client = TestClient(shop.app)
    assert client.get("/prices/1").json() == 10
    assert client.put("/prices/1?value=20").status_code == 200
    assert client.get("/double/1").json() == 40
    with pytest.raises(BackendError, match="blocked"):
        asyncio.run(manager.set("x", "y"))
    free.set()

    # What was told meanwhile is done as soon as that loop turns again.
    assert held.result(10) is None
    one.run(manager.close())


def test_a_facade_makes_room_for_a_server(
    loops: Callable[[], Loop], valkey: ValkeyServer, namespace: str
) -> None:
    """A script's first call must not keep the cache from the application that starts later."""
    manager = CacheManager(redis_url=valkey.url, namespace=namespace)
    manager.sync.set("k", "v")
    server = loops()
    server.run(manager.start())

    assert manager.loop is server.loop
    assert server.run(manager.get("k")) == "v"
    assert manager.sync.get("k") == "v"
    manager.sync.close()
    assert manager.loop is server.loop
    server.run(manager.close())


def test_threads_that_make_the_cache_at_once_make_one(namespace: str) -> None:
    """Two engines would not apply each other's invalidations."""
    manager = CacheManager(redis_url=None, namespace=namespace)
    made = manager._assembled
    lock = manager._making = _Counting()

    def slowly() -> Any:
        for _ in range(8):
            assert lock.asked.acquire(timeout=60), "all came before the first was done"
        return made()

    manager._assembled = slowly  # type: ignore[method-assign]
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: id(manager.engine), range(8)))

    assert len(set(engines)) == 1


class _Counting:
    """A lock that tells how many have asked for it."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self.asked.release()
        self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()
