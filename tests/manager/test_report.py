"""`manager.report()`: of this process, and of all workers of its machine."""

import asyncio
import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, Policy
from asgi_multitier.shadow import Answer, Observation, Report, Traits
from asgi_multitier.shadow.joined import Teller
from asgi_multitier.shadow.outcomes import WouldBe
from asgi_multitier.testing import FakeClock
from tests.patience import PATIENCE
from tests.support import EVERYTHING, Client, Origin


@pytest.fixture(autouse=True)
def own_machine(runtime: Path) -> Path:
    """No worker of another test is reached."""
    return runtime


def made(clock: FakeClock | None = None, **settings: Any) -> CacheManager:
    """A cache in memory."""
    given: dict[str, Any] = {} if clock is None else {"clock": clock}
    return CacheManager(redis_url=None, namespace="n", **given, **settings)


def observation(number: int, digest: int = 7, served: int | None = None) -> Observation:
    """A request; a hit if something would have been served."""
    return Observation(
        route="GET /prices/{id}",
        key="k",
        path="/prices/1",
        began=float(number),
        ended=number + 0.5,
        traits=Traits(),
        answer=Answer(200, digest, 10),
        would="miss" if served is None else "hit",
        lifetime=300.0,
        hit=0 if served is None else 1,
        served=None if served is None else Answer(200, served, 10),
        number=number,
    )


def observe(manager: CacheManager, first: int = 1) -> None:
    """A miss, a right hit, and a wrong one."""
    tally = manager.engine.events.tally("/prices/{id}")
    manager.observed(observation(first), tally)
    manager.observed(observation(first + 1, 7, served=7), tally)
    manager.observed(observation(first + 2, 8, served=7), tally)


async def test_it_tells_what_was_observed_and_for_how_long() -> None:
    """As a dataclass that JSON can express."""
    clock = FakeClock()
    async with made(clock, mode="shadow") as manager:
        observe(manager)
        clock.advance(60)
        report = await manager.report()

    assert (report.requests, report.hits, report.wrong) == (3, 2, 1)
    assert (report.namespace, report.scope, report.seconds) == ("n", "process", 60.0)
    assert report.observes
    assert report.workers == (Teller(pid=os.getpid()),)
    assert json.loads(json.dumps(report.as_json()))["routes"][0]["route"] == "GET /prices/{id}"


async def test_it_begins_again() -> None:
    """What was observed until then is in that report alone."""
    clock = FakeClock()
    async with made(clock) as manager:
        observe(manager)
        clock.advance(60)
        assert (await manager.report(clear=True)).requests == 3
        clock.advance(5)
        report = await manager.report()

    assert (report.requests, report.routes, report.seconds) == (0, (), 5.0)


async def test_rules_observe_from_their_first_request_on() -> None:
    """With `shadow=True`, while the mode is on."""
    async with made() as manager:
        observe(manager)
        assert not (await manager.report()).observes
        manager.ledger.ruled("GET /prices/{id}", Policy(60, shadow=True))
        assert (await manager.report(clear=True)).observes
        assert (await manager.report()).observes
        manager.mode = "off"
        assert not (await manager.report()).observes


async def test_a_scope_that_is_none_is_refused() -> None:
    """With what is allowed."""
    manager: Any = made()

    with pytest.raises(ConfigError, match=r"scope='fleet'.*'process' or 'host'"):
        await manager.report(scope="fleet")


def test_a_script_can_ask_too() -> None:
    """Blocking."""
    with made().sync as cache:
        assert cache.report(clear=True).routes == ()


@pytest.fixture
def two() -> list[CacheManager]:
    """Two workers of one machine."""
    return [made(mode="shadow"), made()]


async def reachable(*managers: CacheManager) -> None:
    """Let each serve an application, so that the others can ask it."""
    for manager in managers:
        await Client(CacheMiddleware(Origin(), manager, rules=EVERYTHING)).get("/")
        await manager.start()
        await manager.report(clear=True)


async def test_the_workers_of_a_machine_are_added(two: list[CacheManager]) -> None:
    """Whichever is asked; and they begin again together."""
    await reachable(*two)
    observe(two[0])
    observe(two[1], first=10)
    try:
        report = await two[1].report(scope="host")
        assert (report.requests, report.hits, report.wrong) == (6, 4, 2)
        assert report.workers == (
            Teller(worker=0, pid=os.getpid()),
            Teller(worker=1, pid=os.getpid()),
        )
        assert report.observes  # one of them does
        assert (await two[0].report(scope="host", clear=True)).requests == 6
        assert (await two[1].report(scope="host")).requests == 0
    finally:
        for manager in two:
            await manager.close()


@pytest.mark.parametrize("missing", ["failed", "unknown"])
async def test_a_worker_of_another_release_is_marked(two: list[CacheManager], missing: str) -> None:
    """It tells something else, or does not know the question; the figures are the others'."""
    await reachable(*two)
    observe(two[0])

    async def of_another_release(asked: object) -> object:
        return {"paragraphs": []}

    two[1].workers.answers("report", of_another_release)
    if missing == "unknown":
        del two[1].workers._answers["report"]
    try:
        report = await two[0].report(scope="host")
    finally:
        for manager in two:
            await manager.close()

    assert report.requests == 3
    assert not report.complete
    assert report.workers[1] == Teller(worker=1, missing=missing)


async def test_a_renewed_cache_has_observed_nothing() -> None:
    """What one test has shown is not in the report of the next."""
    async with made() as manager:
        observe(manager)
        manager.renew(manager._backends, patience=0)
        assert (await manager.report()).routes == ()


class Queue:
    """Has observed something that it has not told yet.

    Attributes:
        told_in: The threads in which it has told it.
    """

    def __init__(self, manager: CacheManager) -> None:
        self.told_in: list[int] = []
        self._manager = manager
        manager.on_report(self.tell)

    async def tell(self) -> int:
        """Tell it, but for two answers."""
        self.told_in.append(threading.get_ident())
        observe(self._manager)
        return 2


async def test_what_waits_to_be_told_is_in_the_report() -> None:
    """For as long as what has it lives."""
    async with made() as manager:
        queue = Queue(manager)
        report = await manager.report(clear=True)
        assert (report.requests, report.pending) == (3, 2)
        del queue
        report = await manager.report()
        assert (report.requests, report.pending) == (0, 0)


WOULD = [
    (observation(1), WouldBe.MISS),
    (observation(1, 7, served=7), WouldBe.HIT),
    (observation(1, 8, served=7), WouldBe.WRONG),
    (replace(observation(1), would="stale"), WouldBe.STALE),
    (replace(observation(1, 8, served=7), would="stale"), WouldBe.WRONG),
    (replace(observation(1), would="coalesced"), WouldBe.COALESCED),
    (replace(observation(1), would="hit"), WouldBe.HIT),  # not compared
    (replace(observation(1), would="no-rule"), WouldBe.PASS),
    (replace(observation(1), would="wrong"), WouldBe.PASS),  # no word of an observation
]


@pytest.mark.parametrize(("one", "word"), WOULD)
async def test_metrics_have_what_would_have_become_of_each(one: Observation, word: str) -> None:
    """By route, and once for each request."""
    async with made() as manager:
        manager.observed(one, manager.engine.events.tally("/prices/{id}"))
        lines = [line for line in manager.metrics.text().splitlines() if "shadow_total{" in line]

    assert lines == [f'asgi_multitier_shadow_total{{route="/prices/{{id}}",outcome="{word}"}} 1']


class Slow:
    """A snapshot of which the report takes until it is let go.

    Attributes:
        routes: None.
        made: How many have begun.
        begun: Set when one does.
        go: Lets them go.
    """

    def __init__(self, manager: Any) -> None:
        self.routes: tuple[()] = ()
        self.made = 0
        self.begun = asyncio.Event()
        self.go = threading.Event()
        self._loop = asyncio.get_running_loop()
        manager.ledger.snapshot = lambda: self

    def report(self) -> Report:
        """Wait, then find nothing."""
        self.made += 1
        self._loop.call_soon_threadsafe(self.begun.set)
        self.go.wait(20)
        return Report()


async def test_those_who_ask_at_the_same_time_share_one_search() -> None:
    """However many pages are open; who begins again gets what was found until then."""
    async with made() as manager:
        slow = Slow(manager)
        first = asyncio.create_task(manager.report())
        await slow.begun.wait()
        slow.begun.clear()
        second = asyncio.create_task(manager.report())
        clearing = asyncio.create_task(manager.report(clear=True))
        async with asyncio.timeout(5 * PATIENCE):
            await slow.begun.wait()
        first.cancel()  # the others get theirs all the same
        slow.go.set()
        await asyncio.gather(second, clearing)
        assert slow.made == 2
        await manager.report()
        assert slow.made == 3


async def test_who_asks_while_another_begins_again_gets_what_came_since() -> None:
    """Not what was found until then."""
    async with made() as manager:
        slow = Slow(manager)
        clearing = asyncio.create_task(manager.report(clear=True))
        await slow.begun.wait()
        slow.begun.clear()
        asking = asyncio.create_task(manager.report())
        async with asyncio.timeout(5 * PATIENCE):
            await slow.begun.wait()
        slow.go.set()
        await asyncio.gather(clearing, asking)


def test_a_search_whose_event_loop_has_stopped_is_begun_again() -> None:
    """Another loop has a task of its own."""
    manager, stopped = made(), asyncio.new_event_loop()

    async def begin() -> Slow:
        slow = Slow(manager)
        kept.append(asyncio.create_task(manager.report()))
        await slow.begun.wait()
        return slow

    async def ask() -> int:
        slow = Slow(manager)
        slow.go.set()
        await manager.report()
        return slow.made

    kept: list[asyncio.Task[Any]] = []
    left = stopped.run_until_complete(begin())
    assert asyncio.run(ask()) == 1
    left.go.set()
    for task in asyncio.all_tasks(stopped):
        task.cancel()
    stopped.run_until_complete(asyncio.gather(*kept, return_exceptions=True))
    stopped.run_until_complete(stopped.shutdown_default_executor())
    stopped.close()


async def test_it_is_made_where_the_cache_lives() -> None:
    """Whichever event loop asks: what is observed belongs to that of the cache."""
    async with made() as manager:
        queue = Queue(manager)
        report = await asyncio.to_thread(lambda: asyncio.run(manager.report()))

    assert report.requests == 3
    assert queue.told_in == [threading.get_ident()]
