"""The tier in a file: its bounds, and processes that come, fork and die."""

import asyncio
import os
import signal
import sqlite3
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier.errors import BackendError, ConfigError
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers import sqlite_worker
from asgi_multitier.tiers.base import Held
from asgi_multitier.tiers.sqlite import OVERHEAD, SQLiteTier

MINUTE = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


def value_of(held: Held | None) -> bytes | None:
    return held.value if held is not None else None


def rows(path: Path) -> int:
    """Rows in the file, over or not."""
    db = sqlite3.connect(path)
    try:
        return int(db.execute("SELECT count(*) FROM amt_entries_1").fetchone()[0])
    finally:
        db.close()


# Bounds.


async def test_oldest_written_leaves_first(path: Path) -> None:
    """Room for a new value is made by those written first; writing again is being new."""
    size = OVERHEAD + 1 + 100
    tier = SQLiteTier(path, max_bytes=3 * size, timeout=5)
    for key in "abca":
        await tier.set(key, bytes(100), MINUTE)
    await tier.set("d", bytes(100), MINUTE)

    assert [held is not None for held in await tier.get_many("abcd")] == [True, False, True, True]
    assert (await tier.statistics()).bytes == 3 * size
    await tier.close()


async def test_a_large_value_makes_room_for_itself(path: Path) -> None:
    """As many leave as are needed, and no more; other namespaces' stay."""
    size = OVERHEAD + 1 + 100
    other = SQLiteTier(path, namespace="other", timeout=5)
    await other.set("a", bytes(100), MINUTE)
    tier = SQLiteTier(path, max_bytes=3 * size, timeout=5)
    await tier.set_many({key: (bytes(100), MINUTE) for key in "abc"})
    await tier.set("d", bytes(150), MINUTE)

    assert [held is not None for held in await tier.get_many("abcd")] == [False, False, True, True]
    assert await other.get("a") is not None
    await tier.close()
    await other.close()


async def test_what_is_over_leaves_before_what_is_not(path: Path) -> None:
    """Expired values make room first, however new they are, whosever they are."""
    clock = FakeClock()
    size = OVERHEAD + 5 + 100
    tier = SQLiteTier(path, max_bytes=2 * size, clock=clock, timeout=5)
    other = SQLiteTier(path, namespace="other", clock=clock, timeout=5)
    await tier.set("first", bytes(100), MINUTE)
    await tier.set("brief", bytes(100), 1)
    await other.set("brief", bytes(100), 1)
    clock.advance(1)
    await tier.set("third", bytes(100), MINUTE)

    assert value_of(await tier.get("first")) == bytes(100)
    assert rows(path) == 2
    await tier.close()
    await other.close()


@pytest.mark.parametrize(("extra", "kept"), [(0, True), (1, False)], ids=["exact", "above"])
async def test_value_larger_than_the_tier_is_not_kept(path: Path, extra: int, kept: bool) -> None:
    """Nor is what its key held before, which it supersedes."""
    tier = SQLiteTier(path, max_bytes=1_000, timeout=5)
    await tier.set("a", b"old", MINUTE)
    value = bytes(1_000 - OVERHEAD - 1 + extra)
    await tier.set("a", value, MINUTE)

    assert value_of(await tier.get("a")) == (value if kept else None)
    await tier.close()


async def test_bytes_are_counted_across_all_changes(path: Path) -> None:
    """Setting, replacing, deleting, expiring and clearing leave the sum of what is there."""
    clock = FakeClock()
    tier = SQLiteTier(path, clock=clock, timeout=5)
    assert (await tier.statistics()).bytes == 0
    await tier.set_many({key: (bytes(50), MINUTE) for key in "abcd"})
    await tier.set("a", bytes(10), 1)
    await tier.delete(["b"])
    reading = await tier.statistics()

    assert (reading.entries, reading.bytes) == (3, 3 * (OVERHEAD + 1) + 110)
    clock.advance(2)
    await tier.set("c", b"", MINUTE)
    reading = await tier.statistics()
    assert (reading.entries, reading.bytes) == (2, 2 * (OVERHEAD + 1) + 50)
    await tier.clear()
    assert (await tier.statistics())[:2] == (0, 0)
    await tier.close()


async def test_one_write_removes_a_bounded_number_of_dead_rows(path: Path) -> None:
    """No single write pays for all that has expired, and the backlog shrinks."""
    clock = FakeClock()
    tier = SQLiteTier(path, clock=clock, timeout=5)
    await tier.set_many({f"dead-{i}": (b"", 1.0) for i in range(200)})
    clock.advance(2)
    await tier.set("a", b"", MINUTE)

    assert rows(path) == 200 - 65 + 1
    await tier.close()


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"path": ":memory:"}, "path"),
        ({"path": ""}, "path"),
        ({"path": "file:x?mode=memory"}, "path"),
        ({"path": "x", "max_bytes": 0}, "max_bytes"),
        ({"path": "x", "timeout": 0}, "timeout"),
    ],
    ids=["memory", "empty", "uri", "max-bytes", "timeout"],
)
def test_options_out_of_range_are_refused(options: dict[str, object], option: str) -> None:
    """The error names the option."""
    with pytest.raises(ConfigError, match=f"SQLiteTier: {option}="):
        SQLiteTier(**options)  # type: ignore[arg-type]


def test_nothing_happens_before_first_use(path: Path) -> None:
    """A constructor makes no file and no thread."""
    before = threading.active_count()
    tier = SQLiteTier(path)

    assert not path.exists()
    assert threading.active_count() == before
    assert repr(tier) == f"<SQLiteTier default in {path}, at most 268435456 bytes>"


# The file.


async def test_values_survive_a_restart(path: Path) -> None:
    """What was set is there when the file is opened again, with what is left of its time."""
    clock = FakeClock()
    tier = SQLiteTier(path, clock=clock, timeout=5)
    await tier.set("a", b"x", MINUTE)
    await tier.close()
    clock.advance(20)
    tier = SQLiteTier(path, clock=clock, timeout=5)

    assert await tier.get("a") == Held(b"x", 40)
    await tier.close()


async def test_file_is_its_owners_alone(path: Path) -> None:
    """Responses may be nobody else's business; the files beside it follow."""
    tier = SQLiteTier(path, timeout=5)
    await tier.set("a", b"x", MINUTE)

    assert {p.stat().st_mode & 0o777 for p in path.parent.iterdir()} == {0o600}
    await tier.close()


async def test_other_tables_in_the_file_are_left_alone(path: Path) -> None:
    """The file may be shared: only names of our own are touched, clearing included."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE entries (x)")
    db.execute("INSERT INTO entries VALUES (1)")
    db.commit()
    tier = SQLiteTier(path, timeout=5)
    await tier.set("a", b"x", MINUTE)
    await tier.clear()
    await tier.close()

    assert db.execute("SELECT x FROM entries").fetchall() == [(1,)]
    db.close()


async def test_directory_that_is_not_there_is_a_backend_error(tmp_path: Path) -> None:
    """And the tier works as soon as it is."""
    tier = SQLiteTier(tmp_path / "later" / "cache.db", timeout=5)
    with pytest.raises(BackendError, match="later"):
        await tier.set("a", b"x", MINUTE)
    (tmp_path / "later").mkdir()
    await tier.set("a", b"x", MINUTE)

    assert value_of(await tier.get("a")) == b"x"
    await tier.close()


async def test_writer_that_waits_in_vain_does_not_hold_up_readers(path: Path) -> None:
    """While another process holds the lock, writes fail in time, reads answer, and both recover."""
    tier = SQLiteTier(path, timeout=0.05)
    await tier.set("a", b"x", MINUTE)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    write = asyncio.create_task(tier.set("a", b"y", MINUTE))

    assert value_of(await tier.get("a")) == b"x"
    with pytest.raises(BackendError, match="locked"):
        await write
    db.execute("ROLLBACK")
    db.close()
    await tier.set("a", b"z", MINUTE)
    assert value_of(await tier.get("a")) == b"z"
    await tier.close()


async def test_failed_batch_leaves_nothing_behind(path: Path) -> None:
    """All of a batch is stored or none of it."""
    tier = SQLiteTier(path, timeout=5)
    await tier.set("a", b"old", MINUTE)
    with pytest.raises(BackendError):
        await tier.set_many({"a": (b"new", MINUTE), "b": ([], MINUTE)})  # type: ignore[dict-item]

    assert value_of(await tier.get("a")) == b"old"
    await tier.close()


async def test_tables_that_vanish_are_made_again(path: Path) -> None:
    """After any error the next call starts from a new connection, as after a restart."""
    tier = SQLiteTier(path, timeout=5)
    await tier.set("a", b"x", MINUTE)
    db = sqlite3.connect(path)
    db.execute("DROP TABLE amt_entries_1")
    db.close()
    with pytest.raises(BackendError, match="no such table"):
        await tier.set("a", b"y", MINUTE)
    await tier.set("a", b"z", MINUTE)

    assert value_of(await tier.get("a")) == b"z"
    await tier.close()


# Loops, threads and processes.


def test_another_event_loop_may_go_on(path: Path) -> None:
    """Threads and connections do not belong to a loop, closed or not in between."""
    tier = SQLiteTier(path, timeout=5)
    asyncio.run(tier.set("a", b"x", MINUTE))

    assert value_of(asyncio.run(tier.get("a"))) == b"x"
    asyncio.run(tier.close())
    assert value_of(asyncio.run(tier.get("a"))) == b"x"
    asyncio.run(tier.close())


async def test_close_ends_the_threads(path: Path) -> None:
    """Nothing is left behind, and what was asked before is done before."""
    before = set(threading.enumerate())
    tier = SQLiteTier(path, timeout=5)
    writes = [asyncio.create_task(tier.set(f"k{i}", b"x", MINUTE)) for i in range(10)]
    await asyncio.sleep(0)
    threads = set(threading.enumerate()) - before
    await tier.close()
    await asyncio.gather(*writes)
    for thread in threads:
        await asyncio.to_thread(thread.join, 10)

    assert {thread.is_alive() for thread in threads} == {False}
    assert rows(path) == 10


async def test_thread_that_takes_no_work_is_a_backend_error(path: Path) -> None:
    """As when another task closes the tier meanwhile."""
    tier = SQLiteTier(path, timeout=5)
    thread = tier._reader._replace(None)
    await thread.close()

    with pytest.raises(BackendError, match="closed"):
        await tier.get("a")


# Forks below run in a process that has other threads, which Python 3.12 warns of. The promise is
# that a child works all the same.
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def forked(work: Callable[[], Coroutine[Any, Any, bool]]) -> int:
    """The id of a child that does the work, and exits with 0 if it was true."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if asyncio.run(work()) else 2
        finally:
            os._exit(code)
    return child


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@forks
@pytest.mark.parametrize("close", [False, True], ids=["go-on", "close-first"])
def test_forked_child_leaves_the_parents_connection_alone(path: Path, close: bool) -> None:
    """Child and parent use the tier after a fork, each by connections of its own."""
    tier = SQLiteTier(path, timeout=5)
    asyncio.run(tier.set("a", b"parent", MINUTE))
    asyncio.run(tier.get("a"))

    async def child() -> bool:
        if close:
            await tier.close()
        seen = await tier.get("a")
        await tier.set("b", b"child", MINUTE)
        await tier.close()
        return value_of(seen) == b"parent" and len(sqlite_worker.PARENTS) == 2

    assert exit_code(forked(child)) == 0
    assert value_of(asyncio.run(tier.get("b"))) == b"child"
    asyncio.run(tier.set("c", b"parent", MINUTE))
    asyncio.run(tier.close())


@forks
def test_many_processes_may_be_first(path: Path) -> None:
    """Whoever makes the file, all of them can use it at once."""
    go, signalled = os.pipe()

    def worker(number: int) -> Callable[[], Coroutine[Any, Any, bool]]:
        async def work() -> bool:
            tier = SQLiteTier(path, timeout=20)
            os.close(signalled)
            os.read(go, 1)
            await asyncio.gather(tier.set(f"k{number}", b"x", MINUTE), tier.get("a"))
            await tier.close()
            return True

        return work

    children = [forked(worker(number)) for number in range(8)]
    os.close(signalled)
    os.close(go)

    assert [exit_code(child) for child in children] == [0] * 8
    assert rows(path) == 8


SIZE = 20_000


def made(number: int, turn: int) -> bytes:
    """A value that repeats who wrote it and when, so that a torn copy shows."""
    return struct.pack(">II", number, turn) * (SIZE // 8)


def is_whole(value: bytes) -> bool:
    return value == value[:8] * (SIZE // 8)


class Writers:
    """Processes that write until they are killed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self.alive: list[int] = []

    def start(self) -> None:
        """One more; returns when it has written something."""
        self._count += 1
        number = self._count
        ready, written = os.pipe()

        async def write() -> bool:
            tier = SQLiteTier(self._path, max_bytes=5 * SIZE, timeout=10)
            turn = 0
            while True:
                await tier.set_many({f"k{i}": (made(number, turn), MINUTE) for i in range(4)})
                if turn == 0:
                    os.write(written, b"!")
                turn += 1

        self.alive.append(forked(write))
        os.close(written)
        assert os.read(ready, 1) == b"!"
        os.close(ready)

    def kill_one(self) -> None:
        """Kill -9 the oldest, wherever in its work it is."""
        writer = self.alive.pop(0)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)


@pytest.fixture
def writers(path: Path) -> Iterator[Writers]:
    started = Writers(path)
    yield started
    while started.alive:
        started.kill_one()


async def check_whole(path: Path) -> None:
    """That the file opens, is sound, and holds whole values only, as many bytes as it counts."""
    tier = SQLiteTier(path, max_bytes=5 * SIZE, timeout=10)
    found = await tier.get_many([f"k{i}" for i in range(4)])
    assert all(is_whole(held.value) for held in found if held is not None)
    assert any(held is not None for held in found)
    await tier.set("own", b"x", MINUTE)
    await tier.close()
    db = sqlite3.connect(path, timeout=10)
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.execute("BEGIN")
        counted = db.execute("SELECT bytes FROM amt_usage_1").fetchall()
        assert counted == db.execute("SELECT sum(size) FROM amt_entries_1").fetchall()
    finally:
        db.close()


def kill_in_turn(path: Path, writers: Writers, times: int) -> None:
    """Kill writers while others write, and look at the file after each."""
    writers.start()
    for _ in range(times):
        writers.start()
        writers.kill_one()
        asyncio.run(check_whole(path))
    writers.kill_one()
    asyncio.run(check_whole(path))


@forks
def test_killed_writers_leave_the_file_whole(path: Path, writers: Writers) -> None:
    """kill -9 in the middle of writes: the file opens and no torn value is read."""
    kill_in_turn(path, writers, 5)


@forks
@pytest.mark.soak
def test_a_hundred_killed_writers_leave_the_file_whole(path: Path, writers: Writers) -> None:
    """The same, a hundred times."""
    kill_in_turn(path, writers, 100)


async def test_room_that_is_free_goes_back_to_the_disk(tmp_path: Path) -> None:
    """A file that was once full does not stay as large for good."""
    path = tmp_path / "cache.db"
    tier = SQLiteTier(path)
    for number in range(40):
        await tier.set_many({f"{number}:{n}": (b"x" * 4_000, 60.0) for n in range(100)})
    await tier.clear()
    for number in range(20):
        await tier.set_many({f"{number}": (b"x", 60.0)})
    await tier.close()
    with closing(sqlite3.connect(path)) as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
    assert pages < 600
