"""A shared tier in Memcached. Needs the extra `memcached`.

Memcached cannot report the lifetime left, so `Held.remaining` is None and the entry's own stamp
counts. Lifetimes are whole seconds, rounded down, at least 1 and at most 30 days.

Nor can it clear a part of its keys, and a flush would empty other applications' caches. So every
value begins with a stamp, and the namespace's current stamp is a key of its own, read in the same
round trip: clearing means changing it. If it is missing (evicted, restarted), no value counts until
a new one is set, so that what was cleared never returns.

The client is memcachio: it keeps replies in step with requests when a caller is cancelled in
between. With clients that do not, the next caller may read another key's value.
"""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from ..errors import BackendError, ConfigError
from .base import Held

T = TypeVar("T")

MAX_TTL: Final = 30 * 24 * 3600
"""Seconds; Memcached reads a larger number as a date."""

_STAMP = 16
_AT_ONCE = 64
"""Keys in one command, and commands sent before their replies are awaited."""


class MemcachedTier:
    """A `SharedTier` in a Memcached server.

    Args:
        url: `memcached://host:port` or `unix:///path/of/socket`.
        namespace: The prefix of every key, 1 to 40 printable characters; separates applications.
        max_value: Bytes of the largest value that is kept; the server refuses those above its own
            limit, by default 1 MiB.
        timeout: Seconds to wait for a connection or a reply.
        name: The tier's name in statistics.

    Raises:
        ConfigError: If an option is wrong, or the client is not installed.
    """

    def __init__(
        self,
        url: str = "memcached://127.0.0.1:11211",
        *,
        namespace: str = "default",
        max_value: int = 1_000_000,
        timeout: float = 0.25,
        name: str = "memcached",
    ) -> None:
        plain = namespace.isascii() and namespace.isprintable() and " " not in namespace
        if not plain or not 0 < len(namespace) <= 40:
            allowed = "1 to 40 printable ASCII characters without spaces"
            raise ConfigError.of("namespace", namespace, allowed, where="MemcachedTier")
        if not timeout > 0:
            raise ConfigError.of("timeout", timeout, "seconds above 0", where="MemcachedTier")
        self.name = name
        self.namespace = namespace
        self.url = url
        self._location = _location(url)
        self._library = _library()
        self._max_value = max_value
        self._timeout = timeout
        self._marker = f"{namespace}:stamp".encode()
        self._stamp: bytes | None = None
        self._client: Any = None
        self._owner: tuple[int, asyncio.AbstractEventLoop] | None = None

    def __repr__(self) -> str:
        return f"<MemcachedTier {self.namespace} at {self.url}>"

    async def get(self, key: str) -> Held | None:
        """The bytes, or None."""
        return (await self.get_many([key]))[0]

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        """As `get`, for several keys in the given order, in one round trip for each 64."""
        found: dict[str, Held] = {}
        for some in _batches(dict.fromkeys(keys)):
            found |= await self._read(some)
        return [found.get(key) for key in keys]

    async def _read(self, keys: Sequence[str]) -> dict[str, Held]:
        names = {self._name(key): key for key in keys}
        items = await self._ask(lambda client: client.get(self._marker, *names))
        marker = items.pop(self._marker, None)
        self._stamp = marker.value if marker is not None else None
        return {
            names[name]: Held(item.value[_STAMP:], None)
            for name, item in items.items()
            if item.value[:_STAMP] == self._stamp
        }

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep the bytes for about `ttl` seconds, replacing any other."""
        await self.set_many({key: (value, ttl)})

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        """As `set`, for several keys.

        A value larger than `max_value` is not kept, but what its key held before is removed.
        """
        if not items:
            return
        stamp = self._stamp or await self._agree()
        fitting = {k: v for k, v in items.items() if len(v[0]) <= self._max_value}

        async def send(client: Any) -> None:
            for some in _batches(fitting.items()):
                await asyncio.gather(
                    *(
                        client.set(self._name(key), stamp + value, expiry=_seconds(ttl))
                        for key, (value, ttl) in some
                    )
                )

        await self._ask(send)
        await self.delete(key for key in items if key not in fitting)

    async def _agree(self) -> bytes:
        """The namespace's stamp; a new one if there is none."""
        fresh = secrets.token_bytes(_STAMP)

        async def ask(client: Any) -> bytes:
            await client.add(self._marker, fresh)
            items = await client.get(self._marker)
            return bytes(items[self._marker].value) if self._marker in items else fresh

        self._stamp = await self._ask(ask)
        return self._stamp

    async def delete(self, keys: Iterable[str]) -> int:
        """Forget the keys; absent ones are no error. Returns how many were there."""
        names = [self._name(key) for key in dict.fromkeys(keys)]
        if not names:
            return 0

        async def send(client: Any) -> int:
            count = 0
            for some in _batches(names):
                count += sum(await asyncio.gather(*(client.delete(name) for name in some)))
            return count

        return await self._ask(send)

    async def clear(self) -> None:
        """Forget everything of this namespace: what holds the old stamp does not count."""
        fresh = secrets.token_bytes(_STAMP)
        await self._ask(lambda client: client.set(self._marker, fresh))
        self._stamp = fresh

    async def ping(self) -> None:
        """Return if the server answers; raise `BackendError` if not."""
        await self._ask(lambda client: client.version())

    async def close(self) -> None:
        """Release the connections. May be called twice; a later use connects again."""
        self._disconnect()

    def _name(self, key: str) -> bytes:
        return f"{self.namespace}:e:{key}".encode()

    # The border to the client.

    async def _ask(self, work: Callable[[Any], Awaitable[T]]) -> T:
        client = self._connected()
        try:
            async with asyncio.timeout(self._timeout):
                return await work(client)
        except (OSError, self._library.errors.MemcachedError) as error:  # time-outs are OSErrors
            # Whatever the error, the next call uses a new connection.
            if self._client is client:
                self._disconnect()
            text = str(error) or type(error).__name__
            raise BackendError(f"Memcached at {self.url}: {text}") from error

    def _connected(self) -> Any:
        """The client of this process and event loop."""
        here = (os.getpid(), asyncio.get_running_loop())
        if self._client is None or self._owner != here:
            self._owner = here
            self._stamp = None
            self._client = self._library.Client(
                self._location,
                decode_responses=False,
                connect_timeout=self._timeout,
                blocking_timeout=self._timeout,
                read_timeout=self._timeout,
                socket_nodelay=True,
            )
        return self._client

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._owner is not None and self._owner[0] == os.getpid():
            client.connection_pool.close()


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _seconds(ttl: float) -> int:
    return max(1, min(int(ttl), MAX_TTL))


def _location(url: str) -> str | tuple[str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or 11211
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme == "unix" and parts.path:
        return parts.path
    if parts.scheme != "memcached" or not parts.hostname or not port:
        allowed = "memcached://host:port or unix:///path"
        raise ConfigError.of("url", url, allowed, where="MemcachedTier")
    return parts.hostname, port


def _library() -> Any:
    try:
        return import_module("memcachio")
    except ImportError as error:
        raise ConfigError(
            "MemcachedTier needs memcachio; install asgi-multitier[memcached]"
        ) from error
