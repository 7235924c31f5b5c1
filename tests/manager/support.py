"""What the manager's tests share: a tier whose every call is seen, and a function that counts."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from asgi_multitier import CacheManager, TierConfig
from asgi_multitier.errors import BackendError
from asgi_multitier.policy.key import storage_key
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers.base import Held


class SeenTier:
    """A shared tier in a dict that counts its calls, tells lifetimes, and fails or waits when told.

    Attributes:
        calls: Calls by name.
        items: Value and end of life by name.
        broken: Whether every call raises.
        gate: Calls wait for it where it is set.
    """

    def __init__(self, clock: Callable[[], float], name: str = "seen") -> None:
        self.name = name
        self.clock = clock
        self.items: dict[str, tuple[bytes, float]] = {}
        self.calls: Counter[str] = Counter()
        self.broken = False
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()

    async def _enter(self, call: str) -> None:
        self.calls[call] += 1
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise BackendError("broken on purpose")

    def ttl(self, key: str) -> float | None:
        """Seconds that a manager's key has left here."""
        held = self.items.get(storage_key(key))
        return None if held is None else held[1] - self.clock()

    async def get(self, key: str) -> Held | None:
        return (await self.get_many([key]))[0]

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        await self._enter("get")
        now = self.clock()
        found = [self.items.get(key) for key in keys]
        return [Held(item[0], item[1] - now) if item and item[1] > now else None for item in found]

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        await self.set_many({key: (value, ttl)})

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        await self._enter("set")
        now = self.clock()
        self.items |= {key: (value, now + ttl) for key, (value, ttl) in items.items()}

    async def delete(self, keys: Iterable[str]) -> int:
        await self._enter("delete")
        return sum(self.items.pop(key, None) is not None for key in keys)

    async def clear(self) -> None:
        await self._enter("clear")
        self.items.clear()

    async def ping(self) -> None:
        await self._enter("ping")

    async def close(self) -> None:
        self.calls["close"] += 1


class Function:
    """A compute function that counts its runs, and waits, returns or raises as told.

    Attributes:
        runs: How often it was called.
        value: What it returns.
        error: What it raises instead, if anything.
        started: Set when a run has begun.
        gate: Runs wait for it; it is open unless `close` was called.
    """

    def __init__(self, value: Any = "value") -> None:
        self.runs = 0
        self.value = value
        self.error: BaseException | None = None
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    def close(self) -> "Function":
        """Let runs wait until `gate` is set."""
        self.gate.clear()
        return self

    async def __call__(self) -> Any:
        self.runs += 1
        self.started.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.value


def in_memory(clock: Callable[[], float] | None = None, **options: Any) -> CacheManager:
    """A manager of one process without any server."""
    clock = clock or FakeClock()
    return CacheManager(redis_url=None, clock=clock, wall=clock, **options)


def over(clock: FakeClock, *tiers: SeenTier, **options: Any) -> CacheManager:
    """A manager in memory over these tiers, at levels 2, 3 and so on, lifetimes as they are."""
    pairs = [(tier, TierConfig(level)) for level, tier in enumerate(tiers, 2)]
    return CacheManager(tiers=pairs, redis_url=None, clock=clock, wall=clock, **options)


async def settled(cache: CacheManager) -> None:
    """What was begun in the background has ended."""
    flights = cache.engine.flights
    while flights.running:
        await asyncio.gather(*flights.tasks, return_exceptions=True)
        await asyncio.sleep(0)  # from Python 3.12 on, what is done is not waited for
    await cache.engine.stack.settle()


async def idle() -> None:
    """Whatever can run has run, until it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)
