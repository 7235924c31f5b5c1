"""What the tests of this directory share."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from asgi_multitier.coherence.log import Update
from asgi_multitier.entry import Born
from asgi_multitier.redis import RedisLog
from asgi_multitier.selectors import Selector

TAG = Selector("tag", "t")


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


async def until(condition: Callable[[], object], seconds: float) -> float:
    """Wait until something is true, and fail if it takes longer than the bound; the time taken."""
    start = time.monotonic()
    while not condition():
        taken = time.monotonic() - start
        assert taken <= seconds, f"not within {seconds} s"
        await asyncio.sleep(0.002)
    return time.monotonic() - start


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


def permits(log: RedisLog, born: Born, tag: str = "t") -> bool:
    """Whether something with that tag, born there, is valid."""
    return log.index.permits_fill(born, "k", "", "/p", "", (tag,))


async def invalidate(log: RedisLog, *tags: str) -> Born | None:
    """The whole of it: begin and commit."""
    return await log.commit(log.begin([Selector("tag", tag) for tag in tags or ("t",)]))
