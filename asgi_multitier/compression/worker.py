"""One thread that compresses, and its queue.

Invariants:

1. The queue is bounded in jobs and in bytes of content; what does not fit is refused at once.
2. A job lands in the event loop that asked for it, or nowhere: where that loop has ended, where the
   compressor was closed meanwhile, and in a forked process, which begins with an empty queue.
3. The thread starts with the first job and ends when it has had nothing to do for a while.

Called from the event loop's thread; the thread itself touches nothing but the queue.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from .compressors import compressed

MOST_JOBS = 64
MOST_BYTES = 16 * 1024 * 1024
"""Jobs that may wait, and bytes of content that may wait in them; one job may always."""

_IDLE = 5.0
"""Seconds without a job after which the thread ends."""

Land: TypeAlias = Callable[[bytes | Exception], None]
"""Takes the encoded content in the event loop, or why it could not be made."""


class _Job(msgspec.Struct, frozen=True, eq=False):
    content: bytes
    coding: bytes
    land: Land
    loop: asyncio.AbstractEventLoop


class Compressor:
    """Compresses content in a thread of its own, one job after another.

    Args:
        compress: Takes content and a coding, and returns the encoded content; runs in the thread.
        most_jobs, most_bytes: See `MOST_JOBS`.
        idle: Seconds without a job after which the thread ends.
    """

    def __init__(
        self,
        compress: Callable[[bytes, bytes], bytes] = compressed,
        *,
        most_jobs: int = MOST_JOBS,
        most_bytes: int = MOST_BYTES,
        idle: float = _IDLE,
    ) -> None:
        self._compress = compress
        self._most_jobs, self._most_bytes = most_jobs, most_bytes
        self._idle = idle
        self._queue = _Queue()

    def __repr__(self) -> str:
        return f"<Compressor, {self.pending} pending>"

    @property
    def pending(self) -> int:
        """Jobs that are to land; in an event loop that is closed, none does."""
        return self._queue.pending if self._queue.pid == os.getpid() else 0

    def ask(self, content: bytes, coding: bytes, land: Land) -> bool:
        """Queue a job; False if there is no room for it. Returns at once.

        Args:
            content: What is to be compressed.
            coding: Its coding.
            land: Is called in the running event loop when it is done.
        """
        queue = self._queue
        if queue.pid != os.getpid():
            # The parent's thread is not here, and its lock may be held for ever.
            queue = self._queue = _Queue()
        job = _Job(content, coding, land, asyncio.get_running_loop())
        with queue.changed:
            if queue.jobs and (
                len(queue.jobs) >= self._most_jobs or queue.bytes + len(content) > self._most_bytes
            ):
                return False
            queue.jobs.append(job)
            queue.bytes += len(content)
            queue.outstanding.add(job)
            if queue.has_thread:
                queue.changed.notify()
                return True
            queue.has_thread = True
        return self._start(queue)

    def _start(self, queue: "_Queue") -> bool:
        thread = threading.Thread(
            target=self._work, args=[queue], name="asgi-multitier compress", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # The program is exiting, or may have no more threads.
            queue.give_up()
            return False
        return True

    def close(self) -> None:
        """Forget all jobs, without waiting; the thread ends after the one it is at."""
        queue, self._queue = self._queue, _Queue()
        if queue.pid != os.getpid():
            return
        with queue.changed:
            queue.closed = True
            queue.jobs.clear()
            queue.changed.notify()

    def _work(self, queue: "_Queue") -> None:
        while (job := queue.next(self._idle)) is not None:
            made: bytes | Exception
            try:
                made = self._compress(job.content, job.coding)
            except Exception as error:  # noqa: BLE001 - it is counted where it was asked for
                made = error
            queue.deliver(job, made)
            del job, made  # nothing is kept while the thread waits


class _Queue:
    """The jobs of one process, from the first to `close`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.changed = threading.Condition()
        self.jobs: deque[_Job] = deque()
        self.bytes = 0
        self.outstanding: set[_Job] = set()
        self.has_thread = False
        self.closed = False

    @property
    def pending(self) -> int:
        """Jobs that are to land."""
        with self.changed:
            # What was to land in a loop that closed before its turn is never taken out there.
            self.outstanding -= {job for job in self.outstanding if job.loop.is_closed()}
            return len(self.outstanding)

    def next(self, idle: float) -> _Job | None:
        """Wait for the next job, in the thread; None where the thread is to end."""
        with self.changed:
            while not self.jobs:
                if self.closed or not (self.changed.wait(idle) or self.jobs):
                    self.has_thread = False
                    return None
            job = self.jobs.popleft()
            self.bytes -= len(job.content)
            return job

    def deliver(self, job: _Job, made: bytes | Exception) -> None:
        """Send what was made to the event loop that asked for it, from the thread."""
        try:
            job.loop.call_soon_threadsafe(self._land, job, made)
        except RuntimeError:  # it is closed
            with self.changed:
                self.outstanding.discard(job)

    def _land(self, job: _Job, made: bytes | Exception) -> None:
        with self.changed:
            self.outstanding.discard(job)
        if not self.closed:
            job.land(made)

    def give_up(self) -> None:
        """Forget all jobs: no thread does them."""
        with self.changed:
            self.jobs.clear()
            self.outstanding.clear()
            self.bytes = 0
            self.has_thread = False
