"""SQLite files and the threads that speak to them.

SQLite's calls block. A worker is a thread of its own with a connection that only it touches, made
at first use and belonging to one process: after a fork the child makes its own and leaves the
parent's alone. It does not belong to an event loop. A file that was replaced or removed is noticed
before the next piece of work, and the new one is opened: what went into the old one would be seen
by nobody.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from ..errors import BackendError, ConfigError

T = TypeVar("T")


def check_path(path: str | os.PathLike[str], *, where: str) -> Path:
    """The absolute path of a file.

    Raises:
        ConfigError: If it cannot be a file's that processes share.
    """
    text = os.fspath(path)
    if not text or text == ":memory:" or text.startswith("file:"):
        raise ConfigError.of("path", text, "the path of a file", where=where)
    return Path(text).absolute()


class SQLiteWorker:
    """A thread with a connection, made at first use and made anew after a fork or an end.

    Args:
        path: The file; made if absent.
        timeout: Seconds that a write waits for other connections' writes before it fails.
        name: Stands in the thread's name.
        prepare: What a new connection begins with.
    """

    __slots__ = ("_name", "_path", "_prepare", "_thread", "_timeout")

    def __init__(
        self,
        path: Path,
        timeout: float,
        name: str,
        *,
        prepare: Callable[[sqlite3.Connection], None],
    ) -> None:
        self._path = path
        self._timeout = timeout
        self._name = name
        self._prepare = prepare
        self._thread: _Thread | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work there. The border at which SQLite's errors become ours.

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
            # The parent's connection: to close it, or let it be collected, would meddle with locks
            # that the parent holds.
            PARENTS.append(old)
        name = f"asgi-multitier sqlite {self._name}"
        self._thread = _Thread(self._path, self._timeout, name, self._prepare)
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

    __slots__ = (
        "_db",
        "_executor",
        "_inode",
        "_path",
        "_prepare",
        "_timeout",
        "pid",
    )

    def __init__(
        self,
        path: Path,
        timeout: float,
        name: str,
        prepare: Callable[[sqlite3.Connection], None],
    ) -> None:
        self.pid = os.getpid()
        self._path = path
        self._timeout = timeout
        self._prepare = prepare
        self._inode = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._db: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            done = loop.run_in_executor(self._executor, self._do, work)
        except RuntimeError as error:
            if "interpreter shutdown" in str(error):
                # The program ends under a loop in another thread: nothing has failed.
                await loop.create_future()
            raise BackendError(f"SQLite file {self._path} was closed meanwhile") from error
        return await done

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._db is not None and _inode(self._path) != self._inode:
            self._disconnect()
        if self._db is None:
            self._db = _open(self._path, self._timeout, self._prepare)
            self._inode = _inode(self._path)
        try:
            return work(self._db)
        except sqlite3.Error:
            # Whatever it was, the next call starts from a new connection.
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
            self._executor.shutdown(wait=False)


PARENTS: list[_Thread] = []
"""What a fork has copied into this process and must stay untouched."""


def _open(
    path: Path, timeout: float, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    with suppress(FileExistsError):
        # Responses may be nobody else's business. Never opened when it exists: closing any
        # descriptor of the file would drop the locks that this process holds on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    db = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    try:
        if _is_empty(path):
            # Before anything is in the file, or it can never give space back to the disk.
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
    """Which file stands there now; 0 for none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _use_wal(db: sqlite3.Connection, deadline: float) -> None:
    """Turn WAL on. Where several processes are the first at once, SQLite says that the file is
    locked without waiting, whatever its time-out: here it is waited for."""
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
    """A transaction that writes: takes the lock at once, and is done or undone as a whole."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        yield
