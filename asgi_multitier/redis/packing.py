"""Connections that differ from redis-py's: they pack in C, close if they cannot be set up, and can
be handed over once they are.

Packing in Python takes a quarter of the time of a short command; redis-py packs in C on its
synchronous connections only.

If a connection cannot be authenticated (the credential provider raised, or the time-out was over),
redis-py leaves it open: the next command uses it as another user, in another database.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection

_made: dict[type[AbstractConnection], type[AbstractConnection]] = {}


def packing(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same kind of connection with these changes."""
    if issubclass(kind, Packing):
        return kind
    if kind not in _made:
        _made[kind] = type(kind.__name__, (Packing, kind), {})
    return _made[kind]


class Packing(AbstractConnection):
    """A mixin for connections."""

    async def connect_check_health(self, *args: Any, **options: Any) -> None:
        """As in redis-py; a connection that could not be set up is closed."""
        try:
            await super().connect_check_health(*args, **options)
        except BaseException:
            await self.disconnect(nowait=True)
            raise

    def hand_over(self) -> asyncio.StreamWriter:
        """Give away what it has connected; it can connect again.

        Deliberate: redis-py finds the server, encrypts and authenticates, and has no way to leave
        the rest to others.
        """
        writer = cast("asyncio.StreamWriter", self._writer)
        cast("Callable[[], None]", self._parser.on_disconnect)()
        self._reader = self._writer = None
        return writer

    def pack_command(self, *args: Any) -> list[bytes]:
        """As in redis-py, which still packs what the packer does not know, such as a memoryview."""
        if b" " in _bytes(args[0]) or self.encoder.encoding.lower() != "utf-8":
            return super().pack_command(*args)
        try:
            return [pack_command(args)]
        except TypeError:
            return super().pack_command(*args)


def _bytes(name: str | bytes) -> bytes:
    return name.encode() if isinstance(name, str) else name
