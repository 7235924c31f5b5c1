"""The records of a log in a stream of Redis or Valkey.

Two keys in one slot: a hash with the generation, the number of the last record and the last
operation, and a stream whose entries have the records' numbers as ids. One script writes a record,
one reads the state of the log (`scripts`).
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

from .._about import page
from .._types import Clock
from ..coherence.store import FEW, MAX_BYTES, PATIENCE, Batch, Facts, StoredRecord, next_count
from ..config.invalidation import InvalidationConfig
from ..entry import Born
from ..errors import BackendError
from .beats import StreamBeats
from .client import Dedicated, Link, Work, one_command
from .recipe import RedisClient
from .scripts import APPEND, ATTACH, CHECK
from .tier import scanned

logger: logging.Logger = logging.getLogger("asgi_multitier")

KEEP = 7 * 24 * 3600
"""Seconds that the log is kept after its last use, on the server."""

_RENEW = 3600.0
_GRACE = 0.5
_NAMES_PATIENCE = 2.0

_NEEDED_FOR_LOG = (
    "HMGET {log}:ctl gen",
    "HSET {log}:ctl gen x",
    "DEL {log}:ctl",
    "PEXPIRE {log}:ctl 1",
    "INFO server",
    "XADD {log} * f v",
    "XLEN {log}",
    "XTRIM {log} MAXLEN 1",
    "XRANGE {log} - +",
    "XREVRANGE {log} + -",
    "XREAD STREAMS {log} 0",
)
_NEEDED_FOR_ENTRIES = (
    "GET {entry}",
    "GETRANGE {entry} 0 1",
    "PTTL {entry}",
    "SET {entry} v",
    "UNLINK {entry}",
)


class StreamStore:
    """A `LogStore` on two keys.

    Args:
        link: The connections.
        namespace: Part of the keys' names.
        config: Name and length of the stream.
        flush_on_failover: Whether the log's generation ends when another server takes over.
        clock: Monotonic seconds.

    Attributes:
        control, stream: The two keys.
        beats: Where the nodes tell of themselves: a third key in the same slot.
    """

    def __init__(
        self,
        link: Link,
        namespace: str,
        config: InvalidationConfig,
        *,
        flush_on_failover: bool,
        clock: Clock,
    ) -> None:
        self.link = link
        self.namespace = namespace
        self.stream: str = f"{{{namespace}}}:{config.channel}"
        self.control: str = f"{self.stream}:ctl"
        self._keys = (self.control, self.stream)
        self.beats: StreamBeats = StreamBeats(link, namespace)
        self._maxlen = config.maxlen
        self._flush_on_failover = flush_on_failover
        self._clock = clock
        self.own_gen: str = ""
        self._renewed = -float("inf")
        self._permissions_checked = False

    @property
    def name(self) -> str:
        """Its location, without credentials."""
        return f"{self.stream} at {self.link.name}"

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:
        """Append a record. See `LogStore.append`."""
        proposed = token_hex(16)
        work = APPEND.work(
            self._keys, op, data, mac, proposed, self._maxlen, KEEP * 1000, after, MAX_BYTES
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
        """The state of the log. See `LogReader.facts`."""
        renew = self._clock() - self._renewed > _RENEW
        proposed, flush = token_hex(16), int(self._flush_on_failover)
        work = ATTACH.work(self._keys, after, proposed, condemned, flush, KEEP * 1000, int(renew))
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
        """Log once which needed commands the server's user may not run."""
        if self._permissions_checked:
            return
        found = await connection.run(
            lambda client: _refused(client, self.stream, self.namespace),
            timeout=2 * self.link.timeout,
        )
        self._permissions_checked = True
        for command in found:
            logger.warning(
                "%s: no permission to run %s; %s lists what is needed",
                self.link.name,
                command,
                page("guides/redis.md#permissions"),
            )


class StreamReader:
    """A connection that waits for records.

    Args:
        store: The store to read.
        connection: Used by this reader alone.
    """

    def __init__(self, store: StreamStore, connection: Dedicated) -> None:
        self._store = store
        self._connection = connection
        self._count = FEW

    async def facts(self, after: int, condemned: str = "") -> Facts:
        """The state of the log. See `LogReader.facts`."""
        # Before anything is refused: a refused script does not always name the command.
        await self._store.check_permissions(self._connection)
        return await self._store.attach(self._connection, after, condemned)

    async def records(self, after: int) -> Batch:
        """The next records, with a deadline of our own: a server that hangs reports no error."""
        block = int(PATIENCE * 1000)
        where = ("STREAMS", self._store.stream, f"{after}-0")
        count = self._count
        work = one_command("XREAD", "COUNT", count, "BLOCK", block, *where)
        reply = await self._connection.run(work, timeout=PATIENCE + _GRACE)
        found = [_stored(number, fields) for number, fields in reply[0][1]] if reply else []
        self._count = next_count(count, found)
        return Batch(found, len(found) == count)


def _stored(number: bytes, flat: Sequence[bytes] | None) -> StoredRecord:
    flat = flat or ()
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return StoredRecord(
        int(number.split(b"-", 1)[0]),
        _field(fields, b"g"),
        _field(fields, b"p"),
        _field(fields, b"o"),
        fields.get(b"d", b""),
        fields.get(b"m", b""),
    )


def _field(fields: dict[bytes, bytes], name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")


async def _refused(client: RedisClient, log: str, namespace: str) -> list[str]:
    """The commands, with their keys, that the cache needs and the user may not run.

    Asks the server whether it would allow each; none is run. Servers before Redis 7 cannot be asked
    and give an empty list: there the first refused command reports it.
    """
    # The script splits at spaces; names of logs and namespaces have none.
    needed = [
        text.format(log=log, entry=f"{namespace}:e:x")
        for text in _NEEDED_FOR_LOG + _NEEDED_FOR_ENTRIES
    ]
    reply: list[Any] = await CHECK.run(client, [log], *needed)
    return [text.decode() for text in reply]


async def refused_commands(link: Link, namespace: str, channel: str) -> list[str]:
    """The commands, with their keys, that a log and its entries need and the user may not run.

    Raises:
        BackendError: If the server cannot be reached.
    """
    stream = f"{{{namespace}}}:{channel}"
    work: Work = lambda client: _refused(client, stream, namespace)  # noqa: E731
    found: list[str] = await link.run(work, key=stream, timeout=2 * link.timeout)
    return found


async def namespaces(link: Link, channel: str) -> set[str]:
    """The namespaces that have a log on a server; those found within two seconds.

    Args:
        link: The connections.
        channel: The name of the logs within their namespaces.

    Raises:
        BackendError: If the server cannot be reached, or none was found in time.
    """
    found: set[str] = set()
    end = f"}}:{channel}:ctl"
    escaped = re.sub(r"([*?\\[\]^])", r"\\\1", end)
    try:
        async with asyncio.timeout(_NAMES_PATIENCE):
            async for names in scanned(link, "{*" + escaped):
                found.update(name[1 : -len(end)] for name in names)
    except TimeoutError:
        if not found:
            raise BackendError(f"{link.name}: no namespace found in time") from None
    return found
