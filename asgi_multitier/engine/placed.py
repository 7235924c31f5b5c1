"""A shared tier in its place among the others: asked within a time limit, and counted.

What a back end raises ends here: a failed operation is a counted one, and its circuit breaker
decides whether the next is tried.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeAlias, TypeVar

from .._types import Clock
from ..breaker import WHOLE, Breakers, BreakerState
from ..config.process import CacheConfig
from ..entry import Born
from ..errors import BackendError
from ..events import ROUND_TRIP_BOUNDS, Events, Histogram, TierStats
from ..tiers.base import Held, OrderedTier, ShardedTier, SharedTier, TierConfig

T = TypeVar("T")

_UNTRACED = nullcontext()

Item: TypeAlias = tuple[bytes, float, Born]
"""Bytes, seconds to live, and birth."""

AT_ONCE = 500
"""Keys that one call of a shared tier is for at most: each call has one time limit."""

BYTES_AT_ONCE = 4 * 1024 * 1024
"""Bytes that one call of a shared tier writes at most, as far as its values are not larger."""


class Placed:
    """A shared tier in its place, with its breakers and its counters.

    Args:
        tier: The tier.
        config: Its place.
        events: Where a change of its state is logged.
        bounds: The process's: when its circuit breakers open, how long an operation may take.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        tier: SharedTier,
        config: TierConfig,
        events: Events,
        bounds: CacheConfig,
        clock: Clock,
    ) -> None:
        self.tier = tier
        self.config = config
        self._events = events
        self._timeout = bounds.redis_timeout
        self._clock = clock
        self._sharded = tier if isinstance(tier, ShardedTier) else None
        limits = (bounds.breaker_failures, bounds.breaker_reset)
        servers = () if self._sharded is None else (self._sharded.servers,)
        self.breakers: Breakers = Breakers(*limits, *servers)
        self.hits = 0
        self.promotions = 0
        self.writes: int = 0
        self.failures: Counter[str] = Counter()
        self._durations: dict[str, Histogram] = {}
        self.unreadable: Counter[str] = Counter()
        self.last_error: str = ""
        self.has_answered = False
        """Whether any operation has gone well since the start."""

    def __repr__(self) -> str:
        return f"<L{self.config.level} {self.tier.name}, breaker {self.state(0.0).value}>"

    def state(self, now: float) -> BreakerState:
        """The state of its circuit breakers."""
        return self.breakers.state(now)

    def by_server(self, names: Iterable[str]) -> Mapping[str, list[str]]:
        """Names of what it stores, by the server that has them."""
        # A back end that may have several servers mostly has one.
        if self._sharded is None or tuple(self._sharded.servers()) == (WHOLE,):
            return {WHOLE: list(names)}
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(self._sharded.server_of(name), []).append(name)
        return found

    def named(self, server: str) -> str:
        """What to call one of its servers."""
        return f"{self.tier.name} ({server})" if server else self.tier.name

    # Operations: whole, by server, in parts.

    def may_be_asked(self, now: float) -> bool:
        """Whether a read would be tried."""
        return not self.breakers.is_blocked("get", now)

    async def get(self, server: str, names: Sequence[str]) -> list[Held | None] | None:
        """What one of its servers has under these names, in order; None if it does not answer."""

        async def get_all() -> list[Held | None]:
            held = await self.tier.get_many(names)
            if len(held) != len(names):
                raise BackendError(f"{len(held)} replies to {len(names)} keys")
            return held

        return await self._ask("get", get_all, server)

    async def look(self, name: str) -> Held | None:
        """What is there under a name, asked from outside: it is not counted, and moves no breaker.

        Raises:
            Exception: What the back end raises; TimeoutError if it takes too long.
        """
        async with asyncio.timeout(self._timeout):
            (held,) = await self.tier.get_many([name])
        return held

    async def set(self, items: Mapping[str, Item]) -> bool:
        """Write; whether all was taken."""
        taken = await together(
            self._set_on(server, {name: items[name] for name in names})
            for server, names in self.by_server(items).items()
        )
        return all(taken)

    async def _set_on(self, server: str, items: Mapping[str, Item]) -> bool:
        for part in _parts(items):
            if not await self._ask("set", partial(_set_all, self.tier, part), server):
                return False
            self.writes += len(part)
        return True

    async def delete(self, names: Sequence[str]) -> None:
        """Delete what lies under these names."""
        await together(
            self._delete_on(server, part) for server, part in self.by_server(names).items()
        )

    async def _delete_on(self, server: str, names: Sequence[str]) -> None:
        for start in range(0, len(names), AT_ONCE):
            delete = partial(self.tier.delete, names[start : start + AT_ONCE])
            if await self._ask("delete", delete, server) is None:
                return

    async def ping(self) -> bool:
        """Whether it answers."""
        return bool(await self._ask("ping", lambda: _done(self.tier.ping())))

    async def close(self) -> None:
        """Release the back end; a failure is counted and logged."""
        try:
            async with asyncio.timeout(self._timeout):
                await self.tier.close()
        except Exception as error:  # noqa: BLE001  # a user's back end; the others go on
            self.failures["close"] += 1
            self.last_error = str(error) or type(error).__name__
            self._events.not_closed(self.tier.name, error)

    def _took(self, operation: str, seconds: float) -> None:
        took = self._durations.get(operation)
        if took is None:
            took = self._durations[operation] = Histogram(ROUND_TRIP_BOUNDS)
        took.add(seconds)

    def _traced(self, operation: str) -> AbstractContextManager[None]:
        """The span of an operation, where there are spans."""
        traces = self._events.traces
        if traces is None or not traces.round_trips:
            return _UNTRACED
        return traces.trip(operation, self.tier.name, self.config.level)

    async def _ask(
        self, operation: str, call: Callable[[], Awaitable[T]], server: str = WHOLE
    ) -> T | None:
        """One operation within the time limit; None if it failed or was skipped."""
        what = (server, operation)
        if not self.breakers.allows(what, self._clock()):
            return None
        try:
            begun = self._clock()
            try:
                with self._traced(operation):
                    async with asyncio.timeout(self._timeout):
                        result = await call()
            finally:
                self._took(operation, self._clock() - begun)
        except Exception as error:  # noqa: BLE001  # a user's back end may break its contract
            self.failures[operation] += 1
            self.last_error = str(error) or type(error).__name__
            if self.breakers.failed(what, self._clock()):
                self._events.tier_suspended(self.named(server), operation, self.last_error)
            return None
        self.has_answered = True
        if self.breakers.succeeded(what):
            self._events.tier_resumed(self.named(server))
        return result

    def statistics(self, hits: int) -> TierStats:
        """A reading of its counters.

        Args:
            hits: Requests that it answered.
        """
        return TierStats(
            level=self.config.level,
            name=self.tier.name,
            hits=hits,
            promotions=self.promotions,
            writes=self.writes,
            failures=dict(self.failures),
            unreadable=dict(self.unreadable),
            entries=None,
            size=None,
            evictions={},
            operations={kind: took.reading() for kind, took in self._durations.items()},
        )


def _parts(items: Mapping[str, Item]) -> Iterator[dict[str, Item]]:
    """What is written in one call each."""
    part: dict[str, Item] = {}
    size = 0
    for key, item in items.items():
        if len(part) >= AT_ONCE or (part and size + len(item[0]) > BYTES_AT_ONCE):
            yield part
            part, size = {}, 0
        part[key] = item
        size += len(item[0])
    if part:
        yield part


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do them at once; a single one, which is the rule, without a task of its own."""
    begun = list(works)
    if len(begun) <= 1:
        return [await work for work in begun]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in begun]
    return [task.result() for task in tasks]


async def _set_all(tier: SharedTier, items: Mapping[str, Item]) -> bool:
    if isinstance(tier, OrderedTier):
        await tier.set_many_born(items)
    else:
        await tier.set_many({key: (value, ttl) for key, (value, ttl, _) in items.items()})
    return True


async def _done(call: Awaitable[None]) -> bool:
    await call
    return True
