"""Commands packed in C: redis-py does that on its synchronous connections only.

Packing in Python costs a quarter of what a short command costs in all.
"""

from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection

_made: dict[type[AbstractConnection], type[AbstractConnection]] = {}


def packing(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """A kind of connection that packs its commands in C, and is the same otherwise."""
    if issubclass(kind, _Packing):
        return kind
    if kind not in _made:
        _made[kind] = type(kind.__name__, (_Packing, kind), {})
    return _made[kind]


class _Packing(AbstractConnection):
    """Beside a kind of connection."""

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
