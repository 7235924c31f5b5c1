"""The log of several nodes over a store that does as the test says."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from asgi_multitier.coherence.follower import Facts
from asgi_multitier.coherence.records import RecordCodec
from asgi_multitier.coherence.shared import SharedLog
from asgi_multitier.coherence.store import StoredRecord
from asgi_multitier.entry import Born
from tests.coherence.test_follower import Listener
from tests.support import FakeClock


class ScriptedStore:
    """A store whose readings bring what was put into a queue: records, or an error to raise."""

    name = "script"

    def __init__(self) -> None:
        self.script: asyncio.Queue[Sequence[StoredRecord] | Exception] = asyncio.Queue()
        self.readings = 0

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:
        raise NotImplementedError

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["ScriptedStore"]:
        self.readings += 1
        yield self

    async def facts(self, after: int, condemned: str = "") -> Facts:
        return Facts("g", after, "", None, None, None)

    async def records(self, after: int) -> Sequence[StoredRecord]:
        found = await self.script.get()
        self.script.task_done()
        if isinstance(found, Exception):
            raise found
        return found


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
        assert caplog.text.count("counts as everything") == 1

        clock.advance(1.0)
        store.script.put_nowait(junk(801, 400))
        assert await log.reached(Born("g", 1200), 1.0)

        assert caplog.text.count("counts as everything") == 2
        assert log.stats().processing_errors == 1200


async def test_a_tail_that_breaks_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody foresaw is told, and does not leave the node without a tail."""
    async with scripted() as (log, store, _):
        store.script.put_nowait(ArithmeticError("unforeseen"))
        store.script.put_nowait(junk(1, 1))
        assert await log.reached(Born("g", 1), 1.0)

        assert store.readings == 2
        assert [entry.levelno for entry in caplog.records if "broke" in entry.message] == [
            logging.ERROR
        ]
