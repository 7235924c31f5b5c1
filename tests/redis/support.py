"""What the tests of this directory share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asgi_multitier.coherence.log import Update
from asgi_multitier.entry import Born
from asgi_multitier.redis import RedisLog, RedisTier
from asgi_multitier.selectors import Selector
from tests.servers import ValkeyServer

TAG = Selector("tag", "t")

REPLACE = """
redis.call('DEL', KEYS[2])
local gen = redis.call('HGET', KEYS[1], 'gen')
local last = ''
for seq = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local op = 'other' .. seq
  redis.call('XADD', KEYS[2], seq .. '-0', 'g', gen, 'p', last, 'o', op, 'd', ARGV[3], 'm', '')
  last = op
end
redis.call('HSET', KEYS[1], 'seq', ARGV[2], 'last', last)
"""
"""Another history of the same generation, as a promoted replica that lacked records writes it."""


class Recorder:
    """A listener that notes what it is told."""

    def __init__(self) -> None:
        self.dropped_selectors: list[Selector] = []
        self.updates: list[tuple[Update, Born]] = []
        self.flushes = 0

    def dropped(self, selectors: Any) -> None:
        self.dropped_selectors += selectors

    def updated(self, updates: Any, born: Born) -> None:
        self.updates += [(update, born) for update in updates]

    def flushed(self) -> None:
        self.flushes += 1


async def set_born(tier: RedisTier, key: str, value: bytes, ttl: float, born: Born) -> bool:
    """Write one value; whether it was stored."""
    (stored,) = await tier.set_many_born({key: (value, ttl, born)})
    return stored


@asynccontextmanager
async def followed(target: Any, namespace: str, **settings: Any) -> AsyncIterator[RedisLog]:
    """A started log whose listener is `log.heard`."""
    log = RedisLog(target, namespace=namespace, **settings)
    log.heard = Recorder()  # type: ignore[attr-defined]
    await log.start(log.heard)  # type: ignore[attr-defined]
    try:
        yield log
    finally:
        await log.close()


def keys(log: RedisLog) -> tuple[str, str]:
    """The keys that the log lies in: control hash and stream."""
    store: Any = log._store
    return store.control, store.stream


def permits(log: RedisLog, born: Born, tag: str = "t") -> bool:
    """Whether something with that tag, born there, is valid."""
    return log.index.permits_fill(born, "k", "", "/p", "", (tag,))


async def invalidate(log: RedisLog, *tags: str) -> Born | None:
    """The whole of it: begin and commit."""
    return await log.commit(log.begin([Selector("tag", tag) for tag in tags or ("t",)]))


async def write_burst(log: RedisLog, count: int, server: ValkeyServer) -> None:
    """Write records as fast as the server takes them: one script that calls for all of them."""
    operation = log.begin([Selector("tag", "burst")])
    (body,) = log._follower.bodies(operation)
    data, _ = log._outbox._codec.encode("x", body)
    text = """
    local seq = tonumber(redis.call('HGET', KEYS[1], 'seq'))
    local gen = redis.call('HGET', KEYS[1], 'gen')
    local last = redis.call('HGET', KEYS[1], 'last')
    for i = 1, tonumber(ARGV[2]) do
      seq = seq + 1
      local op = 'burst' .. i
      redis.call('XADD', KEYS[2], seq .. '-0', 'g', gen, 'p', last, 'o', op, 'd', ARGV[1], 'm', '')
      last = op
    end
    redis.call('HSET', KEYS[1], 'seq', seq, 'last', last)
    """
    await asyncio.to_thread(server.command, "EVAL", text, 2, *keys(log), data, count)
