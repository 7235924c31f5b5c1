"""Whole caches over one file, in processes that are killed in the middle of writes."""

import asyncio
import itertools
import multiprocessing
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from asgi_multitier import CacheManager
from tests.patience import until

SOAK = (pytest.mark.soak, pytest.mark.timeout(0))
SEED = 7
KEYS = [f"k{number}" for number in range(8)]
SIZE = 20_000

PATIENCE = 20.0
"""Seconds for what is certain to come."""

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def made(name: str, turn: int) -> str:
    """A value that repeats who wrote it and when, so that a torn copy shows."""
    word = f"{name}-{turn};"
    return word * (SIZE // len(word))


def is_whole(value: str) -> bool:
    """Whether all of it was written at once."""
    word = value.partition(";")[0] + ";"
    return value == word * (SIZE // len(word))


async def write(path: Path, name: str, told: Connection) -> None:
    """Write, drop and read without end, and say so after each turn."""
    async with CacheManager(sqlite=path, namespace="kills", l1_entries=2) as cache:
        for turn in itertools.count(1):
            values = {key: made(name, turn) for key in KEYS}
            await cache.set_many(values, 300, tags=["all"], broadcast=turn % 2 == 0)
            if turn % 3 == 0:
                await cache.invalidate_tags("all")
            await cache.get_many(KEYS)
            told.send_bytes(b"!")


def work(path: Path, name: str, told: Connection) -> None:
    """The main function of a worker."""
    asyncio.run(write(path, name, told))


class Worker:
    """A process that writes until it is killed."""

    def __init__(self, path: Path, name: str) -> None:
        self._heard, told = PROCESSES.Pipe(duplex=False)
        self._process = PROCESSES.Process(target=work, args=(path, name, told))
        self._process.start()
        told.close()
        self._turns = 0

    def has_turned(self, times: int) -> bool:
        """Whether it has done so many turns."""
        assert self._process.is_alive(), "it broke"
        while self._heard.poll():
            self._heard.recv_bytes()
            self._turns += 1
        return self._turns >= times

    def kill(self) -> None:
        """kill -9, wherever in its work it is."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._heard.close()


@asynccontextmanager
async def survivors(path: Path) -> AsyncIterator[tuple[CacheManager, CacheManager]]:
    """Two caches that stay."""
    async with (
        CacheManager(sqlite=path, namespace="kills") as one,
        CacheManager(sqlite=path, namespace="kills") as two,
    ):
        yield one, two


async def check_values(cache: CacheManager) -> int:
    """That whatever is there is whole; how many values there are."""
    found = await cache.get_many(KEYS)
    assert all(is_whole(value) for value in found.values())
    unreadable = [tier.unreadable for tier in cache.tier_stats()]
    assert not any(count for each in unreadable for why, count in each.items() if why != INVALID)
    return len(found)


INVALID = "invalidated"
"""Why what another has dropped is not read: the one reason there may be."""


async def check_edit(one: CacheManager, two: CacheManager, version: int) -> None:
    """That an edit through the one is seen through the other."""
    await one.get_or_compute("version", lambda: version - 1, 300, tags=["version"])
    await two.get_or_compute("version", lambda: version - 1, 300, tags=["version"])
    await one.invalidate_tags("version")
    assert await one.get_or_compute("version", lambda: version, 300, tags=["version"]) == version

    async def is_seen() -> bool:
        return bool(
            await two.get_or_compute("version", lambda: version, 300, tags=["version"]) == version
        )

    await until(is_seen, PATIENCE)


def check_file(path: Path) -> None:
    """That the file opens and is sound."""
    db = sqlite3.connect(path, timeout=PATIENCE)
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        db.close()


@pytest.mark.parametrize("times", [5, pytest.param(100, marks=SOAK)])
async def test_killed_workers_leave_a_whole_file_and_survivors_that_hear_of_every_edit(
    tmp_path: Path, times: int
) -> None:
    """kill -9 in the middle of writes: the file opens, no torn value, edits go on being seen."""
    path = tmp_path / "cache.db"
    chosen = random.Random(SEED)
    workers: list[Worker] = []
    try:
        async with survivors(path) as (one, two):
            workers = [Worker(path, f"w{number}") for number in range(2)]
            seen = 0
            for turn in range(1, times + 1):
                await until(lambda: all(worker.has_turned(3) for worker in workers), PATIENCE)
                await asyncio.sleep(chosen.uniform(0, 0.05))
                workers.pop(0).kill()
                seen += await check_values(one)
                await check_edit(one, two, 2 * turn)
                check_file(path)
                workers.append(Worker(path, f"w{turn + 1}"))
            assert seen, "something was there to be torn"
            assert one.invalidation_stats().trusted
            assert two.invalidation_stats().trusted
        # One that comes anew finds the file in order as well.
        async with CacheManager(sqlite=path, namespace="kills") as late:
            await check_values(late)
    finally:
        for worker in workers:
            worker.kill()
