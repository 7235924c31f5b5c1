"""The invalidation log on a stream of Redis or Valkey."""

import time
from dataclasses import replace
from typing import Literal

from .._types import Clock
from ..coherence.log import InvalidationStats, Operation
from ..coherence.records import RecordCodec
from ..coherence.shared import SharedLog
from ..config.invalidation import InvalidationConfig
from ..errors import ConfigError
from .audit import Audit
from .client import Link, Target, connect
from .log_store import StreamStore
from .tier import check_namespace


class RedisLog(SharedLog):
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
        config = config or InvalidationConfig()
        check_namespace(namespace)
        self._link = connect(target)
        self._owns_link = not isinstance(target, Link)
        store = StreamStore(
            self._link,
            namespace,
            config.channel,
            maxlen=config.maxlen,
            flush_on_failover=on_failover == "flush",
            clock=clock,
        )
        super().__init__(store, RecordCodec(namespace, secret), optional=optional, clock=clock)
        self._audit: Audit | None = None
        if config.enable_audit_stream:
            stream = f"{{{namespace}}}:{config.audit_stream}"
            self._audit = Audit(self._link, stream, config.audit_stream_maxlen)

    def _sent(self, operation: Operation) -> None:
        if self._audit is not None:
            self._audit.tell(operation, self._follower.node)

    def stats(self) -> InvalidationStats:
        """A frozen reading of the counters."""
        stats = super().stats()
        return stats if self._audit is None else replace(stats, audit_errors=self._audit.errors)

    async def close(self) -> None:
        """Stop following; send what waits, or say what is lost. May be called twice."""
        await super().close()
        if self._audit is not None:
            await self._audit.close()
        if self._owns_link:
            await self._link.close()
