"""The invalidation log in an SQLite file, for all workers of one machine, without a server.

A file of its own next to the one of the entries: a commit here does not wait for the writers there,
and is synced to the disk. After a power cut the youngest entries may be gone, but no acknowledged
invalidation, so nothing older than it comes back.

A file sends no notification, so each process polls it every 10 ms in a thread: `PRAGMA
data_version` reads a counter in shared memory, takes no lock and touches no disk, and the table is
read only if it has changed. An edit is seen after 5 ms on average and 10 ms at most, plus what the
scheduler adds. Polling less often while a process is idle would only delay what its next request
may see, so there is no second pace.
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from .._types import Clock
from ..entry import Born
from ..errors import BackendError, ConfigError
from ..tiers.sqlite_worker import SQLiteWorker, check_file, writing
from .records import RecordCodec
from .shared import SharedLog
from .sqlite_beats import TableBeats
from .store import FEW, MAX_BYTES, PATIENCE, Batch, Facts, StoredRecord, next_count

POLL: Final = 0.01
"""Seconds between two polls of the file."""

SUFFIX: Final = "-invalidations"
"""Appended to the name of the entries' file, it is the name of the log's."""

_LOCKED = 0.25

_PAGES = 16
"""Pages after which the journal is copied into the file, where that syncs nothing. The journal
keeps its size, so that this much can be written even on a full disk."""

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS amt_log_1 (
        namespace TEXT NOT NULL,
        seq INTEGER NOT NULL,
        gen TEXT NOT NULL,
        prev TEXT NOT NULL,
        op TEXT NOT NULL,
        data BLOB NOT NULL,
        mac BLOB NOT NULL,
        PRIMARY KEY (namespace, seq)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS amt_log_state_1 (
        namespace TEXT PRIMARY KEY,
        gen TEXT NOT NULL,
        seq INTEGER NOT NULL,
        last TEXT NOT NULL
    ) WITHOUT ROWID""",
)
_IS_MADE = "SELECT 1 FROM sqlite_master WHERE name='amt_log_state_1'"
_STATE = "SELECT gen, seq, last FROM amt_log_state_1 WHERE namespace=?"
_NAMESPACES = "SELECT namespace FROM amt_log_state_1"
_SET_STATE = "INSERT OR REPLACE INTO amt_log_state_1 VALUES (?, ?, ?, ?)"
_APPEND = "INSERT OR REPLACE INTO amt_log_1 VALUES (?, ?, ?, ?, ?, ?, ?)"
_TRIM = "DELETE FROM amt_log_1 WHERE namespace=? AND seq<=?"
_CLEAR = "DELETE FROM amt_log_1 WHERE namespace=?"
_AFTER = (
    "SELECT seq, gen, prev, op, data, mac FROM amt_log_1"
    " WHERE namespace=? AND seq>? ORDER BY seq LIMIT ?"
)
_ENDS = "SELECT min(seq), max(seq) FROM amt_log_1 WHERE namespace=?"
_USED = (
    "SELECT (page_count - freelist_count) * page_size"
    " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)
_OP_AT = "SELECT op FROM amt_log_1 WHERE namespace=? AND seq=?"


class SQLiteLog(SharedLog):
    """An invalidation log in a file, followed by this process.

    Args:
        path: The file of the entries; the log's own is next to it.
        namespace: Processes with the same one share a log.
        maxlen: Records kept: how far a process may fall behind before history is lost to it.
        secret: Key of the records' MAC; the same in all processes, or None.
        clock: Monotonic seconds; the clock of the entries.

    Raises:
        ConfigError: If the path cannot be a file's, or `maxlen` is below 100.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        namespace: str = "default",
        maxlen: int = 100_000,
        secret: bytes | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        if maxlen < 100:
            raise ConfigError.of("maxlen", maxlen, "a whole number from 100", where="SQLiteLog")
        entries = check_file(path, where="SQLiteLog")
        self._table = TableStore(entries.with_name(entries.name + SUFFIX), namespace, maxlen)
        super().__init__(self._table, RecordCodec(namespace, secret), clock=clock)

    async def close(self) -> None:
        """Stop following; send what is queued, or log what is lost. May be called twice."""
        await super().close()
        await self._table.close()


async def namespaces(path: str | os.PathLike[str]) -> set[str]:
    """The namespaces that have a log next to a file of entries.

    Raises:
        BackendError: If the log's file cannot be read.
    """
    entries = check_file(path, where="SQLiteLog")
    log = entries.with_name(entries.name + SUFFIX)
    worker = SQLiteWorker(log, _LOCKED, "log names", prepare=partial(_prepare, durable=True))
    try:
        rows = await worker.run(lambda db: db.execute(_NAMESPACES).fetchall())
    finally:
        await worker.close()
    return {str(name) for (name,) in rows}


class TableStore:
    """A `LogStore` in a table.

    Args:
        path: The file.
        namespace: Whose rows.
        maxlen: Records kept.
        poll: Seconds between two polls, unless `wake` is called.
        durable: Whether a commit is on the disk when it returns.
        max_bytes: Approximate bytes of records kept; None for `MAX_BYTES`.
    """

    def __init__(
        self,
        path: Path,
        namespace: str,
        maxlen: int,
        *,
        poll: float = POLL,
        durable: bool = True,
        max_bytes: int | None = None,
    ) -> None:
        self.path = path
        self.namespace = namespace
        self.poll = poll
        prepare = partial(_prepare, durable=durable)
        self.worker: SQLiteWorker = SQLiteWorker(path, _LOCKED, "log reader", prepare=prepare)
        self._writer = SQLiteWorker(path, _LOCKED, "log writer", prepare=prepare)
        self.beats: TableBeats = TableBeats(self._writer, namespace, durable=durable)
        self._maxlen = maxlen
        self._max_bytes = MAX_BYTES if max_bytes is None else max_bytes
        self._reader: TableReader | None = None
        self.own_gen: str = ""

    @property
    def name(self) -> str:
        """Its location."""
        return f"{self.namespace} in {self.path}"

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:  # noqa: ARG002 (protocol)
        """Append a record. See `LogStore.append`."""
        try:
            async with asyncio.timeout(timeout):
                position = await self._writer.run(self._appending(op, data, mac))
        except TimeoutError as error:
            raise BackendError(f"SQLite file {self.path}: no answer in time") from error
        self.wake()
        return position

    def wake(self) -> None:
        """There are new records: let the reader poll at once."""
        if self._reader is not None:
            self._reader.wake()

    def _appending(self, op: str, data: bytes, mac: bytes) -> Callable[[sqlite3.Connection], Born]:
        def work(db: sqlite3.Connection) -> Born:
            with writing(db):
                gen, seq, last = self.state(db)
                seq += 1
                db.execute(_APPEND, (self.namespace, seq, gen, last, op, data, mac))
                db.execute(_SET_STATE, (self.namespace, gen, seq, op))
                db.execute(_TRIM, (self.namespace, self._cut(db, seq)))
            return Born(gen, seq)

        return work

    def _cut(self, db: sqlite3.Connection, seq: int) -> int:
        """Number of the youngest record to remove, where `seq` is the last one's."""
        (used,) = db.execute(_USED).fetchone()
        if used <= self._max_bytes:
            return seq - self._maxlen
        oldest: int = db.execute(_ENDS, (self.namespace,)).fetchone()[0]
        return max(seq - self._maxlen, oldest + (seq - oldest) // 4 - 1)

    def state(self, db: sqlite3.Connection, condemned: str = "") -> tuple[str, int, str]:
        """Generation, number of the last record and its operation; begins a log if needed."""
        row = db.execute(_STATE, (self.namespace,)).fetchone()
        if row is not None and row[0] != condemned:
            return str(row[0]), int(row[1]), str(row[2])
        self.own_gen = gen = token_hex(16)
        db.execute(_CLEAR, (self.namespace,))
        db.execute(_SET_STATE, (self.namespace, gen, 0, ""))
        return gen, 0, ""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["TableReader"]:
        """A thread that polls the file. See `LogStore.reading`."""
        self._reader = reader = TableReader(self)
        try:
            yield reader
        finally:
            reader.stop()

    async def close(self) -> None:
        """Release the threads and the connections. May be called twice."""
        await self.worker.close()
        await self._writer.close()


class TableReader:
    """Polls for new rows in a thread.

    Args:
        store: The store to read.
    """

    def __init__(self, store: TableStore) -> None:
        self._store = store
        self._pid = os.getpid()
        self._stopped = False
        self._nudge = threading.Event()
        self._seen: int | None = None
        self._count = FEW

    def wake(self) -> None:
        """There are new records: poll at once."""
        # After a fork the lock inside may be held by a thread of the parent.
        if self._pid == os.getpid():
            self._nudge.set()

    def stop(self) -> None:
        """Let the thread return at once."""
        self._stopped = True
        self.wake()

    async def facts(self, after: int, condemned: str = "") -> Facts:
        """The state of the log. See `LogReader.facts`."""
        store = self._store

        def work(db: sqlite3.Connection) -> Facts:
            self._seen = None
            row = db.execute(_STATE, (store.namespace,)).fetchone()
            if row is None or row[0] == condemned:
                with writing(db):
                    store.state(db, condemned)
            with db:  # one snapshot for all three, without the write lock
                db.execute("BEGIN")
                gen, seq, last = db.execute(_STATE, (store.namespace,)).fetchone()
                first, top = db.execute(_ENDS, (store.namespace,)).fetchone()
                at = db.execute(_OP_AT, (store.namespace, after)).fetchone()
            return Facts(gen, seq, last, first, top, None if at is None else at[0])

        return await store.worker.run(work)

    async def records(self, after: int) -> Batch:
        """The next records; the thread polls until there are some, for a second at most."""
        count = self._count
        rows = await self._store.worker.run(self._polling(after, count))
        found = [StoredRecord(*row) for row in rows]
        self._count = next_count(count, found)
        return Batch(found, len(found) == count)

    def _polling(self, after: int, count: int) -> Callable[[sqlite3.Connection], list[Any]]:
        def work(db: sqlite3.Connection) -> list[Any]:
            deadline = time.monotonic() + PATIENCE
            while not self._stopped:
                # The counter first: what is written in between is found at the next poll.
                version = db.execute("PRAGMA data_version").fetchone()[0]
                if version != self._seen:
                    rows = db.execute(_AFTER, (self._store.namespace, after, count)).fetchall()
                    self._seen = None if rows else version
                    if rows:
                        return rows
                if time.monotonic() >= deadline:
                    break
                if self._nudge.wait(self._store.poll):
                    self._nudge.clear()
            return []

        return work


def _prepare(db: sqlite3.Connection, *, durable: bool) -> None:
    """Set up a new connection. FULL: a commit is on the disk when it returns."""
    db.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
    if not durable:
        db.execute(f"PRAGMA wal_autocheckpoint={_PAGES}")
    if db.execute(_IS_MADE).fetchone() is None:
        with writing(db):
            for statement in _SCHEMA:
                db.execute(statement)
