"""CacheManager: the cache of a process, for the middleware and for manual use.

Everything goes through one engine: a `set` is a fill whose answer is known, an invalidation is a
record of the log. The manager sees no scope and no header.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ._types import Clock
from .assembly import Tier, assemble, name_of, place
from .coalescing import Flight, within
from .coherence.config import InvalidationConfig
from .coherence.local import LocalLog
from .coherence.log import MAX_RIDE, InvalidationLog, InvalidationStats, Update
from .config import DEFAULT_REDIS_URL, CacheConfig
from .engine import Engine
from .entry import Born, Entry, Slot
from .errors import BackendError, CacheError, ConfigError, InvalidationError, SerializationError
from .events import MANAGER, CacheStats, TierStats
from .policy.key import RESPONSE_MARK
from .redis import RedisLog, RedisStreams, RedisTier, connect
from .selectors import Selector, check_glob
from .serializers import JsonSerializer, Serializer
from .strategy import CacheStrategy, Lifetime, seconds_of
from .tiers.base import LocalTier, TierConfig
from .tiers.memory import MemoryTier

if TYPE_CHECKING:
    from .routing import RouteTable

T = TypeVar("T")

MAX_KEY = 8192
"""Characters of a key."""

MAX_TAGS = 64
MAX_TAG = 128

_START_PATIENCE = 0.25
"""Seconds that a request which starts the manager waits for the log; it goes on by itself."""

_CLOSE_PATIENCE = 5.0
"""Seconds that `close` gives to runs and writes going on."""


class _Missing:
    """The answer of a look-up that found nothing: None is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


@dataclass(frozen=True, slots=True)
class TierHealth:
    """One tier.

    Attributes:
        level, name: Which.
        healthy: Whether it answered.
        latency: Seconds that the answer took; None without one.
        breaker: `closed`, `open` or `half-open`.
        error: What went wrong, now or last; "" if nothing did.
    """

    level: int
    name: str
    healthy: bool
    latency: float | None
    breaker: str
    error: str


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the cache.

    Attributes:
        healthy: The first tier works: requests are answered, if with more runs of the origin.
        degraded: Something below it does not, or the log is not trusted.
        tiers: Every tier.
        trusted: The invalidation log has been heard of recently enough.
    """

    healthy: bool
    degraded: bool
    tiers: tuple[TierHealth, ...]
    trusted: bool


@dataclass(frozen=True, slots=True)
class _Computed:
    """A flight's answer: the stored value."""

    slot: Slot


class CacheManager:
    """The cache of one process: tiers, flights and the invalidation log.

    Nothing is started by making one. Use it as `async with CacheManager() as cache`, or let the
    middleware start and close it.

    Args:
        l1: The tier in this process; None for a `MemoryTier` with the configured bounds.
        l2: The tier below; None for Redis at `redis_url`.
        tiers: All tiers with their places, instead of `l1` and `l2`.
        log: The invalidation log; None for one on Redis, or a local one without Redis.
        redis_url: Where Redis is; None for memory only.
        redis: A client of redis-py's asyncio kind, instead of an address.
        streams: Streams of your own; None for those on Redis.
        serializer: How values become bytes.
        invalidation: Settings of the log.
        compress_over: Bytes above which what goes to shared tiers is compressed; None for never.
        config: All bounds, instead of reading them from the environment.
        clock: Monotonic seconds.
        wall: Unix seconds.
        **settings: Attributes of `CacheConfig`, stronger than environment and `.env`.

    Raises:
        ConfigError: If a setting is wrong, or two contradict.
    """

    def __init__(
        self,
        l1: LocalTier | None = None,
        l2: Tier | None = None,
        *,
        tiers: Sequence[tuple[Tier, TierConfig]] | None = None,
        log: InvalidationLog | None = None,
        redis: Any = None,
        streams: Any = None,
        serializer: Serializer | None = None,
        invalidation: InvalidationConfig | None = None,
        compress_over: int | None = None,
        config: CacheConfig | None = None,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
        **settings: Any,
    ) -> None:
        if config is not None and settings:
            names = ", ".join(sorted(settings))
            raise ConfigError(f"CacheManager: config= and {names} cannot both be given")
        if tiers is not None and (l1 is not None or l2 is not None):
            raise ConfigError("CacheManager: tiers= and l1= or l2= cannot both be given")
        self.config = config if config is not None else CacheConfig.resolve(**settings)
        self.serializer: Serializer = serializer if serializer is not None else JsonSerializer()
        self.invalidation = invalidation if invalidation is not None else InvalidationConfig()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._l1, self._l2, self._tiers, self._log = l1, l2, tiers, log
        self._redis = redis
        self._compress_over = compress_over
        self._clock, self._wall = clock, wall
        self._namespace = self.config.namespace
        self._table: RouteTable | None = None
        self._engine: Engine | None = None
        self._link: Any = None
        self._streams: Any = streams
        self._starting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        _check_tiers(tiers, l1, l2)

    def __repr__(self) -> str:
        state = "running" if self.running else "not running"
        return f"<CacheManager {self._namespace or '(unnamed)'}, {state}, {self._engine!r}>"

    # Making.

    @property
    def namespace(self) -> str:
        """What separates this application from others on the same Redis."""
        if self._namespace is None:
            self._namespace = name_of(None)
        return self._namespace

    def name_after(self, app: object, table: "RouteTable") -> None:
        """Take the application's name, unless there is one already, and its routes."""
        self._table = table
        if self._namespace is None and self._engine is None:
            self._namespace = name_of(app, table.endpoints)

    @property
    def engine(self) -> Engine:
        """The parts, put together at the first use."""
        if self._engine is None:
            self._engine = self._assemble()
        return self._engine

    def _assemble(self) -> Engine:
        config, namespace = self.config, self.namespace
        pairs = list(self._tiers) if self._tiers is not None else self._default_tiers()
        pairs.sort(key=lambda pair: pair[1].level)
        local: LocalTier | None = None
        if pairs and isinstance(first := pairs[0][0], LocalTier):
            local = first
            del pairs[0]
        if local is None:
            local = MemoryTier(config.l1_bytes, config.l1_entries, clock=self._clock)
        log = self._log if self._log is not None else self._default_log()
        return assemble(
            config,
            local,
            place(pairs, config),
            log,
            namespace=namespace,
            clock=self._clock,
            wall=self._wall,
            compress_over=self._compress_over,
        )

    def _default_tiers(self) -> list[tuple[Tier, TierConfig]]:
        pairs: list[tuple[Tier, TierConfig]] = []
        if self._l1 is not None:
            pairs.append((self._l1, TierConfig.l1()))
        if self._l2 is not None:
            pairs.append((self._l2, TierConfig.l2()))
        elif self._has_redis:
            tier = RedisTier(self._redis_link(), namespace=self.namespace)
            pairs.append((tier, TierConfig.l2()))
        return pairs

    @property
    def _has_redis(self) -> bool:
        return self._redis is not None or self.config.redis_url is not None

    def _redis_link(self) -> Any:
        if self._link is None:
            target = self._redis if self._redis is not None else self.config.redis_url
            self._link = connect(target, timeout=self.config.redis_timeout)
        return self._link

    def _default_log(self) -> InvalidationLog:
        if not self._has_redis:
            return LocalLog(self._clock)
        return RedisLog(
            self._redis_link(),
            namespace=self.namespace,
            config=self.invalidation,
            secret=self.config.secret,
            # Deliberate: an address that nobody gave may well have no server behind it. Until one
            # was seen there, this process is alone and needs to distrust nobody.
            optional=self._redis is None and self.config.redis_url is DEFAULT_REDIS_URL,
            clock=self._clock,
        )

    # Life.

    @property
    def running(self) -> bool:
        """Whether it was started and not closed."""
        return self.loop is not None

    async def start(self) -> None:
        """Begin to follow the log. Costs next to nothing when it runs already.

        Returns within a quarter of a second even if the log's server hangs. Another event loop or
        a forked process starts anew.
        """
        loop = asyncio.get_running_loop()
        if self.loop is loop and self._starting is None:
            return
        if self.loop is not loop:
            if self.loop is not None:
                # What belonged to the other loop ended with it.
                self.engine.flights.forget()
                self.engine.stack.forget()
                self._tasks.clear()
            self.loop = loop
            self._starting = asyncio.create_task(
                self.engine.log.start(self), name="asgi-multitier start"
            )
            self._starting.add_done_callback(self._started)
        if self._starting is not None:
            await asyncio.wait({self._starting}, timeout=_START_PATIENCE)

    def _started(self, task: "asyncio.Task[None]") -> None:
        if self._starting is task:
            self._starting = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self.engine.events.start_failed(error)

    async def close(self) -> None:
        """Finish what is going on, for up to 5 s, and release everything. May be called twice."""
        if self.loop is None:
            return
        engine = self.engine
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        await engine.flights.close(_CLOSE_PATIENCE)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=_CLOSE_PATIENCE)
        await engine.log.close()
        await engine.stack.close(_CLOSE_PATIENCE)
        if self._streams is not None:
            await self._streams.close()
        if self._link is not None:
            await self._link.close()
        self.loop = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # What the log says (`LogListener`).

    def dropped(self, selectors: Sequence[Selector]) -> None:
        """Another node's selectors came into force: free what they name exactly."""
        for selector in selectors:
            if selector.kind == "key":
                self.engine.stack.local.delete(selector.text)

    def updated(self, updates: Sequence[Update], born: Born) -> None:
        """Another node has new values."""
        for update in updates:
            if update.value is not None:
                self.engine.stack.adopt(update.key, update.value, update.ttl, born)

    def flushed(self) -> None:
        """History was lost: everything local is invalid."""
        self.engine.stack.local.clear()

    # Values.

    async def get(self, key: str, default: Any = None) -> Any:
        """The value, or `default` if there is none; a stored None is a value.

        Raises:
            ConfigError: If the key is not allowed.
        """
        value = await self._find(key)
        return default if value is MISSING else value

    async def _find(self, key: str) -> Any:
        await self.start()
        tally = self.engine.events.tally(MANAGER)
        slot, level = await self._look(_checked(key))
        value = MISSING if slot is None else self._read(slot, level)
        if value is MISSING:
            tally.misses += 1
        return value

    async def _look(self, key: str) -> tuple[Slot | None, int]:
        """The fresh slot of a key and the level of its tier."""
        stack = self.engine.stack
        slot, level = stack.peek(key), 1
        if slot is None and stack.has_shared:
            found = await stack.fetch(key)
            if found is not None:
                slot, level = found.slot, found.level
            else:
                slot = stack.peek(key)
        if slot is not None and self._clock() >= slot.entry.fresh_until:
            return None, 0
        return slot, level

    def _read(self, slot: Slot, level: int) -> Any:
        """The slot's value, counted as a hit; MISSING, counted, if it is of another format."""
        engine = self.engine
        payload = slot.entry.payload
        if not isinstance(payload, bytes):
            return MISSING
        try:
            value = self.serializer.loads(payload)
        except SerializationError:
            engine.events.failures["value-unreadable"] += 1
            return MISSING
        self._count_hit(level)
        return value

    def _count_hit(self, level: int) -> None:
        tally = self.engine.events.tally(MANAGER)
        if level == 1:
            tally.local += 1
        else:
            tally.hits[level] += 1

    async def set(
        self,
        key: str,
        value: Any,
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        broadcast: bool | None = None,
    ) -> None:
        """Store a value in every tier.

        Args:
            key: The key.
            value: Anything that the serializer takes; None is a value.
            strategy: How long it is fresh.
            tags: What `invalidate_tags` finds it by.
            broadcast: Whether the other instances' first tiers get it too; None for
                `InvalidationConfig.auto_broadcast_on_write`.

        Raises:
            ConfigError: If key, tags or lifetime are not allowed.
            SerializationError: If the value cannot be turned into bytes.
            BackendError: If no tier took it.
        """
        await self.set_many({key: value}, strategy, tags=tags, broadcast=broadcast)

    async def set_many(
        self,
        values: Mapping[str, Any],
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        broadcast: bool | None = None,
    ) -> None:
        """Store several values, in one round trip to each tier. See `set`."""
        await self.start()
        if broadcast is None:
            broadcast = self.invalidation.auto_broadcast_on_write
        seconds = seconds_of(strategy, option="strategy", where="CacheManager.set")
        marks = _checked_tags(tags)
        entries = [
            self._value_entry(_checked(key), self.serializer.dumps(value), seconds, marks)
            for key, value in values.items()
        ]
        if broadcast:
            entries = await self._announce(entries)
        await self._store(entries)

    async def _announce(self, entries: list[Entry]) -> list[Entry]:
        """Tell every instance the new values; they are born with the record that says so."""
        log = self.engine.log
        updates = []
        for entry in entries:
            encoded = self.engine.stack.encoded(entry)
            ttl = entry.keep_until - self._clock()
            updates.append(Update(entry.key, encoded if len(encoded) <= MAX_RIDE else None, ttl))
        operation = log.begin([Selector("key", entry.key) for entry in entries], updates)
        here = log.index.born()
        for entry in entries:
            self._keep(replace(entry, born=here))
        position = await log.commit(operation)
        born = here if position is None else replace(position, fence=here.fence)
        return [replace(entry, born=born) for entry in entries]

    async def _store(self, entries: list[Entry]) -> None:
        stack = self.engine.stack
        kept = [self._keep(entry) for entry in entries]
        if not stack.shared:
            return
        taken, error = await stack.write(entries)
        if not taken and not all(kept):
            raise BackendError(f"no tier took {entries[0].key!r}: {error}")

    def _keep(self, entry: Entry) -> bool:
        """Store here; a run that is under way for the key does not overwrite it."""
        self.engine.flights.supersede(entry.key)
        return self.engine.stack.keep(entry) is not None

    def _value_entry(self, key: str, value: bytes, seconds: float, tags: tuple[str, ...]) -> Entry:
        now = self._clock()
        return Entry(
            key=key,
            payload=value,
            born=self.engine.index.born(),
            created=now,
            fresh_until=now + seconds,
            keep_until=now + seconds,
            filled_at=now,
            tags=tags,
        )

    async def update(self, key: str, value: Any, ttl: Lifetime | None = None) -> None:
        """Replace a value here and on every other instance, for 5 minutes or `ttl`. See `set`."""
        strategy = CacheStrategy.DEFAULT if ttl is None else ttl
        await self.set(key, value, strategy, broadcast=True)

    async def set_with_broadcast(
        self,
        key: str,
        value: Any,
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
    ) -> None:
        """Write through to every tier and to every other instance's first tier. See `set`."""
        await self.set(key, value, strategy, tags=tags, broadcast=True)

    async def get_or_compute(
        self,
        key: str,
        compute: Callable[[], T | Awaitable[T]],
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
    ) -> T:
        """The value; if there is none, what `compute` returns, stored.

        Callers that come while it is computed wait for the same run, which goes on if one of them
        leaves. Each gets a value of his own.

        Args:
            key: The key.
            compute: An async or sync function without arguments.
            strategy: How long the value is fresh.
            tags: What `invalidate_tags` finds it by.

        Raises:
            ConfigError: If key, tags or lifetime are not allowed.
            CacheError: If `compute` asks for its own key.
            Exception: What `compute` raises, unchanged; nothing is stored then.
        """
        seconds = seconds_of(strategy, option="strategy", where="CacheManager.get_or_compute")
        marks = _checked_tags(tags)
        value: T = await self._get_or_compute(_checked(key), compute, seconds, marks, self._read)
        return value

    async def _get_or_compute(
        self,
        key: str,
        compute: Callable[[], Any],
        seconds: float,
        tags: tuple[str, ...],
        read: Callable[[Slot, int], Any],
    ) -> Any:
        await self.start()
        flights, tally = self.engine.flights, self.engine.events.tally(MANAGER)
        while True:
            slot, level = await self._look(key)
            if slot is not None and (value := read(slot, level)) is not MISSING:
                return value
            if key in within.get():
                raise CacheError(f"get_or_compute({key!r}) inside its own compute function")
            flight = flights.find(key)
            leads = flight is None
            if flight is None:
                probe = self._value_entry(key, b"", seconds, tags)
                flight = flights.open(probe) or Flight(probe, self.engine.index.view)
                flights.launch(flight, self._compute(flight, compute, seconds))
            try:
                answer = await flight.wait(None)
            except asyncio.CancelledError:
                flights.abandon(flight)
                raise
            except BaseException:
                if leads:
                    tally.misses += 1
                else:
                    tally.coalesced += 1
                raise
            if leads:
                tally.misses += 1
                return answer[1]
            payload = answer[0]
            tally.coalesced += 1
            return self.serializer.loads(payload)

    async def _compute(
        self, flight: "Flight[Any]", compute: Callable[[], Any], seconds: float
    ) -> None:
        """One run of a compute function."""
        value = compute()
        if isawaitable(value):
            value = await value
        payload = self.serializer.dumps(value)
        probe = flight.probe
        entry = replace(self._value_entry(probe.key, payload, seconds, probe.tags), born=probe.born)
        # A `set` in the meantime is younger than what this run read.
        if self.engine.flights.flies(flight) and self.engine.stack.keep(entry) is not None:
            self.engine.events.fills += 1
            self.engine.stack.share(entry)
        self.engine.flights.land(flight)
        flight.answer((payload, value))

    # Invalidation.

    async def invalidate(self, *keys: str) -> bool:
        """Drop values by key, and responses by the name that `key=` gave them, everywhere.

        Returns:
            True if every instance will hear of it; False if the log's server does not answer now.
            It is in force on this instance all the same, and is sent when the server is back.

        Raises:
            ConfigError: If a key is not allowed.
        """
        return await self.invalidate_selectors([Selector("key", _checked(key)) for key in keys])

    async def invalidate_many(self, keys: Iterable[str]) -> bool:
        """Drop several keys in one operation. See `invalidate`."""
        return await self.invalidate(*keys)

    async def invalidate_tags(self, *tags: str) -> bool:
        """Drop everything that carries one of the tags, everywhere. See `invalidate`."""
        return await self.invalidate_selectors(
            [Selector("tag", tag) for tag in _checked_tags(tags)]
        )

    async def invalidate_pattern(self, pattern: str) -> bool:
        """Drop values whose key, and responses whose path or name, matches, everywhere.

        Args:
            pattern: `*` stands for any run of characters, `?` for one.

        Raises:
            InvalidationError: If it is longer than 256 characters or has more than 8 stars.
        """
        return await self.invalidate_selectors([Selector("glob", check_glob(pattern))])

    async def invalidate_path(self, path: str, *, below: bool = False) -> bool:
        """Drop the responses of a path: every query string and variant, everywhere.

        Args:
            path: As the application sees it, decoded, beginning with `/`.
            below: Also everything below it.

        Raises:
            InvalidationError: If it does not begin with `/`.
        """
        if not path.startswith("/"):
            raise InvalidationError(
                f"path={path!r} is not allowed; expected one that begins with /"
            )
        return await self.invalidate_selectors([Selector("prefix" if below else "path", path)])

    async def invalidate_route(
        self, name_or_endpoint: str | Callable[..., Any], **params: object
    ) -> bool:
        """Drop the responses of a route, everywhere.

        Args:
            name_or_endpoint: The route's name, path template or endpoint.
            **params: Path parameters; without some of them, all that match the others are dropped.

        Raises:
            InvalidationError: If the application is not known yet, or has no such route.
        """
        if self._table is None:
            raise InvalidationError("invalidate_route: no CacheMiddleware uses this manager yet")
        return await self.invalidate_selectors(self._table.route_paths(name_or_endpoint, params))

    async def clear(self) -> bool:
        """Drop everything of this namespace, everywhere. See `invalidate`."""
        self.engine.stack.local.clear()
        return await self.invalidate_selectors([Selector("all", "")])

    async def invalidate_selectors(self, selectors: Sequence[Selector]) -> bool:
        """Drop what the selectors name, everywhere. See `invalidate`."""
        if not selectors:
            return True
        await self.start()
        log, stack = self.engine.log, self.engine.stack
        operation = log.begin(selectors)
        keys = [selector.text for selector in selectors if selector.kind == "key"]
        for key in keys:
            stack.local.delete(key)
        committed = await log.commit(operation)
        if keys and stack.shared:
            # Only to free room: nobody believes what is there any more.
            self._spawn(stack.drop(keys), "asgi-multitier drop")
        return committed is not None

    def begin_invalidation(self, selectors: Sequence[Selector]) -> "asyncio.Task[bool]":
        """As `invalidate_selectors`, in a task of its own, which `close` waits for."""
        return self._spawn(self.invalidate_selectors(selectors), "asgi-multitier invalidation")

    def _spawn(self, run: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        task = asyncio.create_task(run, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # What it knows of itself.

    @property
    def streams(self) -> Any:
        """Redis Streams of this namespace.

        Raises:
            ConfigError: If there is no Redis.
        """
        if self._streams is None:
            if not self._has_redis:
                raise ConfigError.of("redis_url", None, "an address: streams need Redis")
            self._streams = RedisStreams(self._redis_link(), namespace=self.namespace)
        return self._streams

    def stats(self) -> CacheStats:
        """A frozen reading of all counters."""
        events = self.engine.events
        total = events.total()
        return CacheStats(
            routes=events.routes(),
            total=total,
            tiers=self.engine.stack.statistics(total.hits.get(1, 0)),
            fills=events.fills,
            refused=dict(events.refused),
            refreshes=events.refreshes,
            failures=dict(events.failures),
            in_flight=self.engine.flights.running,
        )

    def tier_stats(self) -> tuple[TierStats, ...]:
        """One reading a tier, first tier first."""
        return self.stats().tiers

    def invalidation_stats(self) -> InvalidationStats:
        """What the log has done."""
        return self.engine.log.stats()

    async def health(self) -> Health:
        """Ask every tier whether it answers."""
        await self.start()
        engine = self.engine
        tiers = [TierHealth(1, engine.stack.local.name, True, 0.0, "closed", "")]
        for placed in engine.stack.shared:
            begun = time.perf_counter()
            answered = await engine.stack.ping(placed)
            latency = time.perf_counter() - begun
            tiers.append(
                TierHealth(
                    level=placed.config.level,
                    name=placed.tier.name,
                    healthy=answered,
                    latency=latency if answered else None,
                    breaker=placed.breaker.state.value,
                    error=placed.last_error,
                )
            )
        trusted = engine.log.trusted
        degraded = not trusted or not all(tier.healthy for tier in tiers)
        return Health(True, degraded, tuple(tiers), trusted)

    async def health_check(self) -> bool:
        """Whether the cache works; a shared tier that does not answer is tolerated."""
        return (await self.health()).healthy


def _checked(key: object) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY or key[0] == RESPONSE_MARK:
        shown = key[:80] if isinstance(key, str) else key
        allowed = f"a text of 1 to {MAX_KEY} characters that does not begin with NUL"
        raise ConfigError.of("key", shown, allowed, where="CacheManager")
    return key


def _checked_tags(tags: object) -> tuple[str, ...]:
    allowed = f"at most {MAX_TAGS} texts of 1 to {MAX_TAG} bytes"
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise ConfigError.of("tags", tags, allowed, where="CacheManager")
    marks = tuple(tags)
    if len(marks) > MAX_TAGS:
        raise ConfigError.of("tags", f"{len(marks)} of them", allowed, where="CacheManager")
    for tag in marks:
        if not isinstance(tag, str) or not 0 < len(tag.encode()) <= MAX_TAG:
            raise ConfigError.of("tags", tag, allowed, where="CacheManager")
    return marks


def _check_tiers(tiers: Sequence[tuple[Tier, TierConfig]] | None, l1: object, l2: object) -> None:
    where = "CacheManager"
    if l1 is not None and not isinstance(l1, LocalTier):
        raise ConfigError.of("l1", l1, "a LocalTier such as MemoryTier", where=where)
    if isinstance(l2, LocalTier):
        raise ConfigError.of("l2", l2, "a SharedTier such as RedisTier", where=where)
    if tiers is None:
        return
    if not tiers:
        raise ConfigError.of("tiers", tiers, "at least one (tier, TierConfig)", where=where)
    levels = [config.level for _, config in tiers]
    if len(set(levels)) != len(levels):
        raise ConfigError.of("tiers", levels, "levels that are all different", where=where)
