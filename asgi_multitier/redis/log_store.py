"""The records of a log in a stream of Redis or Valkey.

Two keys in one slot: a hash with the generation, the number of the last record and the last
operation, and a stream whose entries have the records' numbers as ids. One script writes a record,
one says what the log holds (`scripts`).
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

from .._types import Clock
from ..coherence.store import FEW, MAX_BYTES, PATIENCE, Batch, Facts, StoredRecord, next_count
from ..entry import Born
from .client import Client, Dedicated, Link, send
from .permissions import refused
from .scripts import APPEND, ATTACH

logger = logging.getLogger("asgi_multitier")

KEEP = 7 * 24 * 3600
"""Seconds that the log is kept after its last use."""

_RENEW = 3600.0
_GRACE = 0.5


class StreamStore:
    """A log's two keys.

    Args:
        link: The way to the server.
        namespace: Stands in the names of the keys.
        channel: Name of the stream within the namespace.
        maxlen: About how many records are kept.
        flush_on_failover: Whether a change of the server behind the log ends its generation.
        clock: Monotonic seconds.

    Attributes:
        control, stream: The two keys.
    """

    def __init__(
        self,
        link: Link,
        namespace: str,
        channel: str,
        *,
        maxlen: int,
        flush_on_failover: bool,
        clock: Clock,
    ) -> None:
        self.link = link
        self.namespace = namespace
        self.stream = f"{{{namespace}}}:{channel}"
        self.control = f"{self.stream}:ctl"
        self._maxlen = maxlen
        self._flush_on_failover = flush_on_failover
        self._clock = clock
        self.own_gen = ""
        self._renewed = -float("inf")
        self._permissions_checked = False

    @property
    def name(self) -> str:
        """Where it lies, without credentials."""
        return f"{self.stream} at {self.link.name}"

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:
        """Write a record at the end. See `LogStore.append`."""
        keys = (self.control, self.stream)
        proposed = token_hex(16)

        async def work(client: Client) -> Any:
            return await APPEND.run(
                client, keys, op, data, mac, proposed, self._maxlen, KEEP * 1000, after, MAX_BYTES
            )

        gen, number = await self.link.run(work, key=self.control, timeout=timeout)
        self._note(proposed, gen.decode())
        return Born(gen.decode(), int(number))

    def _note(self, proposed: str, gen: str) -> None:
        if gen == proposed:
            self.own_gen = gen

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["StreamReader"]:
        """A connection to read from. See `LogStore.reading`."""
        async with self.link.dedicated() as connection:
            yield StreamReader(self, connection)

    async def attach(self, connection: Dedicated, after: int, condemned: str) -> Facts:
        """What the log holds. See `LogReader.facts`."""
        keys = (self.control, self.stream)
        renew = self._clock() - self._renewed > _RENEW
        proposed = token_hex(16)

        async def work(client: Client) -> Any:
            flush = int(self._flush_on_failover)
            return await ATTACH.run(
                client, keys, after, proposed, condemned, flush, KEEP * 1000, int(renew)
            )

        reply = await connection.run(work, timeout=2 * self.link.timeout)
        if renew:
            self._renewed = self._clock()
        gen, number, last, first, top, at = reply
        self._note(proposed, gen.decode())
        return Facts(
            gen.decode(),
            int(number),
            last.decode(),
            None if first is None else int(first),
            None if top is None else int(top),
            None if at is None else at.decode(),
        )

    async def check_permissions(self, connection: Dedicated) -> None:
        """Say once what the server's user is not allowed to do."""
        if self._permissions_checked:
            return
        found = await connection.run(
            lambda client: refused(client, self.stream, self.namespace),
            timeout=2 * self.link.timeout,
        )
        self._permissions_checked = True
        for command in found:
            logger.warning(
                "%s: the user has no permission to run %s; docs/redis.md lists what is needed",
                self.link.name,
                command,
            )


class StreamReader:
    """A connection that waits for records.

    Args:
        store: What is read.
        connection: Ours alone.
    """

    def __init__(self, store: StreamStore, connection: Dedicated) -> None:
        self._store = store
        self._connection = connection
        self._count = FEW

    async def facts(self, after: int, condemned: str = "") -> Facts:
        """What the log holds. See `LogReader.facts`."""
        # Before anything is refused: the refusal of a script does not always say of what.
        await self._store.check_permissions(self._connection)
        return await self._store.attach(self._connection, after, condemned)

    async def records(self, after: int) -> Batch:
        """The next records. The deadline is ours: a server that hangs says nothing."""
        block = int(PATIENCE * 1000)
        where = ("STREAMS", self._store.stream, f"{after}-0")
        count = self._count
        reply = await self._connection.run(
            lambda client: send(client, "XREAD", "COUNT", count, "BLOCK", block, *where),
            timeout=PATIENCE + _GRACE,
        )
        found = [_stored(number, fields) for number, fields in reply[0][1]] if reply else []
        self._count = next_count(count, found)
        return Batch(found, len(found) == count)


def _stored(number: bytes, flat: Sequence[bytes] | None) -> StoredRecord:
    flat = flat or ()
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return StoredRecord(
        int(number.split(b"-", 1)[0]),
        _text(fields, b"g"),
        _text(fields, b"p"),
        _text(fields, b"o"),
        fields.get(b"d", b""),
        fields.get(b"m", b""),
    )


def _text(fields: dict[bytes, bytes], name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")
