"""The invalidation log in an SQLite file, for all workers of one machine, without a server.

A file of its own beside the one of the entries: a commit here need not wait for the writers there,
and is synced to the disk. After a power cut the youngest entries may be gone, but no invalidation
that was acknowledged, so nothing older than it comes back.

Nobody can be told of a change in a file, so each process looks, every 10 ms, in a thread: `PRAGMA
data_version` reads a counter in shared memory, takes no lock and touches no disk, and only where it
has moved is the table read. An edit is seen after 5 ms on average and 10 ms at most, beside what
the scheduler adds. Looking less often while a process is idle would only delay what its next
request may see, so there is no second pace.

What anything means is decided by the `Follower`, as for the log on Redis.
"""

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any, Final

from ._types import Clock
from .breaker import CircuitBreaker
from .coherence.follower import Facts, Follower, Step, Verdict
from .coherence.index import Index
from .coherence.log import InvalidationStats, LogListener, Operation, Update
from .coherence.records import Record, RecordCodec
from .entry import Born
from .errors import BackendError, ConfigError, SerializationError
from .selectors import Selector
from .sqlite_worker import SQLiteWorker, check_path, writing

logger = logging.getLogger("asgi_multitier")

POLL: Final = 0.01
"""Seconds between two looks at the file."""

TRUST: Final = 3.0
"""Seconds without having been up to date, after which the log is not trusted."""

SUFFIX: Final = "-invalidations"
"""What the log's file is called beside the file of the entries."""

_BLOCK = 1.0
_COUNT = 500
_COMMIT = 0.25
_START = 2.0
_FLUSH = 1.0
_PAUSE = 0.02
_MAX_PAUSE = 0.5

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
_SET_STATE = "INSERT OR REPLACE INTO amt_log_state_1 VALUES (?, ?, ?, ?)"
_APPEND = "INSERT OR REPLACE INTO amt_log_1 VALUES (?, ?, ?, ?, ?, ?, ?)"
_TRIM = "DELETE FROM amt_log_1 WHERE namespace=? AND seq<=?"
_CLEAR = "DELETE FROM amt_log_1 WHERE namespace=?"
_AFTER = (
    "SELECT seq, gen, prev, op, data, mac FROM amt_log_1"
    " WHERE namespace=? AND seq>? ORDER BY seq LIMIT ?"
)
_ENDS = "SELECT min(seq), max(seq) FROM amt_log_1 WHERE namespace=?"
_OP_AT = "SELECT op FROM amt_log_1 WHERE namespace=? AND seq=?"


class SQLiteLog:
    """An invalidation log in a file, followed by this process.

    Args:
        path: The file of the entries; the log's own stands beside it.
        namespace: Processes with the same one hear each other.
        maxlen: Records kept: how far a process may fall behind before it counts as lost.
        secret: Key of the records' MAC; all processes have the same one, or none.
        clock: Monotonic seconds; the clock of the entries.

    Raises:
        ConfigError: If the path is not a file's, or `maxlen` is below 100.
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
        entries = check_path(path, where="SQLiteLog")
        self.path = entries.with_name(entries.name + SUFFIX)
        self.namespace = namespace
        self.index = Index(clock=clock)
        self.index.distrust()
        self._clock = clock
        self._maxlen = maxlen
        self._codec = RecordCodec(namespace, secret)
        self._follower = Follower(self.index, later=_call_later, clock=clock)
        self._breaker = CircuitBreaker()
        self._pid = os.getpid()
        self._reader = SQLiteWorker(self.path, _COMMIT, "log reader", prepare=_prepare)
        self._writer = SQLiteWorker(self.path, _COMMIT, "log writer", prepare=_prepare)
        self._tail: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()
        self._waiting: list[tuple[Born, asyncio.Future[None]]] = []
        self._heard = -float("inf")
        self._connected = True
        # Of the thread that looks.
        self._seen: int | None = None
        self._turn = 0
        self._nudge = threading.Event()

    def __repr__(self) -> str:
        return f"<SQLiteLog {self.namespace} in {self.path}, {self.index!r}>"

    @property
    def trusted(self) -> bool:
        """Whether the log has been read recently enough to believe shared tiers."""
        return self.index.settled

    def stats(self) -> InvalidationStats:
        """A frozen reading of the counters."""
        return self._follower.stats()

    # Life.

    async def start(self, listener: LogListener) -> None:
        """Begin to follow. Returns once up to date, or once the file is known to be unusable."""
        self._follower.listener = listener
        self._follower.rearm()
        self._know_process()
        self._stop_looking()
        self._wake, self._tried = asyncio.Event(), asyncio.Event()
        self._tail = asyncio.create_task(self._follow(), name="asgi-multitier log tail")
        self._sender = asyncio.create_task(self._send_again(), name="asgi-multitier log sender")
        if self._follower.queued:
            self._wake.set()
        try:
            async with asyncio.timeout(_START):
                await self._tried.wait()
        except TimeoutError:
            logger.warning(
                "%s: not up to date with the log yet; it goes on in the background", self
            )

    async def close(self) -> None:
        """Stop following; send what waits, or say what is lost. May be called twice."""
        self._stop_looking()
        await _end(self._tail, self._sender)
        self._tail = self._sender = None
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        self.index.distrust()
        try:
            async with asyncio.timeout(_FLUSH):
                while (operation := self._follower.resend()) is not None:
                    await self._send(operation)
        except (BackendError, TimeoutError) as error:
            logger.error("%s: %s invalidations are lost: %s", self, self._follower.queued, error)
        await self._reader.close()
        await self._writer.close()

    def _know_process(self) -> None:
        """A forked process is a node of its own."""
        if os.getpid() != self._pid:
            self._pid = os.getpid()
            self._nudge = threading.Event()
            self._follower.take_new_identity()

    def _stop_looking(self) -> None:
        """Let the thread come back at once."""
        self._turn += 1
        self._nudge.set()

    # Writing.

    def begin(
        self, selectors: Sequence[Selector], updates: Sequence[Update] = (), *, settle: float = 0.0
    ) -> Operation:
        """Put an invalidation into force on this node. See `InvalidationLog.begin`."""
        self._know_process()
        operation = self._follower.begin(selectors, updates, settle)
        if self._follower.queued:
            self._wake.set()
        return operation

    async def commit(self, operation: Operation) -> Born | None:
        """Make it known to every process, within 250 ms. See `InvalidationLog.commit`."""
        if not self._breaker.allows(self._clock()):
            self._queue(operation)
            return None
        try:
            async with asyncio.timeout(_COMMIT):
                return await self._send(operation)
        except (BackendError, TimeoutError):
            self._breaker.failed(self._clock())
            self._queue(operation)
            return None
        except BaseException:
            # Whoever waited for it left. What it dropped must be dropped everywhere all the same.
            self._queue(operation)
            raise

    async def _send(self, operation: Operation) -> Born:
        epoch = self._follower.epoch
        position = Born("", 0)
        for number, body in enumerate(self._follower.bodies(operation)):
            op = f"{operation.id}.{number}" if number else operation.id
            data, mac = self._codec.encode(op, body)
            self._follower.sending(op)
            position = await self._writer.run(self._appending(op, data, mac))
        self._nudge.set()
        self._breaker.succeeded(self._clock())
        self._follower.sent(operation, epoch)
        return position

    def _appending(self, op: str, data: bytes, mac: bytes) -> Callable[[sqlite3.Connection], Born]:
        def work(db: sqlite3.Connection) -> Born:
            with writing(db):
                gen, seq, last = self._state(db)
                seq += 1
                db.execute(_APPEND, (self.namespace, seq, gen, last, op, data, mac))
                db.execute(_SET_STATE, (self.namespace, gen, seq, op))
                db.execute(_TRIM, (self.namespace, seq - self._maxlen))
            return Born(gen, seq)

        return work

    def _state(self, db: sqlite3.Connection, condemned: str = "") -> tuple[str, int, str]:
        """Generation, number of the last record and its operation; begins one if need be."""
        row = db.execute(_STATE, (self.namespace,)).fetchone()
        if row is not None and row[0] != condemned:
            return str(row[0]), int(row[1]), str(row[2])
        gen = token_hex(16)
        db.execute(_CLEAR, (self.namespace,))
        db.execute(_SET_STATE, (self.namespace, gen, 0, ""))
        return gen, 0, ""

    def _queue(self, operation: Operation) -> None:
        self._follower.unsent(operation)
        self._wake.set()

    async def _send_again(self) -> None:
        """Send what could not be sent, as soon as that is possible."""
        pause = _PAUSE
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (operation := self._follower.resend()) is not None:
                try:
                    await self._send(operation)
                    pause = _PAUSE
                except BackendError:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _MAX_PAUSE)

    # Reading.

    async def _follow(self) -> None:
        pause = 0.0
        while True:
            try:
                await self._reconcile()
                while True:
                    pause = 0.0
                    await self._step()
            except BackendError as error:
                if self._connected:
                    self._connected = False
                    logger.warning("the invalidation log cannot be read, trying again: %s", error)
                self._tried.set()
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, _PAUSE), _MAX_PAUSE)

    async def _step(self) -> None:
        """Wait for records and apply them; where none come, ask whether all is as we think."""
        rows = await self._reader.run(self._looking(self.index.seq, self._turn))
        if not rows:
            await self._reconcile()
            return
        for row in rows:
            record = self._record(*row)
            step = self._follower.read(record)
            if step in (Step.MISSING, Step.REPLACED):
                await self._reconcile(step, record)
                return
        self._tell_waiting()
        if len(rows) < _COUNT:
            self._up_to_date()
        else:
            await asyncio.sleep(0)

    def _looking(self, after: int, turn: int) -> Callable[[sqlite3.Connection], list[Any]]:
        """Work for the thread: look until there are records, for a second at most."""

        def work(db: sqlite3.Connection) -> list[Any]:
            deadline = time.monotonic() + _BLOCK
            while turn == self._turn:
                # The counter first: what is written in between is found at the next look.
                version = db.execute("PRAGMA data_version").fetchone()[0]
                if version != self._seen:
                    rows = db.execute(_AFTER, (self.namespace, after, _COUNT)).fetchall()
                    self._seen = None if rows else version
                    if rows:
                        return rows
                if time.monotonic() >= deadline:
                    break
                if self._nudge.wait(POLL):
                    self._nudge.clear()
            return []

        return work

    def _record(self, seq: int, gen: str, prev: str, op: str, data: bytes, mac: bytes) -> Record:
        try:
            body = self._codec.decode(op, data, mac)
        except SerializationError as error:
            logger.error("%s: record %s counts as everything: %s", self, seq, error)
            body = None
        return Record(seq, gen, prev, op, body)

    async def _reconcile(self, step: Step | None = None, record: Record | None = None) -> None:
        """Ask what the log holds, and go on from where that leaves us."""
        facts = await self._attach()
        verdict = self._follower.judge(facts)
        before = None
        if verdict in (Verdict.CURRENT, Verdict.BEHIND):
            # The log looks whole from outside; the record that did not fit says otherwise.
            if step is Step.REPLACED:
                verdict = Verdict.REPLACED
            elif step is Step.MISSING and record is not None:
                verdict, before = Verdict.LOST, record.seq
        if verdict is Verdict.REPLACED:
            facts = await self._attach(condemned=facts.gen)
        if verdict not in (Verdict.CURRENT, Verdict.BEHIND):
            self._adopt(facts, verdict, before)
        if self.index.seq >= facts.seq:
            self._up_to_date()

    def _adopt(self, facts: Facts, verdict: Verdict, before: int | None) -> None:
        if self.index.gen:
            logger.warning("%s: history is %s; all that is cached is dropped", self, verdict.value)
        self.index.distrust()
        self._follower.adopt(facts, before=before)
        self._tell_waiting()
        if self._follower.queued:
            self._wake.set()

    async def _attach(self, condemned: str = "") -> Facts:
        after = self.index.seq

        def work(db: sqlite3.Connection) -> Facts:
            self._seen = None
            row = db.execute(_STATE, (self.namespace,)).fetchone()
            if row is None or row[0] == condemned:
                with writing(db):
                    self._state(db, condemned)
            with db:  # one moment for all three, and nobody else's lock
                db.execute("BEGIN")
                gen, seq, last = db.execute(_STATE, (self.namespace,)).fetchone()
                first, top = db.execute(_ENDS, (self.namespace,)).fetchone()
                at = db.execute(_OP_AT, (self.namespace, after)).fetchone()
            return Facts(gen, seq, last, first, top, None if at is None else at[0])

        return await self._reader.run(work)

    # Trust.

    def _up_to_date(self) -> None:
        self._heard = self._clock()
        if not self._connected or not self.index.settled:
            logger.info("%s: up to date", self)
        self._connected = True
        self.index.trust()
        self._tried.set()
        if self._watchdog is None:
            self._watch()

    def _watch(self) -> None:
        """Wake when trust would end, and look whether it has been renewed meanwhile."""
        left = self._heard + TRUST - self._clock()
        if left > 0:
            self._watchdog = asyncio.get_running_loop().call_later(left, self._watch)
            return
        self._watchdog = None
        if self.index.settled:
            logger.warning("%s: not heard of for %g s; it is not trusted", self, TRUST)
            self.index.distrust()

    # Waiting for a position.

    async def reached(self, position: Born, timeout: float) -> bool:
        """Wait until this node has applied the log up to a position. See `InvalidationLog`."""
        if self._is_reached(position):
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (position, future)
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return False
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        return True

    def _is_reached(self, position: Born) -> bool:
        known = bool(position.gen) and position.gen == self.index.gen
        return known and position.seq <= self.index.seq

    def _tell_waiting(self) -> None:
        for waiter in [waiter for waiter in self._waiting if self._is_reached(waiter[0])]:
            self._waiting.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_result(None)


def _prepare(db: sqlite3.Connection) -> None:
    """What a new connection begins with. FULL: a commit is on the disk when it returns."""
    db.execute("PRAGMA synchronous=FULL")
    if db.execute(_IS_MADE).fetchone() is None:
        with writing(db):
            for statement in _SCHEMA:
                db.execute(statement)


def _call_later(delay: float, callback: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay, callback)


async def _end(*tasks: "asyncio.Task[None] | None") -> None:
    """Cancel tasks and wait for them. Tasks of an event loop that is gone ended with it."""
    loop = asyncio.get_running_loop()
    ours = [task for task in tasks if task is not None and task.get_loop() is loop]
    for task in ours:
        task.cancel()
    await asyncio.gather(*ours, return_exceptions=True)
