"""Commands packed in C are those that redis-py packs."""

from typing import Any

import pytest
from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import DataError

from asgi_multitier.redis.packing import packing

COMMANDS: list[tuple[Any, ...]] = [
    ("PING",),
    (b"SET", b"k", "ü", 1, 2.5, -3),
    ("CONFIG GET", "maxmemory"),
    ("SET", "k", bytearray(b"v"), memoryview(b"w")),
    ("SET", "k", 2**70),
    ("SET", "k", b"x" * 100_000),
    ("SET", "k", ""),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: repr(command)[:30])
@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "latin-1"])
def test_the_bytes_are_the_same(command: tuple[Any, ...], encoding: str) -> None:
    """Whatever the types of the arguments and the encoding of the text."""
    theirs, ours = (
        kind(encoding=encoding).pack_command(*command) for kind in (Connection, packing(Connection))
    )

    assert b"".join(ours) == b"".join(theirs)


@pytest.mark.parametrize("value", [True, None, object()], ids=["bool", "none", "object"])
def test_what_has_no_bytes_is_refused_as_redis_py_does(value: object) -> None:
    """Never sent as something else."""
    with pytest.raises(DataError):
        packing(Connection)().pack_command("SET", "k", value)


def test_a_kind_is_made_once_and_packs_in_one_piece() -> None:
    """A pool made of a pool does not pile one kind on the other."""
    kind = packing(SSLConnection)

    assert packing(SSLConnection) is kind
    assert packing(kind) is kind
    assert issubclass(kind, SSLConnection)
    assert len(kind().pack_command("SET", "k", b"x" * 100_000)) == 1
