"""The sync facade: for endpoints in threads, and for scripts."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_overloads

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from asgi_multitier import CacheError, CacheManager, ConfigError
from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.engine.health import Health
from asgi_multitier.instances.fleet import Fleet
from asgi_multitier.instances.seen import Seen
from asgi_multitier.manager.sync import SyncCache
from asgi_multitier.routing import RouteTable
from asgi_multitier.shadow.joined import CacheReport
from asgi_multitier.testing import FakeClock
from tests.manager.support import SeenTier, in_memory, over


@dataclass
class User:
    id: int


@pytest.fixture
def script() -> Iterator[SyncCache]:
    """The facade of a manager that no application runs."""
    with CacheManager(redis_url=None).sync as cache:
        yield cache


def test_functions_run_in_threads_and_their_exceptions_are_their_own(script: SyncCache) -> None:
    """A function that blocks stops no other call; an async one is awaited."""
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


def test_validators_run_in_threads_too() -> None:
    """They may block, as the functions may; one that cannot be called is refused."""
    clock = FakeClock()
    threads: list[int] = []
    with in_memory(clock).sync as cache:

        def version(*_: object) -> int:
            threads.append(threading.get_ident())
            return 1

        @cache.cached("f:{n}", 60, validator=version)
        def function(n: int) -> int:
            return n

        def ask() -> None:
            cache.get_or_compute("a", int, 60, validator=version)
            cache.get_or_compute_typed("b", int, int, 60, validator=version)
            function(3)

        ask()
        clock.advance(61)
        ask()

        assert len(threads) == 6
        assert threading.get_ident() not in threads
        assert cache.stats().validations == 3
        with pytest.raises(ConfigError, match="validator=1"):
            cache.get_or_compute("c", int, 60, validator=1)  # type: ignore[arg-type]


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


async def test_in_a_thread_next_to_the_managers_loop_calls_go_there() -> None:
    """As in a sync endpoint: one cache, one loop."""
    async with CacheManager(redis_url=None) as cache:
        await cache.set("k", 1)

        assert await asyncio.to_thread(cache.sync.get, "k") == 1
        assert await asyncio.to_thread(cache.sync.get_or_compute, "c", lambda: 2) == 2
        assert await cache.get("c") == 2
        assert cache.sync is cache.sync
        cache.sync.close()
        assert cache.running


def test_closing_ends_the_thread_and_a_later_call_starts_it_again() -> None:
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
    monkeypatch.setattr("asgi_multitier.manager.threads._CHECK_INTERVAL", 0.01)
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
    """They are answered before the end or start the manager again; none is lost or hangs."""
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
    """Through any number of functions."""

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
    "answered_by": "for the middleware",
    "attached": "for the warm-up",
    "begin_warm_up": "for the middleware",
    "observed": "for the middleware",
    "on_close": "for the warm-up",
    "warm_up_health": "a part of `health`",
    "begin_invalidation": "for the middleware",
    "begin_with": "for the middleware",
    "config": "a part",
    "admin": "an application",
    "application": "for what instances tell each other",
    "explained_by": "for the middleware",
    "named": "for the operators' own application",
    "document": "for the start of an application",
    "drop_again": "for the middleware",
    "engine": "a part",
    "home": "a part",
    "invalidate_selectors": "for the middleware",
    "invalidation": "a part",
    "ledger": "a part",
    "loop": "a part",
    "name_after": "for the middleware",
    "of": "makes a manager",
    "on_mode_change": "for the middleware",
    "on_renewal": "for the middleware",
    "on_report": "for the middleware",
    "read_routes": "`routes` for an event loop",
    "renew": "for the pytest plugin",
    "serializer": "a part",
    "starting": "for the fixtures of tests",
    "spawn": "for the middleware",
    "streams": "an object of its own: `sync.run(manager.streams.publish(...))`",
    "sync": "itself",
    "tables": "for the middleware",
    "taken": "for decorators",
    "usual_origin": "for the operators' own application",
    "warm_part": "the same",
}
"""What of a manager's public names is no operation of its users, and why."""


def _public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


OPERATIONS = _public(CacheManager) - INNER.keys()
AWAITED = sorted(n for n in OPERATIONS if inspect.iscoroutinefunction(getattr(CacheManager, n)))
SAME = sorted(n for n in OPERATIONS if inspect.isfunction(getattr(CacheManager, n)))


def test_every_operation_of_the_manager_is_there() -> None:
    """None is forgotten: a new one gets its method, or a reason in the table."""
    assert _public(SyncCache) - {"run"} == OPERATIONS


def _shape(function: Any) -> list[tuple[Any, ...]]:
    """Its parameters; types as text, since each module has type variables of its own."""
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default, str(p.annotation)) for p in parameters][1:]


@pytest.mark.parametrize("name", SAME)
def test_each_operation_takes_and_returns_what_the_managers_own_does(name: str) -> None:
    """Parameters with kinds, defaults and types, of each overload; and it says whose it is."""
    theirs, ours = (getattr(kind, name) for kind in (CacheManager, SyncCache))
    forms = [(theirs, ours), *zip(get_overloads(theirs), get_overloads(ours), strict=True)]

    for awaited, blocking in forms:
        assert _shape(blocking) == _shape(awaited)
        if name != "cached":  # which makes a `SyncCachedFunction` here
            returned = [str(form.__annotations__["return"]) for form in (blocking, awaited)]
            assert returned[0] == returned[1]
        assert not inspect.iscoroutinefunction(inspect.unwrap(blocking))
    assert f"See `CacheManager.{name}`" in (inspect.getdoc(ours) or "")


@pytest.mark.parametrize("name", [name for name in AWAITED if _shape(getattr(SyncCache, name))])
def test_each_operation_passes_on_all_that_it_is_given(
    script: SyncCache, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Every argument, by a value of its own; a compute function is one that can be awaited."""
    signature = inspect.signature(getattr(script, name))
    args: list[object] = []
    options: dict[str, object] = {}
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            options[parameter.name] = object()
        else:
            args += [object() for _ in range(1 + (parameter.kind is parameter.VAR_POSITIONAL))]
    passed: list[inspect.BoundArguments] = []

    async def record(*args: object, **options: object) -> None:
        passed.append(signature.bind(*args, **options))

    monkeypatch.setattr(script._cache, name, record)
    getattr(script, name)(*args, **options)

    expected, (actual,) = signature.bind(*args, **options), passed
    if "compute" in expected.arguments:
        del expected.arguments["compute"]
        assert inspect.iscoroutinefunction(actual.arguments.pop("compute"))
    assert actual == expected


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("start", (), {}),
    ("set", ("a", 1, 60), {"tags": ["t"], "jitter": 0.0}),
    ("set_many", ({"b": 2, "u": {"id": 3}}, 60), {"tags": ["many"], "broadcast": True}),
    ("get", ("a",), {}),
    ("get", ("absent", 0), {}),
    ("get", ("",), {}),
    ("get_many", (["a", "b", "absent"],), {}),
    ("get_typed", ("u", User), {}),
    ("get_typed", ("absent", User, User(0)), {}),
    ("get_or_compute", ("c", lambda: 3, 60), {"tags": ["t"], "coalesce": False}),
    ("get_or_compute", ("c", lambda: 4), {}),
    ("get_or_compute", ("d", lambda: 1 / 0), {}),
    ("get_or_compute_typed", ("d", User, lambda: User(4), 60), {"tags": ["t"]}),
    ("get_or_compute_typed", ("d", User, lambda: User(5)), {}),
    ("update", ("a", 5, 60), {}),
    ("get", ("a",), {}),
    ("set_with_broadcast", ("b", 6, 60), {"tags": ["t"], "stale_if_error": 60}),
    ("invalidate", ("a",), {}),
    ("invalidate_many", (["u"],), {"settle": 1}),
    ("set", ("u", 1), {}),
    ("get_many", (["a", "b", "c", "d", "u"],), {}),
    ("invalidate_tags", ("t",), {"settle": 0}),
    ("get_many", (["b", "c", "d"],), {}),
    ("set_many", ({"x:1": 1, "x:2": 2, "y": 3},), {}),
    ("invalidate_pattern", ("x:*",), {"settle": 0}),
    ("invalidate_pattern", ("*" * 9,), {}),
    ("get_many", (["x:1", "x:2", "y"],), {}),
    ("invalidate_path", ("/x",), {"below": True}),
    ("invalidate_path", ("x",), {}),
    ("invalidate_route", ("user",), {"number": 1}),
    ("invalidate_route", ("of",), {"self": 1}),
    ("invalidate_route", ("none",), {}),
    ("clear", (), {}),
    ("get", ("y",), {}),
    ("warm", (["/x"],), {}),
    ("explain", ("GET", "/x"), {"reveal": True}),
    ("instances", (), {}),
    ("seen", (None, 0), {}),
    ("report", (), {"scope": "host", "clear": True}),
    ("health_check", (), {}),
    ("health", (), {}),
    ("close", (), {}),
]


def _known() -> CacheManager:
    """A manager that knows an application with a route."""
    app = FastAPI(title="Bookshop")
    app.get("/users/{number}", name="user")(lambda number: number)
    app.get("/of/{self}", name="of")(lambda self: self)
    clock = FakeClock()
    cache = in_memory(clock, log=LocalLog(clock))
    cache.name_after(app, RouteTable(app))
    return cache


def _told(value: Any) -> Any:
    """What two caches have in common: neither times, nor what tells one from the other."""
    if isinstance(value, Fleet | Seen):
        return type(value)
    if isinstance(value, CacheReport):
        return replace(value, seconds=0.0)
    if isinstance(value, Health):
        return replace(value, tiers=tuple(replace(tier, latency=None) for tier in value.tiers))
    return (type(value), str(value)) if isinstance(value, Exception) else value


def test_each_operation_does_what_the_managers_own_does() -> None:
    """One story told through both: the same results, errors and counters."""
    assert {name for name, _, _ in CALLS} == set(AWAITED)

    def story(called: Callable[..., Any]) -> list[Any]:
        results = []
        for name, args, options in CALLS:
            try:
                results.append(_told(called(name)(*args, **options)))
            except Exception as error:  # noqa: BLE001 - it is compared
                results.append(_told(error))
        return results

    theirs, ours = _known(), _known().sync
    with asyncio.Runner() as loop:
        expected = story(lambda name: lambda *a, **o: loop.run(getattr(theirs, name)(*a, **o)))
    assert story(partial(getattr, ours)) == expected
    assert sum(isinstance(result, tuple) for result in expected) == 6
    assert ours.stats() == theirs.stats()
    assert ours.tier_stats() == theirs.tier_stats()
    assert replace(ours.invalidation_stats(), gen="") == replace(
        theirs.invalidation_stats(), gen=""
    )


def test_what_needs_no_loop_is_the_managers_own(script: SyncCache) -> None:
    """Properties and readings."""
    script.start()
    assert script.running
    script.mode = "off"
    assert script.mode == script._cache.mode == "off"
    assert script.namespace == script._cache.namespace
    assert script.stats() == script._cache.stats()
    assert [tier.name for tier in script.tier_stats()] == ["memory"]
    assert script.invalidation_stats() == script._cache.invalidation_stats()
