"""The invalidation log on a stream of Redis or Valkey, and its audit stream."""

import asyncio
import time
from dataclasses import replace
from typing import Literal

from .._types import Clock
from ..coherence.log import InvalidationStats, Operation
from ..coherence.records import RecordCodec
from ..coherence.shared import SharedLog
from ..config.invalidation import InvalidationConfig
from ..errors import BackendError, ConfigError
from ..tracing import background
from .client import Link, check_namespace, connect, one_command
from .log_store import StreamStore
from .recipe import UrlOrClient


class RedisLog(SharedLog):
    """An invalidation log in Redis or Valkey, followed by this node.

    Args:
        target: An address, a client of redis-py's asyncio kind, or a link.
        namespace: Part of the keys' names; nodes with the same one share a log.
        config: Names and lengths of the streams.
        secret: Key of the records' MAC; the same on all nodes, or None.
        on_failover: What happens when another server takes over. `"flush"`: records may have been
            lost with the old one, so everything cached counts as invalid. `"trust"`: only what the
            numbers and the chain of records show.
        optional: Whether there may be no server at all. Until one was seen, this node trusts its
            own memory: it is alone.
        clock: Monotonic seconds; the clock of the entries.

    Raises:
        ConfigError: If a setting is wrong.
    """

    def __init__(
        self,
        target: "UrlOrClient | Link | None" = None,
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
        config = config or InvalidationConfig()
        check_namespace(namespace)
        self._link = connect(target)
        self._owns_link = not isinstance(target, Link)
        flush = on_failover == "flush"
        store = StreamStore(self._link, namespace, config, flush_on_failover=flush, clock=clock)
        super().__init__(store, RecordCodec(namespace, secret), optional=optional, clock=clock)
        self._audit: Audit | None = None
        if config.enable_audit_stream:
            stream = f"{{{namespace}}}:{config.audit_stream}"
            self._audit = Audit(self._link, stream, config.audit_stream_maxlen)

    def _sent(self, operation: Operation) -> None:
        if self._audit is not None:
            self._audit.write(operation, self._follower.node)

    def stats(self) -> InvalidationStats:
        """A frozen reading of the counters."""
        stats = super().stats()
        return stats if self._audit is None else replace(stats, audit_errors=self._audit.errors)

    async def close(self) -> None:
        """Stop following; send what is queued, or log what is lost. May be called twice."""
        await super().close()
        if self._audit is not None:
            await self._audit.close()
        if self._owns_link:
            await self._link.close()


class Audit:
    """The audit stream: each invalidation in a form that people and other programs can read.

    One entry for each operation, written in the background.

    Args:
        link: The connections.
        stream: The stream's key.
        maxlen: About how many entries it keeps.

    Attributes:
        errors: Entries that could not be written.
    """

    def __init__(self, link: Link, stream: str, maxlen: int) -> None:
        self.errors: int = 0
        self._link = link
        self._stream = stream
        self._maxlen = maxlen
        self._tasks: set[asyncio.Task[None]] = set()

    def write(self, operation: Operation, node: str) -> None:
        """Write an operation of this node, in the background."""
        task = asyncio.create_task(
            self._append(operation, node), name="asgi-multitier audit", context=background()
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _append(self, operation: Operation, node: str) -> None:
        fields = {**readable(operation), "timestamp": f"{time.time():.3f}", "node": node}
        flat = [text for field in fields.items() for text in field]
        work = one_command("XADD", self._stream, "MAXLEN", "~", self._maxlen, "*", *flat)
        try:
            await self._link.run(work, key=self._stream)
        except BackendError:
            self.errors += 1

    async def close(self) -> None:
        """Wait for the entries being written; each has the time-out of one operation."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(task for task in self._tasks if task.get_loop() is loop))


def readable(operation: Operation) -> dict[str, str]:
    """The fields of an operation's entry: its type, and its text or how many selectors it has."""
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
