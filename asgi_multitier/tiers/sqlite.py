"""A shared tier in a file: survives restarts, shared by all workers of one machine, no server.

SQLite in WAL mode. A reader never waits for a writer, a write is atomic, and a process killed
during a write leaves the file as it was before. `synchronous=NORMAL`: after a power cut the last
writes may be lost, which a cache may lose, but the file is intact.

SQLite's calls block, so each process has two threads for them (`sqlite_worker`), one that reads and
one that writes: a reader must not queue behind a writer that waits for another process. An
operation is one hop into a thread and back; an async wrapper would hop once for each statement.

Bytes are counted by triggers, in the transaction that changes them, so all processes see one sum. A
write that would exceed `max_bytes` removes what has expired, then the oldest entries.
"""

import os
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .._types import Clock
from ..errors import ConfigError
from .base import Held
from .sqlite_worker import SQLiteWorker, check_file, writing

OVERHEAD: Final = 128
"""Bytes counted for a row in addition to its key and value."""

_VARIABLES = 500
"""Keys in one statement."""
_SWEEP = 64
"""Expired rows that a write removes at most, in addition to the number that it adds."""

_SPARE = 256
"""Free pages that are kept for later writes, and most pages that are given back at once."""

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS amt_entries_1 (
        id INTEGER PRIMARY KEY,
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        expires REAL NOT NULL,
        size INTEGER NOT NULL,
        value BLOB NOT NULL,
        UNIQUE (namespace, key)
    )""",
    "CREATE INDEX IF NOT EXISTS amt_entries_1_expires ON amt_entries_1 (expires)",
    """CREATE TABLE IF NOT EXISTS amt_usage_1 (
        namespace TEXT PRIMARY KEY,
        bytes INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TRIGGER IF NOT EXISTS amt_entries_1_added AFTER INSERT ON amt_entries_1 BEGIN
        INSERT INTO amt_usage_1 VALUES (new.namespace, new.size)
            ON CONFLICT (namespace) DO UPDATE SET bytes = bytes + new.size;
    END""",
    """CREATE TRIGGER IF NOT EXISTS amt_entries_1_removed AFTER DELETE ON amt_entries_1 BEGIN
        UPDATE amt_usage_1 SET bytes = bytes - old.size WHERE namespace = old.namespace;
    END""",
)
"""Names carry the schema's version: other versions, and other tables, may be in the same file."""

_IS_MADE = "SELECT 1 FROM sqlite_master WHERE name='amt_entries_1_removed'"
_SELECT = (
    "SELECT key, value, expires FROM amt_entries_1 WHERE namespace=? AND expires>? AND key IN "
)
_REMOVE = "DELETE FROM amt_entries_1 WHERE namespace=? AND key=?"
_INSERT = "INSERT INTO amt_entries_1 (namespace, key, expires, size, value) VALUES (?, ?, ?, ?, ?)"
_EXPIRE = (
    "DELETE FROM amt_entries_1 WHERE id IN"
    " (SELECT id FROM amt_entries_1 WHERE expires<=? ORDER BY expires LIMIT ?)"
)
_OLDEST = "SELECT id, size FROM amt_entries_1 WHERE +namespace=? ORDER BY id"
"""The `+` keeps SQLite from sorting all rows through the other index; only a few are needed."""
_USAGE = "SELECT bytes FROM amt_usage_1 WHERE namespace=?"


class SQLiteStatistics(NamedTuple):
    """Statistics of a namespace in the file.

    Attributes:
        entries: Rows, including expired ones that are not removed yet.
        bytes: Bytes counted for them.
        max_bytes: The bound of `bytes`.
    """

    entries: int
    bytes: int
    max_bytes: int


class SQLiteTier:
    """A `SharedTier` in an SQLite file.

    Args:
        path: The file; created if absent. On a local disk: SQLite's locks fail over a network.
        namespace: Separates applications that share the file. Each has its own `max_bytes`.
        max_bytes: Bytes of keys and values, with `OVERHEAD` for each entry. The file itself is
            somewhat larger: pages, the index, the journal.
        timeout: Seconds that a write waits for other processes' writes before it fails.
        clock: Unix seconds; the same for all processes that share the file.
        name: The tier's name in statistics.

    Raises:
        ConfigError: If the path is not a file's, or a bound is not above 0.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        namespace: str = "default",
        max_bytes: int = 256 * 1024 * 1024,
        timeout: float = 0.25,
        clock: Clock = time.time,
        name: str = "sqlite",
    ) -> None:
        self.path: Path = check_file(path, where="SQLiteTier")
        if max_bytes < 1:
            raise ConfigError.of("max_bytes", max_bytes, "a number from 1", where="SQLiteTier")
        if not timeout > 0:
            raise ConfigError.of("timeout", timeout, "seconds above 0", where="SQLiteTier")
        self.name = name
        self.namespace = namespace
        self.max_bytes = max_bytes
        self._clock = clock
        self._reader = SQLiteWorker(self.path, timeout, "read", prepare=_prepare)
        self._writer = SQLiteWorker(self.path, timeout, "write", prepare=_prepare)

    def __repr__(self) -> str:
        return f"<SQLiteTier {self.namespace} in {self.path}, at most {self.max_bytes} bytes>"

    async def get(self, key: str) -> Held | None:
        """The bytes and the seconds left, or None."""
        return (await self.get_many([key]))[0]

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        """As `get`, for several keys in the given order, in one hop into the thread."""
        if not keys:
            return []
        found = await self._reader.run(lambda db: self._read(db, keys))
        return [found.get(key) for key in keys]

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep the bytes for `ttl` seconds, replacing any other."""
        await self.set_many({key: (value, ttl)})

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        """As `set`, for several keys in one transaction: all or none.

        A value larger than `max_bytes` is not kept, but what its key held before is removed.
        """
        if items:
            fixed = dict(items)
            await self._writer.run(lambda db: self._write(db, fixed))

    async def delete(self, keys: Iterable[str]) -> int:
        """Forget the keys; absent ones are no error. Returns how many were there."""
        doomed = list(dict.fromkeys(keys))
        if not doomed:
            return 0
        return await self._writer.run(lambda db: self._delete(db, doomed))

    async def clear(self) -> None:
        """Forget everything of this namespace."""
        await self._writer.run(self._clear)

    async def ping(self) -> None:
        """Return if the file can be read; raise `BackendError` if not."""
        await self._reader.run(lambda db: self._read(db, [""]))

    async def statistics(self) -> SQLiteStatistics:
        """Statistics of this namespace in the file, over all processes."""
        return await self._reader.run(self._statistics)

    async def close(self) -> None:
        """Release the file and the threads. May be called twice; a later use opens them again."""
        await self._writer.close()
        await self._reader.close()

    # In a thread.

    def _read(self, db: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Held]:
        now = self._clock()
        found: dict[str, Held] = {}
        for start in range(0, len(keys), _VARIABLES):
            some = keys[start : start + _VARIABLES]
            marks = ",".join("?" * len(some))
            rows = db.execute(f"{_SELECT} ({marks})", (self.namespace, now, *some))
            found.update({key: Held(value, expires - now) for key, value, expires in rows})
        return found

    def _write(self, db: sqlite3.Connection, items: Mapping[str, tuple[bytes, float]]) -> None:
        now = self._clock()
        rows = [
            (self.namespace, key, now + ttl, OVERHEAD + len(key) + len(value), value)
            for key, (value, ttl) in items.items()
        ]
        with writing(db):
            db.execute(_EXPIRE, (now, _SWEEP + len(rows)))
            db.executemany(_REMOVE, [(self.namespace, key) for key in items])
            for row in rows:
                if row[3] <= self.max_bytes:
                    self._make_room(db, row[3])
                    db.execute(_INSERT, row)
        _give_back(db)

    def _make_room(self, db: sqlite3.Connection, size: int) -> None:
        excess = self._usage(db) + size - self.max_bytes
        doomed = []
        if excess > 0:
            for number, freed in db.execute(_OLDEST, (self.namespace,)):
                doomed.append((number,))
                excess -= freed
                if excess <= 0:
                    break
        db.executemany("DELETE FROM amt_entries_1 WHERE id=?", doomed)

    def _usage(self, db: sqlite3.Connection) -> int:
        row = db.execute(_USAGE, (self.namespace,)).fetchone()
        return int(row[0]) if row else 0

    def _delete(self, db: sqlite3.Connection, keys: Sequence[str]) -> int:
        with writing(db):
            alive = len(self._read(db, keys))
            db.executemany(_REMOVE, [(self.namespace, key) for key in keys])
        _give_back(db)
        return alive

    def _clear(self, db: sqlite3.Connection) -> None:
        with writing(db):
            db.execute("DELETE FROM amt_entries_1 WHERE namespace=?", (self.namespace,))
        _give_back(db)

    def _statistics(self, db: sqlite3.Connection) -> SQLiteStatistics:
        count = "SELECT count(*) FROM amt_entries_1 WHERE namespace=?"
        (entries,) = db.execute(count, (self.namespace,)).fetchone()
        return SQLiteStatistics(entries, self._usage(db), self.max_bytes)


def _give_back(db: sqlite3.Connection) -> None:
    """Give some free pages back to the disk, if there are many.

    A file created without `auto_vacuum` cannot give any back.
    """
    (free,), (pages,) = (
        db.execute(f"PRAGMA {count}").fetchone() for count in ("freelist_count", "page_count")
    )
    if free > _SPARE and free * 4 > pages:
        # `execute` would give back a single page.
        db.executescript(f"PRAGMA incremental_vacuum({_SPARE})")


def _prepare(db: sqlite3.Connection) -> None:
    """Set up a new connection."""
    db.execute("PRAGMA synchronous=NORMAL")
    if db.execute(_IS_MADE).fetchone() is None:
        with writing(db):
            for statement in _SCHEMA:
                db.execute(statement)
