"""Redis as a shared tier: bytes by key, with a lifetime.

Each value begins with 48 bytes of ASCII, the position in the log at which it was born: the
generation in 32 hexadecimal digits and the number in 16 decimal ones. The server's script compares
them, so that a delayed write does not replace a younger value. An entry holds the same position: if
the two differ, one is damaged, and both are removed.

Reads of one turn of the event loop are sent together, in one command to a single server and in one
pipeline to each node of a cluster.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast
from weakref import WeakKeyDictionary

from redis.exceptions import NoScriptError, ResponseError

from ..breaker import WHOLE
from ..entry import Born
from ..errors import BackendError
from ..tiers.base import Held
from ..tiers.codec import BORN_GEN, BORN_SEQ, MAGIC
from .client import Client, Link, Target, check_namespace, connect, send
from .scripts import READ, WRITE

BIRTH = 48
"""Bytes before each value."""

Reads: TypeAlias = list[tuple[str, "asyncio.Future[Held | None]"]]
"""Keys read in one turn of an event loop, with the futures of their callers."""

_UNKNOWN = "node not known yet"
_UNBORN = b"0" * BIRTH
_READ_AT_ONCE = 64
_DELETE_AT_ONCE = 500
_SCAN_AT_ONCE = 500


class RedisTier:
    """A tier in a Redis or Valkey server, or in a cluster of them.

    Args:
        target: An address (`redis://`, `rediss://`, `unix://`), a client of redis-py's asyncio kind
            (`Redis`, `RedisCluster`, a Sentinel's master), or a link. Connections are always
            new ones, with the settings found there and time-outs of 250 ms.
        namespace: The prefix of every key; separates applications.
        name: The tier's name in statistics.

    Raises:
        ConfigError: If the target or the namespace is invalid.
    """

    def __init__(
        self,
        target: "Target | Link | None" = None,
        *,
        namespace: str = "asgi-multitier",
        name: str = "redis",
    ) -> None:
        self.name = name
        self.namespace = check_namespace(namespace)
        self.link = connect(target)
        self._owns_link = not isinstance(target, Link)
        self._prefix = f"{self.namespace}:e:"
        self._batches: WeakKeyDictionary[asyncio.AbstractEventLoop, Reads] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<RedisTier {self.namespace} at {self.link.name}>"

    def server_of(self, key: str) -> str:
        """Name of the cluster's node that has the key. See `ShardedTier`."""
        if not self.link.cluster:
            return WHOLE
        return self.link.owner_of(self._prefix + key) or _UNKNOWN

    def servers(self) -> Collection[str]:
        """Names of the cluster's nodes that have keys; see `ShardedTier`."""
        if not self.link.cluster:
            return (WHOLE,)
        return self.link.owners() or (_UNKNOWN,)

    # Reading.

    async def get(self, key: str) -> Held | None:
        """The bytes and the seconds left. Calls of one turn of the loop share a round trip."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Held | None] = loop.create_future()
        waiting = self._batches.setdefault(loop, [])
        if not waiting:
            loop.call_soon(self._depart, waiting)
        waiting.append((key, future))
        return await future

    def _depart(self, batch: "Reads") -> None:
        by_server: dict[str, Reads] = {}
        for key, future in batch:
            by_server.setdefault(self.server_of(key), []).append((key, future))
        batch.clear()
        for waiting in by_server.values():
            for start in range(0, len(waiting), _READ_AT_ONCE):
                self._begin(waiting[start : start + _READ_AT_ONCE])

    def _begin(self, batch: "Reads") -> None:
        task = asyncio.create_task(self._serve(batch), name="asgi-multitier redis read")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, batch: "Reads") -> None:
        wanted = [(key, future) for key, future in batch if not future.done()]
        if not wanted:
            return
        try:
            found = await self._read([key for key, _ in wanted])
        except BackendError as error:
            for _, future in wanted:
                if not future.done():
                    future.set_exception(error.with_traceback(None))
            return
        except asyncio.CancelledError:
            for _, future in wanted:
                future.cancel()
            raise
        for (_, future), held in zip(wanted, found, strict=True):
            if not future.done():
                future.set_result(held)

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        """As `get`, for several keys in the order asked."""
        found: list[Held | None] = []
        for start in range(0, len(keys), _READ_AT_ONCE):
            found += await self._read(keys[start : start + _READ_AT_ONCE])
        return found

    async def _read(self, keys: Sequence[str]) -> list[Held | None]:
        names = [self._prefix + key for key in keys]
        read = self._read_cluster if self.link.cluster else self._read_server

        async def work(client: Client) -> list[Any]:
            return await read(client, names)

        replies = await self.link.run(work, key=names[0])
        values = replies[::2]
        damaged = {name for name, value in zip(names, values, strict=True) if not _is_whole(value)}
        if damaged:
            await self._unlink(list(damaged))
        return [
            None if name in damaged else _held(value, left)
            for name, value, left in zip(names, values, replies[1::2], strict=True)
        ]

    async def _read_server(self, client: Client, names: Sequence[str]) -> list[Any]:
        return cast("list[Any]", await READ.run(client, names))

    async def _read_cluster(self, client: Client, names: Sequence[str]) -> list[Any]:
        commands = ((word, name) for name in names for word in ("GET", "PTTL"))
        return [_found(reply) for reply in await _pipelined(client, commands, raises=False)]

    # Writing.

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep the bytes for `ttl` seconds, whatever is there."""
        await self.set_many({key: (value, ttl)})

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        """As `set`, for several keys in one round trip."""

        async def work(client: Client) -> None:
            await _pipelined(
                client,
                (
                    ("SET", self._prefix + key, _UNBORN + value, "PX", _milliseconds(ttl))
                    for key, (value, ttl) in items.items()
                ),
            )

        if items:
            await self.link.run(work, key=self._prefix + next(iter(items)))

    async def set_born(self, key: str, value: bytes, ttl: float, born: Born) -> bool:
        """As `set`, unless a value of the same generation is there that was born later.

        Returns:
            Whether it was stored. Correctness does not depend on it: readers check what they find.
        """
        return (await self.set_many_born({key: (value, ttl, born)}))[0]

    async def set_many_born(self, items: Mapping[str, tuple[bytes, float, Born]]) -> list[bool]:
        """As `set_born`, for several keys (value, ttl, born) in one round trip, in their order."""
        names = [self._prefix + key for key in items]
        args: list[tuple[bytes, int]] = []
        for value, ttl, born in items.values():
            args.append((_birth(born.gen, born.seq) + value, _milliseconds(ttl)))

        async def work(client: Client) -> list[int]:
            if not self.link.cluster:
                flat = [part for pair in args for part in pair]
                return cast("list[int]", await WRITE.run(client, names, *flat))
            return [stored for (stored,) in await self._write_cluster(client, names, args)]

        if not names:
            return []
        return [stored == 1 for stored in await self.link.run(work, key=names[0])]

    async def _write_cluster(
        self, client: Client, names: Sequence[str], args: Sequence[tuple[bytes, int]]
    ) -> list[list[int]]:
        """One script for each key, since each key has its own slot."""
        each = list(zip(names, args, strict=True))
        try:
            return await _pipelined(client, (WRITE.command([name], *arg) for name, arg in each))
        except NoScriptError:
            return [await WRITE.run(client, [name], *arg) for name, arg in each]

    async def delete(self, keys: Iterable[str]) -> int:
        """Forget the keys, in steps. Returns how many were there."""
        names = [self._prefix + key for key in keys]
        return await self._unlink(names)

    async def _unlink(self, names: Sequence[str]) -> int:
        count = 0
        for start in range(0, len(names), _DELETE_AT_ONCE):
            step = names[start : start + _DELETE_AT_ONCE]

            async def work(client: Client, step: Sequence[str] = step) -> int:
                if not self.link.cluster:
                    return int(await send(client, "UNLINK", *step))
                return int(sum(await _pipelined(client, [("UNLINK", name) for name in step])))

            count += await self.link.run(work, key=step[0])
        return count

    async def clear(self) -> None:
        """Forget everything of this namespace, in steps.

        Housekeeping: it scans all keys of the server; a cache that is cleared through the log need
        not call it. The pattern contains the namespace, which has no wildcard.
        """
        async for names in scanned(self.link, self._prefix + "*"):
            await self._unlink(names)

    async def ping(self) -> None:
        """Return if the server answers."""

        await self.link.run(lambda client: send(client, "PING"))

    async def close(self) -> None:
        """Cancel the reads under way and release the connections. May be called twice."""
        loop = asyncio.get_running_loop()
        tasks = [task for task in list(self._tasks) if task.get_loop() is loop]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._owns_link:
            await self.link.close()


async def _pipelined(
    client: Client, commands: Iterable[tuple[Any, ...]], *, raises: bool = True
) -> list[Any]:
    """Several commands in one round trip a server.

    The first error among the replies is raised, or each stands in its place.
    """
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        send(pipeline, *command)
    return await pipeline.execute(raise_on_error=raises)


def _found(reply: Any) -> Any:
    """The value of a key; None if it is not a string, as in `READ`."""
    if isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE"):
        return None
    if isinstance(reply, Exception):
        raise reply
    return reply


def _is_whole(value: bytes | None) -> bool:
    """Whether the birth before an entry equals the entry's own; other values have none."""
    if value is None or value[BIRTH : BIRTH + len(MAGIC)] != MAGIC or value[:BIRTH] == _UNBORN:
        return True
    entry = value[BIRTH : BIRTH + BORN_SEQ.stop]
    return value[:BIRTH] == _birth(entry[BORN_GEN].hex(), int.from_bytes(entry[BORN_SEQ], "big"))


def _birth(gen: str, seq: int) -> bytes:
    return f"{gen:0>32.32}{seq:016d}".encode()


def _held(value: bytes | None, left: int) -> Held | None:
    if value is None or len(value) < BIRTH or left <= 0:
        return None
    return Held(value[BIRTH:], left / 1000)


def _milliseconds(ttl: float) -> int:
    return max(1, int(ttl * 1000))


async def _primaries(client: Client) -> Sequence[Any]:
    """The nodes to scan: the cluster's primaries, or None for the one server."""
    nodes = getattr(client, "get_primaries", None)
    if nodes is None:
        return [None]
    await client.initialize()
    return cast("Sequence[Any]", nodes())


async def scanned(link: Link, pattern: str) -> AsyncIterator[list[str]]:
    """Names of keys on all masters, some at a time. The pattern holds no text of a request."""
    for node in await link.run(_primaries):
        cursor = 0
        while True:
            cursor, names = await link.run(_scan(node, cursor, pattern))
            yield [name.decode() for name in names]
            if cursor == 0:
                break


def _scan(node: Any, cursor: int, pattern: str) -> Any:
    async def work(client: Client) -> tuple[int, list[bytes]]:
        where = {"target_nodes": node} if node is not None else {}
        reply = await send(
            client, "SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_AT_ONCE, **where
        )
        if isinstance(reply, dict):
            reply = next(iter(reply.values()))
        found, names = reply
        if isinstance(found, dict):
            found = next(iter(found.values()))
        return int(found), names

    return work
