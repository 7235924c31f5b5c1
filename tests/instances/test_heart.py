"""Instances that tell of themselves, over each place where a log may be."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from asgi_multitier import CacheManager
from asgi_multitier.coherence.beats import StoredBeat
from asgi_multitier.coherence.nearby.peers import Peers
from asgi_multitier.engine.engine import Engine
from asgi_multitier.entry import Born
from asgi_multitier.errors import BackendError, ConfigError
from asgi_multitier.events import Outcome
from asgi_multitier.instances import heart as hearts
from asgi_multitier.instances.fleet import Fleet
from asgi_multitier.instances.heart import Heart, codec_of, store_of
from asgi_multitier.instances.roster import Roster
from tests.patience import PATIENCE, until
from tests.servers import FaultProxy, ValkeyServer

Make = Callable[..., CacheManager]


@pytest.fixture(params=["redis", "sqlite"])
def make(request: pytest.FixtureRequest, namespace: str, tmp_path: Path) -> Make:
    """Makes instances of one application, over each kind of store."""
    if request.param == "sqlite":
        place: dict[str, Any] = {"sqlite": tmp_path / "cache.db"}
    else:
        url = request.getfixturevalue("valkey").url
        place = {"redis_url": url, "redis_timeout": PATIENCE}

    def made(**options: Any) -> CacheManager:
        return CacheManager(**{"namespace": namespace} | place | options)

    return made


@asynccontextmanager
async def running(*caches: CacheManager) -> AsyncIterator[None]:
    """All of them follow the log, and have told of themselves."""
    try:
        for cache in caches:
            await cache.start()
            await until(lambda cache=cache: cache.engine.log.trusted)  # type: ignore[misc]
            if cache.config.heartbeat and cache.mode == "on":
                await until(lambda cache=cache: shown(cache, cache))  # type: ignore[misc]
        yield
    finally:
        for cache in caches:
            await cache.close()


async def shown(by: CacheManager, cache: CacheManager) -> bool:
    """Whether a beat of a cache is stored."""
    store = store_of(by.engine)
    assert store is not None
    return node(cache).encode() in b"".join(one.data for one in await store.last(60))


def node(cache: CacheManager) -> str:
    """The id of an instance."""
    found: str = cache.engine.log.node  # type: ignore[attr-defined]
    return found


def states(fleet: Fleet) -> dict[str, str]:
    """The state of each instance by its id."""
    return {one.beat.node: one.state for one in fleet.instances}


async def test_all_are_shown_to_all(make: Make) -> None:
    """With what each is and counts, until they end."""
    one, two = make(version="1", instance_url="http://10.0.0.7/_cache"), make(version="1")
    async with running(one, two):
        await one.set("k", 1)
        await one.get_or_compute("k", lambda: 2)
        for cache in (one, two):
            fleet = await cache.instances()
            assert states(fleet) == {node(one): "up", node(two): "up"}
            assert [each.beat.node for each in fleet.instances if each.is_self] == [node(cache)]
            assert (fleet.complete, fleet.findings) == (True, ())
        [first] = [each.beat for each in (await one.instances()).instances if each.is_self]
        assert (first.pid, first.release, first.url) == (os.getpid(), "1", "http://10.0.0.7/_cache")
        assert (first.requests, first.hits, first.l1_entries) == (1, 1, 1)
        await two.close()

        assert states(await one.instances()) == {node(one): "up", node(two): "closed"}


async def test_who_has_seen_an_invalidation(make: Make) -> None:
    """Each that runs answers at once, long before its next beat."""
    one, two, three = make(), make(), make()
    async with running(one, two, three):
        assert await one.invalidate_tags("t")
        seen = await one.seen(wait=PATIENCE)
        assert (seen.by_all, seen.by, seen.of) == (True, 3, 3)
        assert two.engine.log.index.seq >= seen.position.seq - 1

        later = Born(seen.position.gen, seen.position.seq + 1000)
        ahead = await two.seen(later, 0.0)
        assert (ahead.by_all, ahead.by, ahead.of) == (False, 0, 3)


async def test_one_that_does_not_read_has_not_seen(make: Make) -> None:
    """It is counted, and the wait ends."""
    one, two = make(), make()
    async with running(one, two):
        for task in two.engine.log._tasks:  # type: ignore[attr-defined]
            task.cancel()
        assert await one.invalidate_tags("t")
        seen = await one.seen(wait=0.1)

        assert (seen.by, seen.of) == (1, 2)


async def test_a_change_is_told_at_once(make: Make) -> None:
    """That the mode changed, here: a beat is not due for seconds, and one off tells no more."""
    one, two = make(), make()
    async with running(one, two):
        two.mode = "off"
        await until(lambda: is_shown(one, two, "off"))
        two.mode = "on"
        await until(lambda: is_shown(one, two, "up"))


async def is_shown(by: CacheManager, cache: CacheManager, state: str) -> bool:
    """Whether one instance is shown to another in this state."""
    return states(await by.instances()).get(node(cache)) == state


async def test_without_heartbeat(make: Make) -> None:
    """It tells nothing, is not counted, and sees the others."""
    one, quiet = make(), make(heartbeat=False)
    async with running(one, quiet):
        assert states(await quiet.instances()) == {node(one): "up"}
        assert await quiet.invalidate_tags("t")
        seen = await quiet.seen(wait=PATIENCE)
        assert (seen.by, seen.of) == (1, 1)
        assert not await shown(one, quiet)


async def test_switched_off_from_the_start(make: Make) -> None:
    """Nothing is opened, and it is shown to itself alone."""
    cache = make(mode="off")
    fleet = await cache.instances()

    assert not cache.running
    assert [one.state for one in fleet.instances if one.is_self] == ["off"]
    await cache.close()


async def test_another_secret_is_found(make: Make) -> None:
    """As beats that cannot be read."""
    one, two = make(), make(secret=b"at least sixteen bytes")
    async with running(one, two):
        fleet = await one.instances()

        assert states(fleet) == {node(one): "up"}
        assert "secret" in {finding.kind for finding in fleet.findings}


async def test_a_log_of_this_process_alone() -> None:
    """It knows of itself, and all have seen."""
    async with CacheManager(redis_url=None, namespace=None) as cache:
        fleet, seen = await cache.instances(), await cache.seen()

    assert (fleet.source, len(fleet.instances), fleet.complete) == ("none", 1, True)
    assert seen.by_all


async def test_wait_is_checked() -> None:
    """As other times are."""
    async with CacheManager(redis_url=None) as cache:
        with pytest.raises(ConfigError, match="wait"):
            await cache.seen(wait=-1)


# Faults.


@pytest.mark.usefixtures("usual_redis_timeout")
async def test_a_server_that_hangs(
    proxy: FaultProxy, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """This process alone is shown, no call raises, and the end does not wait long."""
    cache = CacheManager(redis_url=proxy.url, namespace=namespace)
    await cache.start()
    await until(lambda: cache.engine.log.trusted)
    proxy.stall()
    fleet = await cache.instances()
    seen = await cache.seen(wait=0.1)
    await cache.close()

    assert (fleet.complete, len(fleet.instances)) == (False, 1)
    assert (seen.position, seen.by_all) == (Born("", 0), False)


class Store:
    """A store that fails, or tells the time of another clock."""

    source = "redis"

    def __init__(self, error: Exception | None = None, ahead: float = 0.0) -> None:
        self.error = error
        self.ahead = ahead
        self.added = 0

    async def add(self, data: bytes, mac: bytes) -> StoredBeat:
        self.added += 1
        if self.error is not None:
            raise self.error
        return StoredBeat((1, 0), hearts.time.time() + self.ahead, data, mac)


@pytest.fixture
async def heart(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Heart, Engine, Callable[[Store], None]]]:
    """A heart that beats when it is told to, and what sets its store."""
    async with make(heartbeat=False) as cache:
        await until(lambda: cache.engine.log.trusted)

        def stores(store: Store) -> None:
            monkeypatch.setattr(hearts, "store_of", lambda engine: store)

        yield Heart(cache), cache.engine, stores


@pytest.mark.parametrize("error", [BackendError("away"), ValueError("broken")])
async def test_a_beat_that_fails(
    heart: tuple[Heart, Engine, Callable[[Store], None]],
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is counted, and said once."""
    beating, engine, stores = heart
    stores(Store(error))
    for _ in range(3):
        await beating.beat()

    assert engine.events.failures["heartbeat"] == 3
    assert caplog.text.count("heartbeat not stored") == 1


async def test_the_log_has_said_it(
    heart: tuple[Heart, Engine, Callable[[Store], None]], caplog: pytest.LogCaptureFixture
) -> None:
    """That the server is away is not said twice."""
    beating, engine, stores = heart
    stores(Store(BackendError("away")))
    engine.index.distrust()
    await beating.beat()

    assert engine.events.failures["heartbeat"] == 1
    assert "heartbeat" not in caplog.text


CLOCKS = ((0.0, 0.0), (0.005, 0.0), (30.0, 30.0), (-30.0, -30.0))


@pytest.mark.parametrize(("ahead", "corrected"), CLOCKS)
async def test_a_clock_that_is_off(
    heart: tuple[Heart, Engine, Callable[[Store], None]], ahead: float, corrected: float
) -> None:
    """It is told, and corrected where records say when they were written."""
    beating, engine, stores = heart
    stores(Store(ahead=ahead))
    await beating.beat()

    assert beating.clock_offset == pytest.approx(ahead, abs=1.0)
    assert engine.log.clock_offset == pytest.approx(corrected, abs=1.0)  # type: ignore[attr-defined]
    assert (engine.log.clock_offset == 0.0) is (corrected == 0.0)  # type: ignore[attr-defined]


async def test_what_counts_as_a_hit(
    heart: tuple[Heart, Engine, Callable[[Store], None]],
) -> None:
    """All that is answered without a run of its own."""
    beating, engine, _ = heart
    tally = engine.events.tally("GET /")
    for outcome, times in ((Outcome.STALE, 2), (Outcome.COALESCED, 3), (Outcome.MISS, 5)):
        for _ in range(times):
            tally.count(outcome)
    tally.hit(1)

    told = beating.reading()
    assert (told.requests, told.hits, told.misses) == (11, 6, 5)


async def test_a_clock_that_was_not_compared_makes_none_silent(
    heart: tuple[Heart, Engine, Callable[[Store], None]],
) -> None:
    """The latest beat says what time it is at most."""
    beating, _, _ = heart
    an_hour_ago = time.time() - 3600
    roster = Roster(beating._cache, beating)
    other = msgspec.structs.replace(beating.reading(), node="other")
    told = codec_of(beating._cache).encode(other)
    roster._stored = [StoredBeat((1, 0), an_hour_ago, *told)]

    assert states(roster._fleet("redis"))["other"] == "up"
    beating._note(0.1, 0.0)
    assert "other" not in states(roster._fleet("redis"))  # silent for too long to be shown


@pytest.mark.parametrize(("ago", "uptime"), [(None, 0.0), (50.0, 50.0)])
async def test_how_long_it_has_run(
    heart: tuple[Heart, Engine, Callable[[Store], None]], ago: float | None, uptime: float
) -> None:
    """By a clock that nothing sets, once it has begun."""
    beating, _, _ = heart
    if ago is not None:
        beating._began = time.monotonic() - ago

    assert beating.reading().uptime == pytest.approx(uptime, abs=20)


async def test_it_begins_when_it_starts(make: Make) -> None:
    """What it says of its start is of that moment, by both clocks."""
    before = time.monotonic(), time.time()
    cache = make()
    async with running(cache):
        found = cache._heart._began, cache._heart._started

    assert before[0] <= found[0] <= time.monotonic()
    assert before[1] <= found[1] <= time.time()


SET_CLOCKS = (
    ("set back: its times stand still", [(0.1, 900.0), (0.3, 895.0)], 895.0),
    ("set ahead", [(0.1, 0.0), (0.3, 60.0)], 60.0),
    ("the fastest tells best", [(0.1, 0.0), (0.9, 0.4)], 0.0),
    ("a slow answer contradicts nothing", [(0.1, 0.0), (9.0, 4.5)], 0.0),
)


@pytest.mark.parametrize(
    ("trips", "offset"), [row[1:] for row in SET_CLOCKS], ids=[row[0] for row in SET_CLOCKS]
)
async def test_a_clock_that_is_set(
    heart: tuple[Heart, Engine, Callable[[Store], None]],
    trips: list[tuple[float, float]],
    offset: float,
) -> None:
    """What was known before is forgotten, as it would make all others seem silent."""
    beating, _, _ = heart
    for took, ahead in trips:
        beating._note(took, ahead)

    assert beating.clock_offset == offset


@pytest.mark.parametrize(("told", "beats"), [("on", 1), ("off", 0)])
async def test_switched_off_it_tells_so_once(
    heart: tuple[Heart, Engine, Callable[[Store], None]],
    monkeypatch: pytest.MonkeyPatch,
    told: str,
    beats: int,
) -> None:
    """And then nothing, however long it runs."""
    beating, _, stores = heart
    store, rounds = Store(), iter(range(3))
    stores(store)
    beating._cache.mode = "off"  # type: ignore[misc]
    beating._told = (told, "", True)

    async def due() -> None:
        if next(rounds, None) is None:
            raise asyncio.CancelledError

    monkeypatch.setattr(beating, "_until_due", due)
    with pytest.raises(asyncio.CancelledError):
        await beating._run()

    assert store.added == beats


async def test_what_is_not_written_yet_is_seen_by_none(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The position of an invalidation that is queued is not known."""
    async with make() as cache:
        await until(lambda: cache.engine.log.trusted)
        log = cache.engine.log
        queued = replace(log.stats(), queued=1)
        monkeypatch.setattr(log, "stats", lambda: queued)
        seen = await cache.seen(wait=PATIENCE)

    assert (seen.position, seen.by_all) == (Born("", 0), False)


async def test_before_the_log_is_known(make: Make) -> None:
    """There may be no server at all: nothing is asked of it."""
    cache = make(heartbeat=False)
    beating = Heart(cache)
    await beating.beat()

    assert cache.stats().failures == {}
    assert not await shown(cache, cache)
    await cache.close()


# Its task.

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


async def test_it_stands_in_no_request(make: Make) -> None:
    """The task has none of the variables of the caller that started the cache."""
    REQUEST.set("one")
    seen: list[str] = []
    cache = make()

    class Reading(Heart):
        async def beat(self, *, closing: bool = False) -> None:
            seen.append(REQUEST.get())
            await super().beat(closing=closing)

    cache._made_heart = Reading(cache)
    async with cache:
        await until(lambda: seen)

    assert seen[0] == "none"


async def test_a_flood_of_questions(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are answered together: two beats have a pause between them."""
    monkeypatch.setattr(hearts, "PAUSE", 1e9)
    one, two = make(), make()
    async with running(one, two):
        for _ in range(20):
            await one.seen(wait=0.0)
        store = store_of(one.engine)
        assert store is not None
        told = b"".join(each.data for each in await store.last(60))

        assert told.count(node(two).encode()) == 1


def test_a_second_event_loop_and_a_closed_cache(make: Make) -> None:
    """It begins again in each, and is a new start each time."""

    async def use(cache: CacheManager) -> str:
        await cache.start()
        await until(lambda: cache.engine.log.trusted)
        await until(lambda: shown(cache, cache))
        return node(cache)

    cache = make()
    first = asyncio.run(use(cache))
    second = asyncio.run(use(cache))

    async def end() -> dict[str, str]:
        await use(cache)
        await cache.close()
        async with make(heartbeat=False) as other:
            await until(lambda: other.engine.log.trusted)
            return states(await other.instances())

    assert first == second
    assert asyncio.run(end()) == {first: "closed"}


def test_a_forked_process_is_an_instance_of_its_own(valkey: ValkeyServer, namespace: str) -> None:
    """It tells its own number, also where the parent's cache ran."""
    cache = CacheManager(redis_url=valkey.url, namespace=namespace, redis_timeout=PATIENCE)

    async def use() -> list[int]:
        await cache.start()
        await until(lambda: cache.engine.log.trusted)
        await until(lambda: shown(cache, cache))
        fleet = await cache.instances()
        return [one.beat.pid for one in fleet.instances if one.is_self]

    assert asyncio.run(use()) == [os.getpid()]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            found = asyncio.run(use())
            os.write(writing, repr(found == [os.getpid()]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        assert told.read() == b"True"
    os.waitpid(child, 0)


async def test_workers_without_a_server(namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of one machine find each other over the file of their log."""
    monkeypatch.setattr(Peers, "_is_other", lambda self, name: name != self._name)
    one = CacheManager(redis_url=None, namespace=namespace)
    two = CacheManager(redis_url=None, namespace=namespace)
    async with one:
        assert (await one.instances()).source == "none"
        async with two:
            await until(lambda: is_shown(one, two, "up"))
            assert await two.invalidate_tags("t")
            assert (await two.seen(wait=PATIENCE)).by == 2
