"""fakeredis, a Redis of tests in this process: what a user gives of it, as a client of redis-py.

It is never imported here: who gives one of its objects has imported it. A recipe is made of its
asynchronous clients as of any other. What differs from a server is adapted here, and in `scripts`
for all servers that do not know flags.
"""

import asyncio
import sys
from functools import cache
from importlib.util import find_spec
from typing import Any, cast

import redis.asyncio as aredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool

from ..errors import ConfigError

_PACKAGE = "fakeredis"

_PATIENCE = 10.0
"""Seconds that an operation may take here. fakeredis does not hang, but a machine may stall."""

_TURNS = 8
"""Turns of the event loop that an answer takes; a blocked read takes half as many to end."""


def client_of(target: object) -> object:
    """What a user gave; of a server or a client of fakeredis, a client that behaves as others do.

    Raises:
        ConfigError: If it is another object of fakeredis, or the package is missing by which
            fakeredis runs scripts.
    """
    given = type(target)
    name = f"{given.__module__}.{given.__qualname__}"
    fakeredis: Any = sys.modules.get(_PACKAGE)
    if fakeredis is not None and isinstance(target, fakeredis.FakeServer):
        target = fakeredis.FakeAsyncRedis(server=target)
    pool: Any = getattr(target, "connection_pool", None)
    if not isinstance(pool, ConnectionPool) or not _is_fake(pool.connection_class):
        if _is_fake(given):
            allowed = f"{_PACKAGE}.FakeAsyncRedis(...) or a {_PACKAGE}.FakeServer"
            raise ConfigError.of("redis", name, allowed)
        return target
    if find_spec("lupa") is None:
        allowed = "a Redis server, or the package lupa, which runs the cache's scripts in fakeredis"
        raise ConfigError.of("redis", name, f"{allowed}: pip install asgi-multitier[testing]")
    kind: Any = pool.connection_class
    settings = dict(pool.connection_kwargs)
    if settings.get("server") is not None:
        # Made up by fakeredis, and it would show in log lines; without a server it names one.
        settings["host"] = _PACKAGE
    return aredis.Redis(connection_pool=ConnectionPool(_yielding(kind), **settings))


def patience_of(kind: type) -> float:
    """Seconds that an operation on such connections may take at least."""
    return _PATIENCE if issubclass(kind, _Yielding) else 0.0


def _is_fake(kind: type) -> bool:
    return any(base.__module__.partition(".")[0] == _PACKAGE for base in kind.__mro__)


class _Yielding(AbstractConnection):
    """A mixin for connections: an answer takes some turns of the event loop.

    Those of fakeredis are there at once. A loop of calls would let no other task run, and a writer
    would go on before its own record was read, which a server sends at the same time.
    """

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """As in redis-py."""
        turns: list[None] = []
        asyncio.get_running_loop().call_soon(turns.append, None)
        response = await super().read_response(*args, **options)
        if not turns:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        return response


@cache
def _yielding(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    return cast("type[AbstractConnection]", type(kind.__name__, (_Yielding, kind), {}))
