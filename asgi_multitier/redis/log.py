"""The invalidation log on a stream.

Two keys in one slot: a hash with the generation, the number of the last record and the last
operation, and a stream whose entries have the records' numbers as ids. One script writes a record,
one says what the log holds (`scripts`). A task with a connection of its own follows the stream;
another sends again what could not be sent. What anything means is decided by the `Follower`.

The tail must hear something every second: a record, or that there is none, and then the server is
asked what it holds, since a stream that vanished or went back to lower ids says nothing by itself.
A tail that has not been up to date for three seconds makes the index untrusted.
"""

import asyncio
import logging
import os
import time
from collections.abc import Coroutine, Sequence
from secrets import token_hex
from typing import Any, Literal, cast

from .._types import Clock
from ..breaker import CircuitBreaker
from ..coherence.config import InvalidationConfig
from ..coherence.follower import Facts, Follower, Step, Verdict
from ..coherence.index import Index
from ..coherence.log import InvalidationStats, LogListener, Operation, Update
from ..coherence.records import Record, RecordCodec
from ..entry import Born
from ..errors import BackendError, ConfigError, SerializationError
from ..selectors import Selector
from .client import Client, Dedicated, Link, Target, connect, send
from .permissions import refused
from .scripts import APPEND, ATTACH
from .tier import check_namespace

logger = logging.getLogger("asgi_multitier")

TRUST = 3.0
"""Seconds without having been up to date, after which the log is not trusted."""

KEEP = 7 * 24 * 3600
"""Seconds that the log is kept after its last use."""

_RENEW = 3600.0
_BLOCK = 1.0
_GRACE = 0.5
_COUNT = 500
_COMMIT = 0.25
_START = 2.0
_FLUSH = 1.0
_PAUSE = 0.02
_MAX_PAUSE = 0.5


class RedisLog:
    """An invalidation log in Redis or Valkey, followed by this node.

    Args:
        target: An address, a client of redis-py's asyncio kind, or a link.
        namespace: Stands in the names of the keys; nodes with the same one hear each other.
        config: Names and lengths of the streams.
        secret: Key of the records' MAC; all nodes have the same one, or none.
        on_failover: What a change of the server behind the log means. `"flush"`: records may have
            been lost with the old one, so everything cached counts as invalid. `"trust"`: only what
            the numbers and the chain show.
        optional: Whether there may be no server at all. Until one was seen, this node then believes
            what it holds: it is alone.
        clock: Monotonic seconds; the clock of the entries.

    Raises:
        ConfigError: If a setting is wrong.
    """

    def __init__(
        self,
        target: "Target | Link | None" = None,
        *,
        namespace: str = "asgi-multitier",
        config: InvalidationConfig | None = None,
        secret: bytes | None = None,
        on_failover: Literal["flush", "trust"] = "flush",
        optional: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        if on_failover not in ("flush", "trust"):
            raise ConfigError.of("on_failover", on_failover, ("flush", "trust"))
        self.config = config or InvalidationConfig()
        self.namespace = check_namespace(namespace)
        self.link = connect(target)
        self.index = Index(clock=clock)
        self.index.distrust()
        self._owns_link = not isinstance(target, Link)
        self._clock = clock
        self._on_failover = on_failover
        self._optional = optional
        self._log_key = f"{{{namespace}}}:{self.config.channel}"
        self._keys = (f"{self._log_key}:ctl", self._log_key)
        self._audit_key = f"{{{namespace}}}:{self.config.audit_stream}"
        self._codec = RecordCodec(namespace, secret)
        self._follower = Follower(self.index, later=self._later, clock=clock)
        self._breaker = CircuitBreaker()
        self._pid = os.getpid()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tail: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()
        self._waiting: list[tuple[Born, asyncio.Future[None]]] = []
        self._heard = self._renewed = -float("inf")
        self._pause = 0.0
        self._connected = True
        self._audit_errors = 0
        self._permissions_checked = False

    def __repr__(self) -> str:
        return f"<RedisLog {self._log_key} at {self.link.name}, {self.index!r}>"

    @property
    def trusted(self) -> bool:
        """Whether the log has been heard of recently enough to believe shared tiers."""
        return self.index.settled

    def stats(self) -> InvalidationStats:
        """A frozen reading of the counters."""
        return self._follower.stats(audit_errors=self._audit_errors)

    # Life.

    async def start(self, listener: LogListener) -> None:
        """Begin to follow. Returns once up to date, or once the server is known to be away."""
        self._follower.listener = listener
        self._follower.rearm()
        self._know_process()
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
        await _end(self._tail, self._sender)
        self._tail = self._sender = None
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        self.index.distrust()
        await self._send_last()
        await _end(*self._tasks)
        if self._owns_link:
            await self.link.close()

    async def _send_last(self) -> None:
        try:
            async with asyncio.timeout(_FLUSH):
                while (operation := self._follower.resend()) is not None:
                    await self._send(operation, _COMMIT)
        except (BackendError, TimeoutError) as error:
            logger.error("%s: %s invalidations are lost: %s", self, self._follower.queued, error)

    def _know_process(self) -> None:
        """A forked process is a node of its own."""
        if os.getpid() != self._pid:
            self._pid = os.getpid()
            self._follower.take_new_identity()

    def _later(self, delay: float, callback: Any) -> object:
        return asyncio.get_running_loop().call_later(delay, callback)

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
        """Make it known to every node, within 250 ms. See `InvalidationLog.commit`."""
        if not self._breaker.allows(self._clock()):
            self._queue(operation)
            return None
        try:
            position = await self._send(operation, _COMMIT)
        except BackendError:
            self._breaker.failed(self._clock())
            self._queue(operation)
            return None
        except BaseException:
            # Whoever waited for it left. What it dropped must be dropped everywhere all the same.
            self._queue(operation)
            raise
        if self.config.enable_audit_stream:
            self._spawn(self._audit(operation))
        return position

    async def _send(self, operation: Operation, seconds: float) -> Born:
        deadline = self._clock() + seconds
        epoch = self._follower.epoch
        position = Born("", 0)
        for number, body in enumerate(self._follower.bodies(operation)):
            op = f"{operation.id}.{number}" if number else operation.id
            data, mac = self._codec.encode(op, body)
            self._follower.sending(op)
            position = await self._append(op, data, mac, deadline - self._clock())
        self._breaker.succeeded(self._clock())
        self._follower.sent(operation, epoch)
        return position

    async def _append(self, op: str, data: bytes, mac: bytes, seconds: float) -> Born:
        seq = self.index.seq

        async def work(client: Client) -> Any:
            return await APPEND.run(
                client,
                self._keys,
                op,
                data,
                mac,
                token_hex(16),
                self.config.maxlen,
                KEEP * 1000,
                seq,
            )

        gen, number = await self.link.run(work, timeout=max(seconds, 0.001))
        return Born(gen.decode(), int(number))

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
                    await self._send(operation, _COMMIT)
                    pause = _PAUSE
                except BackendError:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _MAX_PAUSE)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="asgi-multitier audit")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _audit(self, operation: Operation) -> None:
        fields = {**_audited(operation), "timestamp": f"{time.time():.3f}"}
        fields["node"] = self._follower.node
        flat = [text for field in fields.items() for text in field]
        length = self.config.audit_stream_maxlen
        command = ("XADD", self._audit_key, "MAXLEN", "~", length, "*", *flat)
        try:
            await self.link.run(lambda client: send(client, *command))
        except BackendError:
            self._audit_errors += 1

    # Reading.

    async def _follow(self) -> None:
        while True:
            try:
                async with self.link.dedicated() as connection:
                    await self._reconcile(connection)
                    await self._check_permissions(connection)
                    while True:
                        await self._step(connection)
            except BackendError as error:
                self._lost(error)
            except Exception:
                # A tail that ended would leave the node untrusted for good.
                logger.exception("%s: the tail broke and begins again", self)
            await asyncio.sleep(self._pause)
            self._pause = min(max(2 * self._pause, _PAUSE), _MAX_PAUSE)

    async def _check_permissions(self, connection: Dedicated) -> None:
        """Say once what the server's user is not allowed to do."""
        if self._permissions_checked:
            return
        self._permissions_checked = True
        log, namespace = self._log_key, self.namespace
        found = await connection.run(
            lambda client: refused(client, log, namespace), timeout=2 * self.link.timeout
        )
        for command in found:
            logger.warning(
                "%s: the user has no permission to run %s; docs/redis.md lists what is needed",
                self.link.name,
                command,
            )

    async def _step(self, connection: Dedicated) -> None:
        """Wait for records and apply them; where none come, ask whether all is as we think."""
        block = int(_BLOCK * 1000)
        after = f"{self.index.seq}-0"
        command = ("XREAD", "COUNT", _COUNT, "BLOCK", block, "STREAMS", self._log_key, after)
        reply = await connection.run(lambda client: send(client, *command), timeout=_BLOCK + _GRACE)
        if not reply:
            await self._reconcile(connection)
            return
        found = reply[0][1]
        for number, fields in found:
            record = self._record(number, fields)
            step = self._follower.read(record)
            if step in (Step.MISSING, Step.REPLACED):
                await self._reconcile(connection, step, record)
                return
        self._tell_waiting()
        if len(found) < _COUNT:
            self._up_to_date()
        else:
            await asyncio.sleep(0)

    def _record(self, number: bytes, flat: Sequence[bytes] | None) -> Record:
        flat = flat or ()
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        op = _text(fields, b"o")
        try:
            body = self._codec.decode(op, fields.get(b"d", b""), fields.get(b"m", b""))
        except SerializationError as error:
            logger.error("%s: record %s counts as everything: %s", self, number.decode(), error)
            body = None
        seq = int(number.split(b"-", 1)[0])
        return Record(seq, _text(fields, b"g"), _text(fields, b"p"), op, body)

    async def _reconcile(
        self, connection: Dedicated, step: Step | None = None, record: Record | None = None
    ) -> None:
        """Ask what the log holds, and go on from where that leaves us."""
        facts = await self._attach(connection)
        verdict = self._follower.judge(facts)
        before = None
        if verdict in (Verdict.CURRENT, Verdict.BEHIND):
            # The log looks whole from outside; the record that did not fit says otherwise.
            if step is Step.REPLACED:
                verdict = Verdict.REPLACED
            elif step is Step.MISSING and record is not None:
                verdict, before = Verdict.LOST, record.seq
        if verdict is Verdict.REPLACED:
            facts = await self._attach(connection, condemned=facts.gen)
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

    async def _attach(self, connection: Dedicated, condemned: str = "") -> Facts:
        renew = self._clock() - self._renewed > _RENEW
        seq = self.index.seq

        async def work(client: Client) -> Any:
            return await ATTACH.run(
                client,
                self._keys,
                seq,
                token_hex(16),
                condemned,
                int(self._on_failover == "flush"),
                KEEP * 1000,
                int(renew),
            )

        reply = await connection.run(work, timeout=2 * self.link.timeout)
        if renew:
            self._renewed = self._clock()
        gen, number, last, first, top, at = reply
        return Facts(
            gen.decode(),
            int(number),
            last.decode(),
            None if first is None else int(first),
            None if top is None else int(top),
            None if at is None else at.decode(),
        )

    # Trust.

    def _up_to_date(self) -> None:
        self._heard = self._clock()
        self._pause = 0.0
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

    def _lost(self, error: BackendError) -> None:
        if self._connected:
            self._connected = False
            logger.warning("the invalidation log does not answer, trying again: %s", error)
        if self._optional and not self.index.gen:
            self.index.trust()
        self._tried.set()

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
        if not self._waiting:
            return
        there = [waiter for waiter in self._waiting if self._is_reached(waiter[0])]
        for waiter in there:
            self._waiting.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_result(None)


def _text(fields: dict[bytes, bytes], name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")


def _audited(operation: Operation) -> dict[str, str]:
    """The readable form of an operation: what kind, what text, how many."""
    selectors = operation.selectors
    if operation.updates and not selectors and len(operation.updates) == 1:
        return {"type": "update", "key": operation.updates[0].key}
    count = len(selectors) + len(operation.updates)
    if count != 1:
        return {"type": "remove_bulk", "count": str(count)}
    kind, text = selectors[0]
    if kind == "key":
        return {"type": "remove", "key": text}
    if kind == "glob":
        return {"type": "remove_pattern", "pattern": text}
    return {"type": f"remove_{kind}", "key": text}


async def _end(*tasks: "asyncio.Task[None] | None") -> None:
    """Cancel tasks and wait for them. Tasks of an event loop that is gone ended with it."""
    loop = asyncio.get_running_loop()
    ours = [task for task in tasks if task is not None and task.get_loop() is loop]
    for task in ours:
        task.cancel()
    results = await asyncio.gather(*ours, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            logger.error("a task of the invalidation log failed", exc_info=cast("Any", result))
