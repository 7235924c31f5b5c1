"""The thread that compresses: its bounds, its end, other event loops and other processes."""

import asyncio
import os
import threading
from typing import Any

import pytest

from asgi_multitier.compression import Compressor
from asgi_multitier.compression.worker import _Job, _Queue
from tests.patience import until, wait_for

Landed = list[bytes | Exception]


class Press:
    """Compresses when it is let: `content` becomes `content:coding`."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun: list[bytes] = []
        self.threads: set[threading.Thread] = set()

    def __call__(self, body: bytes, coding: bytes) -> bytes:
        self.begun.append(body)
        self.threads.add(threading.current_thread())
        assert self.gate.wait(60)
        if coding == b"bad":
            raise ValueError("bad")
        return body + b":" + coding


async def test_jobs_land_in_order_in_the_event_loop() -> None:
    """In the thread that asked, from one thread that is another."""
    press, landed = Press(), []
    compressor = Compressor(press, idle=0.05)

    def land(made: bytes | Exception) -> None:
        landed.append((made, threading.current_thread()))

    for number in (b"1", b"2", b"3"):
        assert compressor.ask(number, b"br", land)
    assert compressor.pending == 3
    press.gate.set()
    await until(lambda: compressor.pending == 0)

    here = threading.current_thread()
    assert landed == [(b"1:br", here), (b"2:br", here), (b"3:br", here)]
    assert len(press.threads) == 1
    assert here not in press.threads


async def test_an_error_lands_as_well() -> None:
    """And the next job is done."""
    press, landed = Press(), Landed()
    press.gate.set()
    compressor = Compressor(press, idle=0.05)
    compressor.ask(b"1", b"bad", landed.append)
    compressor.ask(b"2", b"br", landed.append)
    await until(lambda: len(landed) >= 2)

    assert isinstance(landed[0], ValueError)
    assert landed[1:] == [b"2:br"]


@pytest.mark.parametrize(
    ("bounds", "sizes", "expected"),
    [
        ({"most_jobs": 2}, [1, 1, 1], [True, True, False]),
        ({"most_bytes": 10}, [5, 5, 1], [True, True, False]),
        ({"most_bytes": 10}, [11, 1], [True, False]),
    ],
    ids=["jobs", "bytes", "one-that-is-larger"],
)
async def test_the_queue_is_bounded(
    bounds: dict[str, int], sizes: list[int], expected: list[bool]
) -> None:
    """In jobs and in bytes; what is being compressed does not wait."""
    press, landed = Press(), Landed()
    compressor = Compressor(press, idle=0.05, **bounds)
    compressor.ask(b"first", b"br", landed.append)
    await until(lambda: press.begun)
    taken = [compressor.ask(b"x" * size, b"br", landed.append) for size in sizes]
    press.gate.set()
    await until(lambda: compressor.pending == 0)

    assert taken == expected
    assert len(landed) == 1 + taken.count(True)
    assert compressor.ask(b"x" * sizes[0], b"br", landed.append)  # there is room again


async def test_the_thread_ends_without_work_and_comes_back() -> None:
    """A cache that compresses nothing has no thread."""
    press, landed = Press(), Landed()
    press.gate.set()
    compressor = Compressor(press, idle=0.01)
    for number in (1, 2):
        compressor.ask(b"1", b"br", landed.append)
        await until(lambda number=number: len(landed) >= number)
        await until(lambda: not any(thread.is_alive() for thread in press.threads))

    assert len(press.threads) == 2


async def test_the_thread_ends_with_the_cache() -> None:
    """It does not wait for a job that never comes."""
    press, landed = Press(), Landed()
    press.gate.set()
    compressor = Compressor(press, idle=3600)
    compressor.ask(b"1", b"br", landed.append)
    await until(lambda: landed)
    compressor.close()

    await until(lambda: not any(thread.is_alive() for thread in press.threads))


async def test_what_is_made_after_the_end_lands_nowhere() -> None:
    """Closing waits for nothing, and what waits is not begun."""
    press, landed = Press(), Landed()
    compressor = Compressor(press)
    for number in (b"1", b"2"):
        compressor.ask(number, b"br", landed.append)
    await until(lambda: press.begun)
    compressor.close()
    compressor.close()

    assert compressor.pending == 0
    press.gate.set()
    await until(lambda: not any(thread.is_alive() for thread in press.threads))
    await asyncio.sleep(0)
    assert (landed, press.begun) == ([], [b"1"])

    compressor.ask(b"3", b"br", landed.append)
    await until(lambda: landed)
    assert landed == [b"3:br"]
    compressor.close()


def test_an_event_loop_that_has_ended_gets_nothing() -> None:
    """And the next one does."""
    press, landed = Press(), Landed()
    compressor = Compressor(press, idle=0.05)

    async def ask() -> None:
        compressor.ask(b"1", b"br", landed.append)
        await until(lambda: press.begun)

    async def ask_again() -> None:
        compressor.ask(b"2", b"br", landed.append)
        await until(lambda: landed)

    asyncio.run(ask())
    press.gate.set()
    wait_for(lambda: compressor.pending == 0)
    asyncio.run(ask_again())

    assert landed == [b"2:br"]


def test_a_loop_that_closes_before_its_turn_leaves_nothing_pending() -> None:
    """What was made is on its way to it, and is never taken there."""
    press, landed = Press(), Landed()
    press.gate.set()
    compressor = Compressor(press, idle=0.05)

    async def ask() -> None:
        compressor.ask(b"1", b"br", landed.append)
        # Until the end the loop does nothing more, not even what the thread gives it meanwhile.
        wait_for(lambda: not any(thread.is_alive() for thread in press.threads))
        asyncio.get_running_loop().stop()

    loop = asyncio.new_event_loop()
    work = loop.create_task(ask())
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert (work.done(), compressor.pending) == (True, 1)
    loop.close()

    assert (landed, compressor.pending) == ([], 0)


async def test_a_forked_process_begins_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent's thread is not there, and its lock may be held."""
    press, landed = Press(), Landed()
    compressor = Compressor(press, idle=0.05)
    compressor.ask(b"1", b"br", landed.append)
    await until(lambda: press.begun)
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)

    assert compressor.pending == 0
    compressor.ask(b"2", b"br", landed.append)
    press.gate.set()
    await until(lambda: b"2:br" in landed)
    assert len(press.threads) == 2
    monkeypatch.undo()
    # What it has now is another process's: its lock is not even tried.
    monkeypatch.setattr(compressor._queue, "changed", None)
    compressor.close()


async def test_no_thread_is_a_full_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may have none left, or the program is exiting."""

    def refuse(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    press, landed = Press(), Landed()
    press.gate.set()
    compressor = Compressor(press, idle=0.05)
    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert not compressor.ask(b"1", b"br", landed.append)
    assert (compressor.pending, repr(compressor)) == (0, "<Compressor, 0 pending>")
    monkeypatch.undo()
    assert compressor.ask(b"2", b"br", landed.append)
    await until(lambda: landed == [b"2:br"])


def test_a_job_that_comes_as_the_thread_would_end_is_done() -> None:
    """Who asks sees a thread, and starts none."""
    queue = _Queue()
    job = _Job(b"content", b"br", Landed().append, asyncio.new_event_loop())
    job.loop.close()

    class Late(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            queue.jobs.append(job)
            return False

    queue.changed = Late()

    assert queue.next(1) is job
