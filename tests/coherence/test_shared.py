"""The log of several nodes over a store that does as the test says."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from asgi_multitier.coherence.index import Index
from asgi_multitier.coherence.log import MAX_RIDE, TRUST, Update
from asgi_multitier.coherence.outbox import COMMIT
from asgi_multitier.coherence.records import RecordCodec
from asgi_multitier.coherence.shared import SharedLog
from asgi_multitier.coherence.store import BATCH, MUCH, Batch, Facts, StoredRecord, next_count
from asgi_multitier.coherence.tail import PositionWaiters
from asgi_multitier.entry import Born
from asgi_multitier.errors import BackendError
from asgi_multitier.selectors import Selector
from asgi_multitier.testing import FakeClock
from tests.coherence.test_follower import Listener
from tests.patience import until
from tests.support import at_once, pass_time

TAG = Selector("tag", "t")


class ScriptedStore:
    """A store whose readings bring what was put into a queue: records, or an error to raise."""

    name = "script"

    def __init__(self) -> None:
        self.script: asyncio.Queue[Sequence[StoredRecord] | Exception] = asyncio.Queue()
        self.readings = 0
        self.more = False
        self.failures: list[Exception] = []
        self.written = 0

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:
        if self.failures:
            raise self.failures.pop(0)
        self.written += 1
        return Born("g", self.written)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["ScriptedStore"]:
        self.readings += 1
        yield self

    async def facts(self, after: int, condemned: str = "") -> Facts:
        return Facts("g", after, "", None, None, None)

    async def records(self, after: int) -> Batch:
        found = await self.script.get()
        self.script.task_done()
        if isinstance(found, Exception):
            raise found
        return Batch(found, self.more)


def junk(first: int, count: int) -> list[StoredRecord]:
    """Records that nobody can read."""
    return [
        StoredRecord(seq, "g", "" if seq == 1 else "o", "o", b"junk", b"")
        for seq in range(first, first + count)
    ]


@asynccontextmanager
async def scripted() -> AsyncIterator[tuple[SharedLog, ScriptedStore, FakeClock]]:
    """A started log over such a store."""
    store, clock, listener = ScriptedStore(), FakeClock(), Listener()
    log = SharedLog(store, RecordCodec("n", None), clock=clock)
    await log.start(listener)
    try:
        yield log, store, clock
    finally:
        await log.close()


async def test_a_flood_of_unreadable_records_is_told_once_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each of them is counted; the log of the process does not grow with them."""
    async with scripted() as (log, store, clock):
        store.script.put_nowait(junk(1, 400))
        store.script.put_nowait(junk(401, 400))
        await store.script.join()
        assert await log.reached(Born("g", 800), 1.0)
        assert caplog.text.count("cannot be read, everything") == 1

        clock.advance(1.0)
        store.script.put_nowait(junk(801, 400))
        assert await log.reached(Born("g", 1200), 1.0)

        assert caplog.text.count("cannot be read, everything") == 2
        assert log.stats().processing_errors == 1200


async def test_a_tail_that_breaks_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody foresaw is told, and does not leave the node without a tail."""
    async with scripted() as (log, store, _):
        store.script.put_nowait(ArithmeticError("unforeseen"))
        store.script.put_nowait(junk(1, 1))
        assert await log.reached(Born("g", 1), 1.0)

        assert store.readings == 2
        assert [
            entry.levelno for entry in caplog.records if "reading the log failed" in entry.message
        ] == [logging.ERROR]


async def test_a_sender_that_breaks_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    """What was queued is sent all the same."""
    async with scripted() as (log, store, _):
        store.failures = [BackendError("away"), ArithmeticError("unforeseen")]
        assert await log.commit(log.begin([TAG])) is None
        await until(lambda: store.written == 1)

        assert log.stats().queued == 0
        assert "sending failed" in caplog.text


async def test_closing_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    """One broken connection at the end does not cost an invalidation."""
    async with scripted() as (log, store, _):
        store.failures = [BackendError("broken")] * 3
        log._follower.unsent(log.begin([TAG]))
        for task in log._tasks:
            task.cancel()

    assert store.written == 1
    assert "lost" not in caplog.text


async def test_many_values_have_the_time_of_each_record() -> None:
    """A commit of many records is not cut off after the time of one."""
    timeouts: list[float] = []

    class Slow(ScriptedStore):
        async def append(
            self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float
        ) -> Born:
            timeouts.append(timeout)
            clock.advance(0.2)
            return await super().append(op, data, mac, after=after, timeout=timeout)

    clock = FakeClock()
    log = SharedLog(Slow(), RecordCodec("n", None), clock=clock)
    updates = [Update(f"k{number}", b"x" * MAX_RIDE, 9.0) for number in range(20)]

    assert await log.commit(log.begin((), updates)) is not None
    assert len(timeouts) > 2
    assert set(timeouts) == {COMMIT}


def test_trust_ends_in_a_second_event_loop_too() -> None:
    """A timer of a loop that is gone never rings: the new loop sets its own."""
    clock = FakeClock()
    log = SharedLog(store := ScriptedStore(), RecordCodec("n", None), clock=clock)

    async def first() -> None:
        await log.start(Listener())
        assert log.trusted

    async def second() -> None:
        store.script = asyncio.Queue()
        await log.start(Listener())
        assert log.trusted
        clock.advance(TRUST)
        await pass_time(TRUST)
        assert not log.trusted
        await log.close()

    asyncio.run(first())
    asyncio.run(second())


async def test_one_event_loop_at_a_time_follows(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever uses it in another loop, while this one runs, ends what follows here."""
    async with scripted() as (log, store, _):
        here = log._tasks

        async def elsewhere() -> None:
            store.script = asyncio.Queue()
            await log.start(Listener())
            await log.close()

        await asyncio.to_thread(asyncio.run, elsewhere())
        await asyncio.gather(*here, return_exceptions=True)
        log.index.trust()
        log._tail.trust.check()
        assert log._tail.trust._timer is None, "a timer of the loop that was left goes on"

        assert all(task.cancelled() for task in here)


async def test_a_node_that_knows_no_log_believes_no_shared_tier() -> None:
    """Where there may be no store at all, what is in memory serves, and nothing else."""

    class Away(ScriptedStore):
        async def facts(self, after: int, condemned: str = "") -> Facts:
            raise BackendError("away")

    log = SharedLog(Away(), RecordCodec("n", None), optional=True)
    await log.start(Listener())

    assert log.index.settled
    assert not log.trusted
    await log.close()


def test_a_position_of_no_generation_is_not_waited_for() -> None:
    """It can never come."""
    log = SharedLog(ScriptedStore(), RecordCodec("n", None))

    assert not at_once(log.reached(Born("", 3), 9.0))


def test_readers_take_fewer_large_records_at_a_time() -> None:
    """More and more while they are small; half as many when a batch is too large."""
    small, large = (StoredRecord(1, "g", "", "o", b"x" * size, b"") for size in (10, MUCH))

    assert next_count(16, [small] * 16) == 32
    assert next_count(BATCH, [small] * BATCH) == BATCH
    assert next_count(16, [small] * 3) == 16
    assert next_count(16, [large] * 2) == 8
    assert next_count(1, [large, large]) == 1


async def test_a_node_with_more_to_read_is_not_up_to_date() -> None:
    """What it has not read yet may name what it would serve."""
    async with scripted() as (log, store, _):
        log.index.distrust()
        store.more = True
        store.script.put_nowait(junk(1, 3))
        assert await log.reached(Born("g", 3), 1.0)
        assert not log.trusted
        store.more = False
        store.script.put_nowait(junk(4, 3))
        assert await log.reached(Born("g", 6), 1.0)
        await until(lambda: log.trusted)


async def test_a_waiter_that_timed_out_is_removed() -> None:
    """Nothing is kept for a position that was not reached in time."""
    index = Index()
    index.enter("g", 1)
    positions = PositionWaiters(index)

    assert not await positions.reached(Born("g", 2), 0.0)
    assert len(positions) == 0
