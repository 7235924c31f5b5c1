"""Streams of the application: append, read, follow, and consumer groups.

Blocking reads use a connection of their own, since it serves nothing else meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError

from ..errors import BackendError, ConfigError
from ..streams import Fields, StreamEntry
from .client import Link, Work, check_namespace, connect, one_command, send
from .recipe import RedisClient, UrlOrClient

_GRACE = 0.5
_TAIL_BLOCK = 1.0
_PAUSE = 0.02
_MAX_PAUSE = 1.0


class RedisStreams:
    """Streams of one namespace.

    Args:
        target: An address, a client of redis-py's asyncio kind, or a link.
        namespace: The prefix of the streams' names.

    Raises:
        ConfigError: If the target or the namespace is not one.
    """

    def __init__(
        self, target: "UrlOrClient | Link | None" = None, *, namespace: str = "asgi-multitier"
    ) -> None:
        self.link: Link = connect(target)
        self._owns_link = not isinstance(target, Link)
        self._prefix = f"{check_namespace(namespace)}:s:"

    def __repr__(self) -> str:
        return f"<RedisStreams {self._prefix} at {self.link.name}>"

    async def publish(
        self, stream: str, fields: Fields, *, maxlen: int | None = 1000, exact: bool = False
    ) -> str:
        """Append an entry; its id.

        Args:
            stream: The stream's name.
            fields: Names and values; at least one.
            maxlen: How many entries to keep, the youngest; None for all.
            exact: Trim to exactly `maxlen`. Otherwise the server keeps somewhat more, faster.

        Raises:
            BackendError: If the server does not answer. It may have been appended anyway.
            ConfigError: If there are no fields, or `maxlen` is below 1.
        """
        pairs = list(fields.items() if isinstance(fields, Mapping) else fields)
        if not pairs:
            raise ConfigError.of("fields", fields, "at least one name with a value")
        command: list[Any] = ["XADD", self._prefix + stream]
        if maxlen is not None:
            if maxlen < 1:
                raise ConfigError.of("maxlen", maxlen, "a whole number from 1, or None")
            command += ["MAXLEN", "=" if exact else "~", maxlen]
        command.append("*")
        for name, value in pairs:
            command += [name, value]
        return _text(await self.link.run(one_command(*command), key=self._prefix + stream))

    async def read_latest(self, stream: str, count: int = 10) -> list[StreamEntry]:
        """The youngest entries, the youngest first.

        Raises:
            BackendError: If the server does not answer.
        """
        command = ("XREVRANGE", self._prefix + stream, "+", "-", "COUNT", _at_least_one(count))
        return _entries(await self.link.run(one_command(*command), key=self._prefix + stream))

    async def read(
        self, stream: str, last_id: str = "$", count: int = 10, *, block: float | None = None
    ) -> list[StreamEntry]:
        """Entries after an id, the oldest first.

        Args:
            stream: The stream's name.
            last_id: Read after it: an id, `"0"` for the beginning, `"$"` for later entries.
            count: How many at most.
            block: Seconds to wait for the first one, on a separate connection; None: do not wait.

        Raises:
            BackendError: If the server does not answer.
        """
        command: list[Any] = ["XREAD", "COUNT", _at_least_one(count)]
        where = ["STREAMS", self._prefix + stream, last_id]
        return _of_streams(await self._run_reading(command, where, block))

    async def tail(
        self, stream: str, last_id: str = "$", *, count: int = 100
    ) -> AsyncIterator[StreamEntry]:
        """Entries after an id, endlessly, each once. Continues after a lost connection.

        Args:
            stream: The stream's name.
            last_id: As for `read`. `"$"` means the end at the time of the first answer.
            count: How many are fetched at once.
        """
        key = self._prefix + stream
        position = last_id
        pause = 0.0
        while True:
            try:
                async with self.link.dedicated() as connection:
                    if position == "$":
                        position = await connection.run(end_of(key), timeout=self.link.timeout)
                    while True:
                        work = read_after(key, position, count, _TAIL_BLOCK)
                        reply = await connection.run(work, timeout=_TAIL_BLOCK + _GRACE)
                        pause = 0.0
                        for entry in _of_streams(reply):
                            position = entry.id
                            yield entry
            except BackendError:
                pause = min(max(2 * pause, _PAUSE), _MAX_PAUSE)
                await asyncio.sleep(pause)

    async def create_group(
        self, stream: str, group: str, *, start: str = "$", exist_ok: bool = True
    ) -> bool:
        """Create a consumer group, and the stream if there is none.

        Args:
            stream: The stream's name.
            group: The group's name.
            start: The id after which it begins: `"0"` for all, `"$"` for what comes from now on.
            exist_ok: Whether a group of that name may be there already.

        Returns:
            Whether it was made.

        Raises:
            BackendError: If the server does not answer, or the group exists and must not.
        """

        async def work(client: RedisClient) -> bool:
            try:
                await client.xgroup_create(self._prefix + stream, group, start, mkstream=True)
            except ResponseError as error:
                if exist_ok and str(error).startswith("BUSYGROUP"):
                    return False
                raise
            return True

        return await self.link.run(work, key=self._prefix + stream)

    async def read_group(
        self,
        stream: str,
        group: str,
        consumer: str,
        count: int = 10,
        *,
        last_id: str = ">",
        block: float | None = None,
    ) -> list[StreamEntry]:
        """Entries for one consumer of a group; each stays the consumer's until it is acknowledged.

        Args:
            stream: The stream's name.
            group: The group's name.
            consumer: The consumer's name.
            count: How many at most.
            last_id: `">"` for entries that no consumer has had; `"0"` for the consumer's own that
                it has not acknowledged.
            block: Seconds to wait for the first one, on a separate connection; None: do not wait.

        Raises:
            BackendError: If the server does not answer, or there is no such group.
        """
        command = ["XREADGROUP", "GROUP", group, consumer, "COUNT", _at_least_one(count)]
        where = ["STREAMS", self._prefix + stream, last_id]
        return _of_streams(await self._run_reading(command, where, block))

    async def ack(self, stream: str, group: str, *ids: str) -> int:
        """Acknowledge entries; returns how many were pending.

        Raises:
            BackendError: If the server does not answer.
        """
        if not ids:
            return 0
        key = self._prefix + stream
        return int(await self.link.run(one_command("XACK", key, group, *ids), key=key))

    async def _run_reading(
        self, command: Sequence[Any], where: Sequence[str], block: float | None
    ) -> Any:
        if block is None:
            return await self.link.run(one_command(*command, *where), key=where[1])
        milliseconds = max(1, int(block * 1000))
        async with self.link.dedicated() as connection:
            work = one_command(*command, "BLOCK", milliseconds, *where)
            return await connection.run(work, timeout=block + self.link.timeout + _GRACE)

    async def close(self) -> None:
        """Release the connections. May be called twice."""
        if self._owns_link:
            await self.link.close()


def end_of(key: str) -> Work:
    """Work that returns the id of a stream's last entry, "0-0" if there is none."""

    async def work(client: RedisClient) -> str:
        reply = await send(client, "XREVRANGE", key, "+", "-", "COUNT", 1)
        return _text(reply[0][0]) if reply else "0-0"

    return work


def read_after(key: str, position: str, count: int, block: float) -> Work:
    """Work that returns the entries after an id, waiting up to `block` seconds for the first."""
    milliseconds = int(block * 1000)
    return one_command("XREAD", "COUNT", count, "BLOCK", milliseconds, "STREAMS", key, position)


def _entries(reply: Any) -> list[StreamEntry]:
    found = []
    for number, flat in reply or ():
        texts = [_text(item) for item in flat or ()]
        found.append(StreamEntry(_text(number), zip(texts[::2], texts[1::2], strict=True)))
    return found


def _of_streams(reply: Any) -> list[StreamEntry]:
    return _entries(reply[0][1]) if reply else []


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _at_least_one(count: int) -> int:
    if count < 1:
        raise ConfigError.of("count", count, "a whole number from 1")
    return count
