"""The invalidation log in a file: what one process does, the others on the machine follow."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from asgi_multitier import BackendError, CacheManager, ConfigError
from asgi_multitier.coherence import outbox
from asgi_multitier.coherence import sqlite as sqlite_log
from asgi_multitier.coherence.log import Update
from asgi_multitier.coherence.shared import cancel_all
from asgi_multitier.coherence.sqlite import SUFFIX, SQLiteLog
from asgi_multitier.entry import Born
from asgi_multitier.selectors import Selector
from asgi_multitier.testing import FakeClock, value_entry
from tests.figures import Figure, seconds
from tests.patience import until
from tests.support import at_once, pass_time

KEY = Selector("key", "k")


USUAL_COMMIT = outbox.COMMIT


@pytest.fixture(autouse=True)
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit may take long: what did not end in time is sent again, as a second record."""
    monkeypatch.setattr(outbox, "COMMIT", 10.0)


@pytest.fixture
def usual_commit(slow_disk: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit fails soon, where that is what a test is about."""
    monkeypatch.setattr(outbox, "COMMIT", USUAL_COMMIT)


class Heard:
    """A listener that notes what it is told."""

    def __init__(self) -> None:
        self.selectors: list[Selector] = []
        self.updates: list[Update] = []
        self.flushes = 0

    def dropped(self, selectors: Sequence[Selector]) -> None:
        self.selectors += selectors

    def updated(self, updates: Sequence[Update], born: Born) -> None:
        self.updates += updates

    def flushed(self) -> None:
        self.flushes += 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the entries' file would be."""
    return tmp_path / "cache.db"


@asynccontextmanager
async def following(
    path: Path, count: int = 2, **options: Any
) -> AsyncIterator[list[tuple[SQLiteLog, Heard]]]:
    """So many nodes on one file."""
    nodes = [(SQLiteLog(path, **options), Heard()) for _ in range(count)]
    try:
        for log, heard in nodes:
            await log.start(heard)
        yield nodes
    finally:
        for log, _ in nodes:
            await log.close()


async def deafen(log: SQLiteLog) -> None:
    """It reads no more, and does not know it."""
    await cancel_all(*log._tasks)


def execute(path: Path, statement: str, *values: object) -> None:
    """Change the file behind everybody's back."""
    db = sqlite3.connect(str(path) + SUFFIX)
    with db:
        db.execute(statement, values)
    db.close()


async def test_record_reaches_every_node(path: Path) -> None:
    """In order, with what rides along; the writer's own is not news to it."""
    async with following(path, 3) as ((one, own), (two, heard), (_, third)):
        value = Update("v", b"bytes", 60.0, ("t",))
        position = await one.commit(one.begin([KEY, Selector("tag", "x")], [value]))

        assert position is not None
        assert await two.reached(position, 2)
        assert heard.selectors == [KEY, Selector("tag", "x"), Selector("key", "v")]
        assert heard.updates == [value]
        assert own.selectors == []
        await until(lambda: bool(third.updates))
        assert await one.reached(position, 2)
        stats = one.stats()
        assert (stats.sent, stats.echoed, stats.queued) == (1, 1, 0)


async def test_entry_born_before_the_record_is_invalid_everywhere(path: Path) -> None:
    """And one born after it is not."""
    async with following(path) as ((one, _), (two, _)):
        old = value_entry("k")
        old = replace(old, born=two.index.born())
        assert two.index.permits(old)
        position = await one.commit(one.begin([KEY]))
        assert position is not None
        assert await two.reached(position, 2)

        assert not two.index.permits(old)
        assert two.index.permits(replace(old, born=two.index.born()))


async def test_late_node_knows_what_the_file_still_holds(path: Path) -> None:
    """What was dropped before it started stays dropped for entries born before."""
    async with following(path, 1) as ((one, _),):
        born = one.index.born()
        position = await one.commit(one.begin([KEY]))
        assert position is not None
        async with following(path, 1) as ((two, _),):
            assert await two.reached(position, 2)
            assert not two.index.permits(replace(value_entry("k"), born=replace(born, fence=-1)))


async def test_history_survives_restarts(path: Path) -> None:
    """The generation goes on: entries of the file stay valid over a deploy."""
    async with following(path, 1) as ((one, _),):
        gen = one.index.gen
        await one.commit(one.begin([KEY]))
    async with following(path, 1) as ((two, _),):
        await until(lambda: two.index.seq >= 1)

        assert two.index.gen == gen


async def test_trimmed_history_is_noticed(path: Path) -> None:
    """A node that fell behind further than the log reaches drops everything."""
    async with following(path, 1, maxlen=100) as ((one, _),):
        late = SQLiteLog(path)
        heard = Heard()
        await late.start(heard)
        await deafen(late)
        for _ in range(120):
            await one.commit(one.begin([KEY]))
        flushes = heard.flushes
        await late.start(heard)
        await until(lambda: late.index.seq >= 120)

        assert heard.flushes == flushes + 1
        assert late.stats().gaps == 1
        await late.close()


@pytest.mark.no_cover  # it repeats what others cover
async def test_the_log_is_bounded_by_bytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large records: the file stays small, and who follows hears all of them."""
    monkeypatch.setattr(sqlite_log, "MAX_BYTES", 256 * 1024)
    async with following(path) as ((one, _), (two, heard)):
        for number in range(100):
            tags = [Selector("tag", f"{number}:{item:060}") for item in range(200)]
            await one.commit(one.begin(tags))
            await until(lambda: one.stats().queued == one.index.pending_count == 0)
            await until(lambda: two.index.seq == one.index.seq)
        with closing(sqlite3.connect(f"{path}{SUFFIX}")) as db:
            ((rows, size),) = db.execute("SELECT count(*), sum(length(data)) FROM amt_log_1")

        assert 5 < rows < 30
        assert size < 300 * 1024
        assert heard.flushes == 1
        assert two.stats().gaps == 0


async def test_replaced_file_is_noticed(path: Path) -> None:
    """It was deleted, by hand or by a tool: everybody meets again in the new one."""
    async with following(path) as ((one, heard), (two, _)):
        gen = one.index.gen
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):  # the database itself may remove the other two
                os.unlink(str(path) + SUFFIX + suffix)
        await until(lambda: one.index.gen != gen and two.index.gen == one.index.gen)

        assert heard.flushes == 2
        position = await one.commit(one.begin([KEY]))
        assert position is not None
        assert await two.reached(position, 2)


async def test_older_copy_of_the_file_begins_a_new_generation(path: Path) -> None:
    """Numbers of two histories are never compared."""
    async with following(path) as ((one, _), (two, _)):
        gen = one.index.gen
        for _ in range(3):
            await one.commit(one.begin([KEY]))
        await until(lambda: one.index.seq == two.index.seq >= 3)
        execute(path, "DELETE FROM amt_log_1 WHERE seq > 1")
        execute(path, "UPDATE amt_log_state_1 SET seq = 1")
        await until(lambda: one.index.gen != gen and one.index.gen == two.index.gen)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("UPDATE amt_log_1 SET prev = 'other' WHERE seq = 2", id="another history"),
        pytest.param("UPDATE amt_log_1 SET seq = 7 WHERE seq = 2", id="a hole"),
    ],
)
async def test_record_that_does_not_fit_is_not_believed(path: Path, damage: str) -> None:
    """Everything local is dropped instead."""
    async with following(path, 1) as ((one, _),):
        late, heard = SQLiteLog(path), Heard()
        await one.commit(one.begin([KEY]))
        await late.start(heard)
        await until(lambda: late.index.seq >= 1)
        await deafen(late)
        await one.commit(one.begin([KEY]))
        execute(path, damage)
        if "seq = 7" in damage:
            execute(path, "UPDATE amt_log_state_1 SET seq = 7")
        await late.start(heard)
        await until(lambda: heard.flushes == 2)

        await until(lambda: late.trusted)
        await late.close()


async def test_unreadable_record_counts_as_everything(path: Path) -> None:
    """Nobody knows what it said."""
    async with following(path, 1) as ((one, heard),):
        await one.commit(one.begin([KEY]))
        await until(lambda: one.index.seq >= 1)
        statement = "INSERT INTO amt_log_1 SELECT namespace, 2, gen, op, 'o', x'00', x'' FROM "
        execute(path, statement + "amt_log_1 WHERE seq = 1")
        execute(path, "UPDATE amt_log_state_1 SET seq = 2, last = 'o'")
        await until(lambda: one.index.seq >= 2)

        assert one.stats().processing_errors == 1
        assert heard.flushes == 2


async def test_records_of_another_secret_count_as_everything(path: Path) -> None:
    """Whoever can write the file cannot say what is dropped."""
    async with (
        following(path, 1, secret=b"s" * 16) as ((one, heard),),
        following(path, 1, secret=b"t" * 16) as ((two, _),),
    ):
        await two.commit(two.begin([KEY]))
        await until(lambda: one.index.seq >= 1)

        assert one.stats().processing_errors == 1
        assert heard.flushes == 2


async def test_namespaces_in_one_file_do_not_hear_each_other(path: Path) -> None:
    """Their numbers are their own."""
    async with (
        following(path, 1, namespace="a") as ((one, _),),
        following(path, 1, namespace="b") as ((two, heard),),
    ):
        await one.commit(one.begin([KEY]))
        position = await two.commit(two.begin([Selector("key", "other")]))

        assert position is not None
        assert position.seq == 1
        assert await two.reached(position, 2)
        assert heard.selectors == []


async def test_many_records_at_once_arrive_in_batches(path: Path) -> None:
    """More than one look brings."""
    async with following(path) as ((one, _), (two, heard)):
        selectors = [Selector("key", str(number)) for number in range(2_500)]
        position = await one.commit(one.begin(selectors))
        for _ in range(3):
            position = await one.commit(one.begin([KEY]))

        assert position is not None
        assert position.seq >= 6  # more where a slow disk had one sent again
        assert await two.reached(position, 2)
        assert set(heard.selectors) == {*selectors, KEY}


async def test_long_history_is_read_without_a_pause(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one look brings is there at once, though nothing has changed in between."""
    monkeypatch.setattr("asgi_multitier.coherence.sqlite.PATIENCE", 60.0)
    monkeypatch.setattr("asgi_multitier.coherence.sqlite.FEW", 5)
    monkeypatch.setattr("asgi_multitier.coherence.store.BATCH", 5)
    async with following(path, 1) as ((one, _),):
        for _ in range(23):
            assert await one.commit(one.begin([KEY])) is not None
        async with following(path, 1) as ((late, _),):
            await until(lambda: late.index.seq >= 23)

            assert late.trusted


@pytest.mark.usefixtures("usual_commit")
async def test_file_that_is_locked_queues_what_is_dropped(path: Path) -> None:
    """It is in force here at once, and sent when the lock is gone; the breaker spares the wait."""
    async with following(path) as ((one, _), (two, heard)):
        blocker = sqlite3.connect(str(path) + SUFFIX, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        entry = value_entry("k")
        entry = replace(entry, born=one.index.born())
        for _ in range(3):
            assert await one.commit(one.begin([KEY])) is None
        assert not one.index.permits(entry)
        assert at_once(one.commit(one.begin([KEY]))) is None
        assert one.stats().queued == 1
        blocker.execute("ROLLBACK")
        blocker.close()
        await until(lambda: KEY in heard.selectors)
        await until(lambda: one.stats().queued == 0)

        assert two.trusted


async def test_cancelled_caller_does_not_lose_what_he_dropped(path: Path) -> None:
    """Others hear of it all the same."""
    async with following(path) as ((one, _), (_, heard)):
        blocker = sqlite3.connect(str(path) + SUFFIX, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        call = asyncio.create_task(one.commit(one.begin([KEY])))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        with suppress(BackendError):
            # The thread comes to this when the write that was begun waits for the lock no more.
            await one._table._writer.run(lambda _: None)
        blocker.execute("ROLLBACK")
        blocker.close()

        assert call.cancelled()
        await until(lambda: KEY in heard.selectors)


async def test_what_waits_is_sent_at_the_end(path: Path) -> None:
    """`close` empties the queue."""
    async with following(path) as ((one, _), (_, heard)):
        operation = one.begin([KEY])
        one._follower.unsent(operation)
        await one.close()

        await until(lambda: KEY in heard.selectors)


async def test_loss_at_the_end_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where it cannot be sent, the process's log says how much."""
    async with following(path, 1) as ((one, _),):
        one._follower.unsent(one.begin([KEY]))
        blocker = sqlite3.connect(str(path) + SUFFIX, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        await one.close()
        blocker.execute("ROLLBACK")
        blocker.close()

        assert "1 invalidations are lost" in caplog.text


async def test_file_that_cannot_be_opened_is_not_trusted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The start returns, says so once, and the log is followed when it can be."""
    directory = tmp_path / "later"
    log, heard = SQLiteLog(directory / "cache.db"), Heard()
    await log.start(heard)

    assert not log.trusted
    assert await log.commit(log.begin([KEY])) is None
    directory.mkdir()
    await until(lambda: log.trusted)
    await until(lambda: log.stats().queued == 0)
    assert caplog.text.count("does not answer") == 1
    await log.close()


async def test_log_that_is_not_heard_of_loses_trust(path: Path) -> None:
    """Three seconds, by the clock."""
    clock = FakeClock()
    async with following(path, 1, clock=clock) as ((log, _),):
        await deafen(log)
        clock.advance(2.9)
        log._tail.trust.check()
        assert log.trusted
        clock.advance(0.2)
        log._tail.trust.check()

        assert not log.trusted
        assert "untrusted" in repr(log)


async def test_waiting_for_a_position_ends(path: Path) -> None:
    """With the time, for one that never comes."""
    async with following(path, 1) as ((log, _),):
        assert not await log.reached(Born(log.index.gen, 99), 0.01)
        assert not await log.reached(Born("other", 0), 0.01)
        assert await log.reached(log.index.born(), 0.01)


async def test_settling_time_travels(path: Path) -> None:
    """Fills that it selects are refused on every node for so long."""
    async with following(path) as ((one, _), (two, _)):
        position = await one.commit(one.begin([KEY], settle=60))
        assert position is not None
        assert await two.reached(position, 2)
        fresh = replace(value_entry("k"), born=two.index.born())
        assert not two.index.permits(fresh)
        await pass_time(61)
        assert two.index.permits(replace(value_entry("k"), born=two.index.born()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((":memory:",), "path=':memory:'"), (("",), "path=''"), (("x.db",), "maxlen=99")],
)
def test_settings_that_are_none_are_refused(arguments: tuple[str], message: str) -> None:
    """A file, and a log long enough to follow."""
    maxlen = 99 if "maxlen" in message else 100
    with pytest.raises(ConfigError, match=message):
        SQLiteLog(*arguments, maxlen=maxlen)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_process_is_a_node_of_its_own(path: Path) -> None:
    """It hears the parent's records as another's."""
    log, heard = SQLiteLog(path), Heard()

    async def start() -> None:
        await log.start(heard)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(start())
    node = log._follower.node
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            log.begin([KEY])
            os.write(writing, b"y" if log._follower.node != node else b"n")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    answer = os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    loop.run_until_complete(log.close())
    loop.close()

    assert answer == b"y"
    assert log._follower.node == node


_WRITER = """
import asyncio, sys, time
from asgi_multitier import CacheManager

async def main():
    async with CacheManager(sqlite=sys.argv[1], namespace="n") as cache:
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        for number in range(int(sys.argv[2])):
            await loop.run_in_executor(None, sys.stdin.readline)
            await cache.invalidate("k")
            print(time.monotonic(), flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)

asyncio.run(main())
"""


async def test_an_edit_in_one_process_is_seen_by_another(path: Path, figure: Figure) -> None:
    """Measured from the moment `invalidate` returns there, on one clock: the machine's."""
    rounds = 40
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _WRITER,
        str(path),
        str(rounds),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    async with CacheManager(sqlite=path, namespace="n") as cache:
        assert await writer.stdout.readline() == b"ready\n"
        lags = []
        for number in range(rounds):
            await cache.set("k", number)
            assert await cache.get("k") == number
            writer.stdin.write(b"\n")

            async def is_gone() -> bool:
                return await cache.get("k") is None

            await until(is_gone)
            seen = time.monotonic()
            lags.append(seen - float(await writer.stdout.readline()))
        writer.stdin.write(b"\n")
        await writer.wait()
    lags.sort()

    measured = f"p50 {seconds(lags[rounds // 2])}, slowest {seconds(lags[-1])}"
    figure("SQLite log: edit seen by another process after", measured, "50 ms")


async def test_values_of_one_process_are_found_and_followed_by_another(path: Path) -> None:
    """One file: the second tier, and what keeps both memories true."""
    async with (
        CacheManager(sqlite=path, namespace="n") as one,
        CacheManager(sqlite=path, namespace="n") as two,
    ):
        await one.set("k", {"a": 1}, tags=["t"])
        assert await two.get("k") == {"a": 1}
        await two.update("k", {"a": 2})
        await until(lambda: one.invalidation_stats().applied.get("update") == 1)
        assert await one.get("k") == {"a": 2}
        assert one.stats().l1_hits == 1
        await one.clear()
        await until(lambda: two.invalidation_stats().applied.get("all") == 1)

        assert await two.get("k") is None
        assert [tier.name for tier in (await one.health()).tiers] == ["memory", "sqlite"]


async def test_log_that_can_be_read_and_not_written_is_not_trusted(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk: this process believes nothing while others cannot hear what it has to say."""

    async def full(*_: object, **__: object) -> Born:
        raise BackendError("database or disk is full")

    clock = FakeClock()
    async with following(path, 1, clock=clock) as [(log, _)]:
        with monkeypatch.context() as broken:
            broken.setattr(log._table, "append", full)
            assert await log.commit(log.begin([KEY])) is None
            await asyncio.sleep(0)
            assert log.trusted
            clock.advance(3.5)
            await until(lambda: "to be written (database or disk is full)" in caplog.text)
            assert not log.trusted
        await until(lambda: log.trusted)
        assert log.stats().queued == 0
