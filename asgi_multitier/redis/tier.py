"""Redis as a shared tier: bytes by key, with a lifetime.

Each value begins with 48 bytes of ASCII, the position in the log at which it was born: the
generation in 32 hexadecimal digits and the number in 16 decimal ones. The server's script compares
them, so that a delayed write does not replace a younger value. An entry holds the same position: if
the two differ, one is damaged, and both are removed.

Keys that are read together go in one round trip: on the connection that all callers share, where
the server is one, and in a pipeline to each node of a cluster.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Any, cast

from hiredis import pack_command
from redis.exceptions import NoScriptError, ResponseError

from ..breaker import WHOLE
from ..entry import Born
from ..tiers.base import Held
from ..tiers.codec import BORN_GEN, BORN_SEQ, MAGIC
from .client import Link, Work, check_namespace, connect, one_command, send
from .recipe import RedisClient, UrlOrClient
from .scripts import WRITE, Value

BIRTH = 48
"""Bytes before each value."""

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
        target: "UrlOrClient | Link | None" = None,
        *,
        namespace: str = "asgi-multitier",
        name: str = "redis",
    ) -> None:
        self.name = name
        self.namespace: str = check_namespace(namespace)
        self.link: Link = connect(target)
        self._owns_link = not isinstance(target, Link)
        self._prefix = f"{self.namespace}:e:"
        # By the key, whose hash is known where it was asked for before.
        self._question = lru_cache(4096)(partial(_question, self._prefix))

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
        """The bytes and the seconds left, or None."""
        return (await self.get_many([key]))[0]

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        """As `get`, for several keys in the given order, in one round trip for each 64."""
        if 0 < len(keys) <= _READ_AT_ONCE:
            return await self._read(keys)
        found: list[Held | None] = []
        for start in range(0, len(keys), _READ_AT_ONCE):
            found += await self._read(keys[start : start + _READ_AT_ONCE])
        return found

    async def _read(self, keys: Sequence[str]) -> list[Held | None]:
        if self.link.multiplexes:
            replies = await self.link.ask(b"".join(map(self._question, keys)), 2 * len(keys))
        else:
            names = [self._prefix + key for key in keys]
            replies = await self.link.run(_asked(names), key=names[0])
        found: list[Held | None] = []
        damaged: list[str] = []
        for key, value, left in zip(keys, replies[::2], replies[1::2], strict=True):
            held = None
            if type(value) is bytes and type(left) is int:  # first, as nearly all are
                if len(value) >= BIRTH and left > 0:
                    if _is_whole(value[:_BORN_END]):
                        held = _held((value[BIRTH:], left / 1000))
                    else:
                        damaged.append(self._prefix + key)
            elif isinstance(value, Exception) and not _is_of_another_type(value):
                raise self.link.refused(value)
            elif isinstance(left, Exception):
                raise self.link.refused(left)
            found.append(held)
        if damaged:
            await self._unlink(damaged)
        return found

    # Writing.

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep the bytes for `ttl` seconds, whatever is there."""
        await self.set_many({key: (value, ttl)})

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        """As `set`, for several keys in one round trip."""
        commands = [
            ("SET", self._prefix + key, _UNBORN + value, "PX", _milliseconds(ttl))
            for key, (value, ttl) in items.items()
        ]
        if commands:
            await self.link.run(lambda client: _pipelined(client, commands), key=commands[0][1])

    async def set_many_born(self, items: Mapping[str, tuple[bytes, float, Born]]) -> list[bool]:
        """As `set_many`, each unless a value of the same generation is there that was born later.

        Args:
            items: Value, seconds to live and birth by key.

        Returns:
            Whether each was stored. Correctness does not depend on it, as readers check what they
            find.
        """
        names = [self._prefix + key for key in items]
        args: list[tuple[Value, ...]] = [
            (_birth(born.gen, born.seq) + value, _milliseconds(ttl))
            for value, ttl, born in items.values()
        ]
        if not names:
            return []
        if self.link.cluster:
            work = _cluster_write(names, args)
        else:
            work = WRITE.work(names, *chain.from_iterable(args))
        return [stored == 1 for stored in await self.link.run(work, key=names[0])]

    async def delete(self, keys: Iterable[str]) -> int:
        """Forget the keys, in steps. Returns how many were there."""
        names = [self._prefix + key for key in keys]
        return await self._unlink(names)

    async def _unlink(self, names: Sequence[str]) -> int:
        count = 0
        for start in range(0, len(names), _DELETE_AT_ONCE):
            step = names[start : start + _DELETE_AT_ONCE]
            work = _cluster_unlink(step) if self.link.cluster else one_command("UNLINK", *step)
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
        await self.link.run(one_command("PING"))

    async def close(self) -> None:
        """Release the connections. May be called twice."""
        if self._owns_link:
            await self.link.close()


async def _pipelined(
    client: RedisClient, commands: Iterable[tuple[Any, ...]], *, raises: bool = True
) -> list[Any]:
    """Several commands in one round trip a server.

    The first error among the replies is raised, or each stands in its place.
    """
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        send(pipeline, *command)
    return await pipeline.execute(raise_on_error=raises)


def _asked(names: Sequence[str]) -> Work:
    commands = [(word, name) for name in names for word in _READ]
    return lambda client: _pipelined(client, commands, raises=False)


_READ = ("GET", "PTTL")
"""What is asked for each key.

The lifetime of absent keys is read as well: so a missing permission fails all reads, and the
circuit breaker skips them.
"""


def _question(prefix: str, key: str) -> bytes:
    """The commands that read a key, packed."""
    pack = cast("Callable[[tuple[str, ...]], bytes]", pack_command)
    return b"".join([pack((word, prefix + key)) for word in _READ])


def _cluster_write(names: Sequence[str], args: Sequence[tuple[Value, ...]]) -> Work:
    """One script for each key, since each key has its own slot."""
    each = list(zip(names, args, strict=True))

    async def work(client: RedisClient) -> Iterable[int]:
        try:
            done = await _pipelined(client, (WRITE.command([name], *arg) for name, arg in each))
        except NoScriptError:
            done = [await WRITE.run(client, [name], *arg) for name, arg in each]
        return chain.from_iterable(done)

    return work


def _cluster_unlink(names: Sequence[str]) -> Work:
    async def work(client: RedisClient) -> int:
        return sum(await _pipelined(client, (("UNLINK", name) for name in names)))

    return work


def _is_of_another_type(error: Exception) -> bool:
    """Whether a key is not a string: it counts as absent, and the next write replaces it."""
    return isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")


_BORN_END = BIRTH + BORN_SEQ.stop
"""Up to here a value says where it was born: before the entry, and in it."""


@lru_cache(1024)
def _is_whole(start: bytes) -> bool:
    """Whether the birth before an entry equals the entry's own; other values have none.

    Args:
        start: A value up to `_BORN_END`. Most share a few of them.
    """
    birth, entry = start[:BIRTH], start[BIRTH:]
    if not entry.startswith(MAGIC) or birth == _UNBORN:
        return True
    return birth == _birth(entry[BORN_GEN].hex(), int.from_bytes(entry[BORN_SEQ], "big"))


_held = cast("Callable[[tuple[bytes, float]], Held]", partial(tuple.__new__, Held))
"""A named tuple's own constructor is a function in Python, which takes twice as long."""


def _birth(gen: str, seq: int) -> bytes:
    return f"{gen:0>32.32}{seq:016d}".encode()


def _milliseconds(ttl: float) -> int:
    return max(1, int(ttl * 1000))


async def _primaries(client: RedisClient) -> Sequence[Any]:
    """The nodes to scan: the cluster's primaries, or None for the one server."""
    nodes = getattr(client, "get_primaries", None)
    if nodes is None:
        return [None]
    await client.initialize()
    return cast("Sequence[Any]", nodes())


async def scanned(link: Link, pattern: str) -> AsyncIterator[list[str]]:
    """Names of keys on all masters, some at a time. The pattern holds no text of a request."""
    for node in await link.run(_primaries):
        where = {} if node is None else {"target_nodes": node}
        cursor = 0
        while True:
            work = one_command("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_AT_ONCE, **where)
            found, names = _of_one_node(await link.run(work))
            yield [name.decode() for name in names]
            cursor = int(_of_one_node(found))
            if cursor == 0:
                break


def _of_one_node(reply: Any) -> Any:
    """What a cluster's client returns by node, where one was asked."""
    return next(iter(reply.values())) if isinstance(reply, dict) else reply
