"""One worker, then two, then a server that appears: what each step opens, tells and forgets."""

import asyncio
import logging
import os
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from asgi_multitier import BackendError, CacheManager, ConfigError
from asgi_multitier.coherence.nearby import NearLog
from asgi_multitier.coherence.nearby.peers import CHANGED, LOST, Peers
from asgi_multitier.coherence.sqlite import TableStore
from asgi_multitier.config.invalidation import InvalidationConfig
from asgi_multitier.redis import Link, StreamStore, connect
from asgi_multitier.selectors import Selector
from tests.patience import until
from tests.servers import ValkeyServer


@pytest.fixture
def strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Managers of this process hear each other as if each had a process of its own."""
    monkeypatch.setattr(Peers, "_is_other", lambda self, name: name != self._name)


def worker() -> CacheManager:
    """The cache of one worker."""
    return CacheManager(redis_url=None, namespace="shop", dotenv=None)


def files(runtime: Path) -> list[Path]:
    """All that lies in the private directories."""
    return [path for path in runtime.rglob("*") if not path.is_dir()]


async def test_one_worker_opens_no_file_and_starts_nothing(runtime: Path) -> None:
    """A socket is there, by which a second one would find it; that is all."""
    threads, tasks = threading.active_count(), asyncio.all_tasks()
    async with worker() as one:
        await one.set("a", 1, tags=["t"])
        assert await one.invalidate_tags("t") is True
        assert await one.get("a") is None
        assert [path.is_socket() for path in files(runtime)] == [True]
        assert threading.active_count() == threads
        # One task is left, which sleeps until its event loop ends.
        await until(lambda: len(asyncio.all_tasks() - tasks) == 1, 5)
        assert {task.get_name() for task in asyncio.all_tasks() - tasks} == {"asgi-multitier home"}
        assert one.invalidation_stats().trusted
    assert files(runtime) == []


@pytest.mark.usefixtures("strangers")
async def test_second_worker_makes_both_follow_one_log(runtime: Path) -> None:
    """What the first one held is dropped, and each hears the other from then on."""
    async with worker() as one:
        await one.set("a", 1)
        async with worker() as two:
            # The second one begins when the first one follows: nothing of before is used.
            assert await one.get("a") is None
            assert one.invalidation_stats().gen == two.invalidation_stats().gen
            for editor, other in ((one, two), (two, one)):
                await other.set("b", 1, tags=["t"])
                await editor.invalidate_tags("t")
                await until(lambda other=other: gone(other, "b"), 5)  # type: ignore[misc]


async def gone(cache: CacheManager, key: str) -> bool:
    return await cache.get(key) is None


@pytest.mark.usefixtures("strangers", "runtime")
async def test_what_was_told_alone_is_told_again() -> None:
    """A fill of the second one may have read what the first one changed before it had heard."""
    async with worker() as one:
        await one.invalidate_tags("early")
        async with worker() as two:
            await until(lambda: two.invalidation_stats().applied.get("tag", 0) > 0, 5)


@pytest.mark.usefixtures("strangers")
async def test_leftovers_of_killed_workers_are_taken_away(runtime: Path) -> None:
    """A socket that refuses is nobody's: its process has died."""
    async with worker():
        (place,) = (path.parent for path in files(runtime))
        dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        dead.bind(os.fspath(place / "0123.s"))
        dead.close()
        async with worker():
            assert not (place / "0123.s").exists()


@pytest.mark.usefixtures("strangers", "runtime")
async def test_edit_that_cannot_be_written_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a full disk the other worker drops what it holds."""

    async def full(*_: object, **__: object) -> None:
        raise BackendError("database or disk is full")

    async with worker() as one, worker() as two:
        await two.set("a", 1)
        with monkeypatch.context() as broken:
            broken.setattr(TableStore, "append", full)
            assert not await one.invalidate("a")
            assert one.invalidation_stats().send_errors == 1
            await until(lambda: gone(two, "a"), 5)
            await two.set("b", 1)
            assert await two.get("b") == 1


def size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.iterdir())


async def test_log_takes_little_room(tmp_path: Path) -> None:
    """What it takes is reserved soon, so that a disk which others fill later does not stop it."""
    table = TableStore(tmp_path / "log", "shop", 100_000, durable=False, max_bytes=64 * 1024)
    try:
        for number in range(1_000):
            await table.append(f"{number}", bytes(200), b"", after=0, timeout=20)
        assert size(tmp_path) < 400 * 1024
    finally:
        await table.close()


@pytest.mark.usefixtures("strangers")
async def test_workers_with_other_variables_meet(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of cron's and one of a shell: the second one looks where the first one lives."""
    (runtime / "t").mkdir(0o700)
    monkeypatch.setenv("TMPDIR", str(runtime / "t"))
    with monkeypatch.context() as cron:
        cron.delenv("XDG_RUNTIME_DIR")
        one = worker()
        await one.start()
    async with one, worker() as two:
        assert one.invalidation_stats().gen == two.invalidation_stats().gen
        await one.set("a", 1)
        await two.invalidate("a")
        await until(lambda: gone(one, "a"), 5)


@pytest.mark.usefixtures("strangers")
async def test_place_that_takes_no_socket_is_passed_over(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory of before, on a disk that has become read-only or full."""
    (runtime / "t").mkdir(0o700)
    monkeypatch.setenv("TMPDIR", str(runtime / "t"))
    bind = Peers._bind_in

    def read_only(peers: Peers, directory: Path) -> None:
        if directory.parent == runtime / "asgi-multitier":
            raise OSError("Read-only file system")
        bind(peers, directory)

    monkeypatch.setattr(Peers, "_bind_in", read_only)
    async with worker() as one, worker() as two:
        assert one.invalidation_stats().gen == two.invalidation_stats().gen


@pytest.mark.usefixtures("runtime")
async def test_program_in_memory_is_told_the_applications_of_the_machine() -> None:
    """It has neither name nor values, so what it drops is meant for one of them."""
    async with worker(), CacheManager(redis_url=None, dotenv=None) as program:
        with pytest.raises(ConfigError, match="seen there are: shop"):
            await program.invalidate_tags("t")


@pytest.fixture(params=["link", "mode", "file"])
def unsafe(request: pytest.FixtureRequest, runtime: Path, tmp_path: Path) -> Path:
    """A place that others may have prepared."""
    place = runtime / "asgi-multitier"
    if request.param == "link":
        place.symlink_to(tmp_path)
    elif request.param == "file":
        place.write_text("")
    else:
        place.mkdir(0o755)
        place.chmod(0o755)
    return place


@pytest.mark.usefixtures("unsafe")
async def test_directory_that_others_may_write_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """One line says what it means; the worker goes on alone."""
    monkeypatch.setattr("asgi_multitier.coherence.nearby.directory._TEMPORARY", "relative")
    monkeypatch.delenv("TMPDIR", raising=False)
    cache = worker()
    for _ in range(2):
        async with cache:
            await cache.set("a", 1)
            assert await cache.get("a") == 1
    warnings = [line for line in caplog.records if line.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "do not receive each other" in warnings[0].getMessage()
    assert os.listdir(tmp_path) == []


class Quiet:
    """Listens to a log, and does nothing."""

    def dropped(self, selectors: object) -> None: ...

    def updated(self, updates: object, born: object) -> None: ...

    def flushed(self) -> None: ...


def looking(link: Link, namespace: str) -> NearLog:
    """A worker's log whose server is yet to appear."""
    config = InvalidationConfig(channel="log", maxlen=1000)
    store = StreamStore(link, namespace, config, flush_on_failover=True, clock=time.monotonic)
    return NearLog(namespace=namespace, far=store)


@pytest.mark.usefixtures("strangers", "runtime")
async def test_server_that_appears_is_followed_by_all(namespace: str) -> None:
    """Nothing that was told before is lost on the way."""
    server = ValkeyServer()
    links = [connect(server.url) for _ in range(2)]
    logs = [looking(link, namespace) for link in links]
    try:
        for log in logs:
            await log.start(Quiet())
        assert logs[0].index.gen == logs[1].index.gen != ""
        assert await logs[0].commit(logs[0].begin([Selector("tag", "near")])) is not None
        near = logs[0].index.gen
        server.start()
        await until(lambda: all(log.trusted and log.index.gen != near for log in logs), 20)
        assert logs[0].index.gen == logs[1].index.gen
        assert await logs[1].commit(logs[1].begin([Selector("tag", "far")])) is not None
        position = logs[1].index.born()
        assert await logs[0].reached(position, 5)
    finally:
        for log in logs:
            await log.close()
        for link in links:
            await link.close()
        server.close()


@pytest.mark.usefixtures("strangers")
async def test_worker_whose_directory_was_taken_away_is_found_again(runtime: Path) -> None:
    """Who comes after that finds nobody; the first one looks, and joins."""
    async with worker() as one:
        await one.set("a", 1)
        shutil.rmtree(runtime / "asgi-multitier")
        async with worker() as two:
            await until(lambda: one.invalidation_stats().gen == two.invalidation_stats().gen, 10)
            await one.set("a", 1)
            await two.invalidate("a")
            await until(lambda: gone(one, "a"), 5)


@pytest.mark.usefixtures("runtime")
async def test_datagram_that_matters_is_sent_again_to_a_full_queue(namespace: str) -> None:
    """One who was stopped hears it when it goes on."""
    heard: list[bytes] = []
    one, other = (
        Peers(namespace, lambda *_: None),
        Peers(namespace, lambda what, _: heard.append(what)),
    )
    other._is_other = one._is_other = lambda name: True  # type: ignore[method-assign]
    one.open()
    other.open()
    loop = asyncio.get_running_loop()
    assert other._socket is not None
    loop.remove_reader(other._socket.fileno())
    while other._name not in one._full:
        one.send(other._name, CHANGED)
    one.broadcast_until_taken(LOST)
    loop.add_reader(other._socket.fileno(), other._ready)
    await until(lambda: LOST in heard, 5)
    one.close()
    other.close()
