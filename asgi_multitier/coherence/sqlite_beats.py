"""The beats of instances, in a table of the log's file."""

import sqlite3
import time
from collections.abc import Callable
from typing import Any, Literal

from ..tiers.sqlite_worker import SQLiteWorker, writing
from .beats import KEPT, MAX_BEAT, StoredBeat, checked

_TABLE = """CREATE TABLE IF NOT EXISTS amt_beats_1 (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace TEXT NOT NULL,
    at REAL NOT NULL,
    data BLOB NOT NULL,
    mac BLOB NOT NULL
)"""
_IS_MADE = "SELECT 1 FROM sqlite_master WHERE name='amt_beats_1'"
_ADD = "INSERT INTO amt_beats_1 (namespace, at, data, mac) VALUES (?, ?, ?, ?)"
_TRIM = "DELETE FROM amt_beats_1 WHERE id <= ?"
_SELECT = "SELECT id, at, data, mac FROM amt_beats_1 WHERE namespace=?"
_AFTER = f"{_SELECT} AND id>? AND length(data)<={MAX_BEAT} ORDER BY id DESC LIMIT {KEPT}"


class TableBeats:
    """A `BeatStore` in a table.

    Args:
        writer: The thread that writes to the log's file.
        namespace: Whose beats.
        durable: Whether a commit of the log is on the disk when it returns; a beat need not be.
        wall: Unix seconds.
    """

    source: Literal["redis", "sqlite"] = "sqlite"

    def __init__(
        self,
        writer: SQLiteWorker,
        namespace: str,
        *,
        durable: bool,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._namespace = namespace
        self._durable = durable
        self._wall = wall

    async def add(self, data: bytes, mac: bytes) -> StoredBeat:
        """Store a beat. See `BeatStore.add`."""
        checked(data)

        def work(db: sqlite3.Connection) -> StoredBeat:
            if self._durable:
                db.execute("PRAGMA synchronous=NORMAL")
            try:
                return self._add(db, data, mac)
            finally:
                if self._durable:
                    db.execute("PRAGMA synchronous=FULL")

        return await self._writer.run(work)

    def _add(self, db: sqlite3.Connection, data: bytes, mac: bytes) -> StoredBeat:
        at = self._wall()
        with writing(db):
            db.execute(_TABLE)
            number = db.execute(_ADD, (self._namespace, at, data, mac)).lastrowid or 0
            db.execute(_TRIM, (number - KEPT,))
        return StoredBeat((number, 0), at, data, mac)

    async def last(self, seconds: float) -> list[StoredBeat]:
        """The youngest beats. See `BeatStore.last`."""
        found = await self.after((0, 0))
        return [beat for beat in found if beat.at >= found[-1].at - seconds]

    async def after(self, place: tuple[int, int]) -> list[StoredBeat]:
        """The beats stored after one. See `BeatStore.after`."""

        def work(db: sqlite3.Connection) -> list[Any]:
            if db.execute(_IS_MADE).fetchone() is None:
                return []
            return db.execute(_AFTER, (self._namespace, place[0])).fetchall()

        rows = await self._writer.run(work)
        return [StoredBeat((number, 0), at, data, mac) for number, at, data, mac in reversed(rows)]
