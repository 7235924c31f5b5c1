"""SQLite files and the threads that use them.

SQLite's calls block. A worker is a thread with a connection that only it uses, created at first use
and belonging to one process: after a fork the child creates its own and does not touch the
parent's. It belongs to no event loop. If the file was replaced or removed, this is noticed before
the next piece of work, and the new one is opened: no other process would see writes to the old one.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..errors import BackendError, ConfigError

T = TypeVar("T")


def check_file(path: str | os.PathLike[str], *, where: str) -> Path:
    """The absolute path of a file.

    Raises:
        ConfigError: If it cannot be a file that processes share.
    """
    text = os.fspath(path)
    if not text or text == ":memory:" or text.startswith("file:"):
        raise ConfigError.of("path", text, "the path of a file", where=where)
    return Path(text).absolute()


class SQLiteWorker:
    """A thread with a connection, created at first use and again after a fork or `close`.

    Args:
        path: The file; created if absent.
        timeout: Seconds that a write waits for other connections' writes before it fails.
        name: Part of the thread's name.
        prepare: Sets up a new connection.
    """

    def __init__(
        self,
        path: Path,
        timeout: float,
        name: str,
        *,
        prepare: Callable[[sqlite3.Connection], None],
    ) -> None:
        self._path = path
        self._name = f"asgi-multitier sqlite {name}"
        self._connect = partial(_open, path, timeout, prepare)
        self._thread: _Thread | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work in the thread. SQLite's errors become `BackendError` here.

        Raises:
            BackendError: If it failed.
        """
        thread = self._thread
        if thread is None or thread.pid != os.getpid():
            thread = self._replace(thread)
        try:
            return await thread.run(work)
        except (sqlite3.Error, OSError) as error:
            raise BackendError(f"SQLite file {self._path}: {error}") from error

    def _replace(self, old: "_Thread | None") -> "_Thread":
        if old is not None:
            # The parent's connection: closing it, or letting it be collected, would release locks
            # that the parent holds.
            PARENTS.append(old)
        self._thread = _Thread(self._path, self._name, self._connect)
        return self._thread

    async def close(self) -> None:
        """Release the thread and the connection. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if thread.pid != os.getpid():
            PARENTS.append(thread)
            return
        await thread.close()


class _Thread:
    """One thread of this process, and the connection that only it touches."""

    def __init__(self, path: Path, name: str, connect: Callable[[], sqlite3.Connection]) -> None:
        self.pid = os.getpid()
        self._path = path
        self._connect = connect
        self._inode = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._db: sqlite3.Connection | None = None
        self._is_closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            done = loop.run_in_executor(self._executor, self._do, work)
        except RuntimeError as error:
            if not self._is_closed:
                # The program is exiting while a loop runs in another thread: nothing has failed.
                # The error's text does not tell: a worker thread that ends first marks its executor
                # as shut down.
                await loop.create_future()
            raise BackendError(f"SQLite file {self._path} was closed") from error
        return await done

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._db is not None and _inode(self._path) != self._inode:
            self._disconnect()
        if self._db is None:
            self._db = self._connect()
            self._inode = _inode(self._path)
        try:
            return work(self._db)
        except sqlite3.Error:
            # Whatever the error, the next call uses a new connection.
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._executor, self._disconnect)
        finally:
            self._is_closed = True
            self._executor.shutdown(wait=False)


PARENTS: list[_Thread] = []
"""Copies of a parent's objects after a fork, kept so that nothing closes them."""


def _open(
    path: Path, timeout: float, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    with suppress(FileExistsError):
        # Only this user may read responses. Never opened when it exists: closing any descriptor of
        # the file would drop the locks that this process holds on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    db = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    try:
        if _is_empty(path):
            # While the file is empty; later it could never give space back to the disk.
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        _use_wal(db, time.monotonic() + timeout)
        prepare(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True


def _inode(path: Path) -> int:
    """The inode of the file at the path; 0 if there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _use_wal(db: sqlite3.Connection, deadline: float) -> None:
    """Turn WAL on. If several processes do so at the same time, SQLite reports a locked file at
    once, whatever its time-out: here it is retried until the deadline."""
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[None]:
    """A transaction that writes: takes the lock at once, and commits or rolls back as a whole."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        yield
