"""What connections do otherwise than redis-py's: they pack in C, and are open whole or not at all.

Packing in Python costs a quarter of what a short command costs in all; redis-py does it in C on its
synchronous connections only.

A connection that was opened and not introduced (the credential provider raised, or the time was
over) stays open in redis-py: the next command goes over it as another user, in another database.
"""

from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection

_made: dict[type[AbstractConnection], type[AbstractConnection]] = {}


def packing(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """A kind of connection with both, which is the same otherwise."""
    if issubclass(kind, _Packing):
        return kind
    if kind not in _made:
        _made[kind] = type(kind.__name__, (_Packing, kind), {})
    return _made[kind]


class _Packing(AbstractConnection):
    """Beside a kind of connection."""

    async def connect_check_health(self, *args: Any, **options: Any) -> None:
        """As redis-py's own; what could not be finished is closed."""
        try:
            await super().connect_check_health(*args, **options)
        except BaseException:
            await self.disconnect(nowait=True)
            raise

    def pack_command(self, *args: Any) -> list[bytes]:
        """As redis-py's own. What the packer does not know, such as a memoryview, is left to it."""
        if b" " in _bytes(args[0]) or self.encoder.encoding.lower() != "utf-8":
            return super().pack_command(*args)
        try:
            return [pack_command(args)]
        except TypeError:
            return super().pack_command(*args)


def _bytes(name: str | bytes) -> bytes:
    return name.encode() if isinstance(name, str) else name
