"""A server of fakeredis, with what tests call of a real one."""

import asyncio
from typing import Any, TypeAlias

import fakeredis
from redis.exceptions import ResponseError

from tests.servers import ValkeyServer


class FakeredisServer:
    """One server in this process, empty at first.

    Attributes:
        server: The object of fakeredis.
    """

    def __init__(self) -> None:
        self.server = fakeredis.FakeServer()

    @property
    def target(self) -> fakeredis.FakeAsyncRedis:
        """What tests give to the cache: a client, a new one each time."""
        return fakeredis.FakeAsyncRedis(server=self.server)

    def command(self, *words: Any) -> Any:
        """As `ValkeyServer.command`: the raw reply, of an error its text."""
        client = fakeredis.FakeRedis(server=self.server)
        client.response_callbacks.clear()
        try:
            return client.execute_command(*words)
        except ResponseError as error:
            return f"-{error}"
        finally:
            client.close()


Server: TypeAlias = ValkeyServer | FakeredisServer
"""Any server that holds what the cache puts on Redis."""


def own_tasks() -> "set[asyncio.Task[Any]]":
    """The tasks of this loop. fakeredis has one for each blocked read, until its time is over."""
    blocked = fakeredis.aioredis.AsyncFakeSocket._async_blocking.__code__
    return {task for task in asyncio.all_tasks() if task.get_coro().cr_code is not blocked}
