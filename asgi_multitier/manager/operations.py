"""What can be asked of the cache of a process, by the middleware and by hand; awaited.

How it is made, started and closed is in `lifecycle`, how values are looked up, stored and computed
in `values`. Everything goes through one engine: a `set` is a fill whose answer is known, an
invalidation is a record of the log. The manager sees no scope and no header.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ParamSpec, TypeAlias, TypeVar, Unpack, overload

from ..coherence.log import InvalidationStats, Operation
from ..coherence.repeats import note, note_kept, root_paths
from ..config.policy import Policy
from ..engine.health import Health, examine
from ..entry import Born
from ..errors import InvalidationError
from ..events import CacheStats, TierStats
from ..policy.reasons import Reason
from ..selectors import Kind, Selector, check_glob, check_path, spellings
from ..strategy import CacheStrategy, Lifetime, seconds_of
from ..streams import Streams
from .home import HomeBlocked, at_home
from .lifecycle import Lifecycle
from .values import (
    MISSING,
    Ask,
    ComputeOptions,
    Reader,
    StoreOptions,
    checked_key,
    checked_tags,
    compute_policy,
    keys_of,
    reader,
    store_policy,
    writer,
)

P = ParamSpec("P")
T = TypeVar("T")

Begin: TypeAlias = Callable[[Sequence[Selector]], Operation]
"""Puts an invalidation into force, synchronously."""

Drop: TypeAlias = Callable[[], Coroutine[Any, Any, "Born | None"]]
"""Drops something, and gives the position of its record."""


class Operations(Lifecycle):
    """What can be asked of a cache, awaited. `CacheManager` says what the arguments mean."""

    @cached_property
    def taken(self) -> dict[str, tuple[object, ...]]:
        """Whose the keys of decorated functions are: functions by the template of their keys."""
        return {}

    # Values.

    @at_home
    async def get(self, key: str, default: Any = None) -> Any:
        """The fresh value, or `default` if there is none; a stored None is a value.

        Never waits for a compute function.

        Raises:
            ConfigError: If the key is not allowed.
        """
        value = await self._found(key, self.serializer.loads)
        return default if value is MISSING else value

    @at_home
    async def get_typed(self, key: str, type_: type[T], default: T | None = None) -> T | None:
        """The value as an instance of a type, or `default` if there is none of that shape.

        Args:
            key: The key.
            type_: A dataclass, `TypedDict`, msgspec Struct, Pydantic model, or anything made of
                them. A stored value that does not fit is a miss, and counted.
            default: What stands for a miss.

        Raises:
            ConfigError: If the key is not allowed.
        """
        value = await self._found(key, reader(self.serializer, type_))
        return default if value is MISSING else value

    async def _found(self, key: str, read: Reader) -> Any:
        """The fresh value of a key, or MISSING."""
        checked_key(key)
        if self.mode == "off":
            return MISSING
        await self.start()
        return await self.values.find(key, read)

    @at_home
    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """The values that there are, by key; each shared tier is asked for up to 500 keys at once.

        Raises:
            ConfigError: If a key is not allowed.
        """
        wanted, values = keys_of(keys), self.values
        if self.mode == "off":
            return {}
        await self.start()
        found = await asyncio.gather(*(values.find(key, self.serializer.loads) for key in wanted))
        pairs = zip(wanted, found, strict=True)
        return {key: value for key, value in pairs if value is not MISSING}

    async def set(
        self,
        key: str,
        value: Any,
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        broadcast: bool | None = None,
        **options: Unpack[StoreOptions],
    ) -> None:
        """Store a value in every tier.

        Args:
            key: The key.
            value: Anything that the serializer takes; None is a value.
            strategy: How long it is fresh.
            tags: What `invalidate_tags` finds it by.
            broadcast: Whether the other instances' first tiers get it too; None for
                `InvalidationConfig.auto_broadcast_on_write`.
            **options: See `StoreOptions`.

        Raises:
            ConfigError: If key, tags, lifetime or an option are not allowed.
            SerializationError: If the value cannot be turned into bytes, or into too many.
            BackendError: If no tier took it.
        """
        await self.set_many({key: value}, strategy, tags=tags, broadcast=broadcast, **options)

    @at_home
    async def set_many(
        self,
        values: Mapping[str, Any],
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        broadcast: bool | None = None,
        **options: Unpack[StoreOptions],
    ) -> None:
        """Store several values, in one round trip to each tier. See `set`."""
        if broadcast is None:
            broadcast = self.invalidation.auto_broadcast_on_write
        policy, named = store_policy(strategy, "CacheManager.set", options), checked_tags(tags)
        if self.mode == "off":
            # Nothing is stored, and what other instances keep is older than what was given.
            await self.invalidate(*values)
            return
        await self.start()
        await self.values.put(values, policy, named, broadcast=broadcast)
        note_kept(self, values)

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
        **options: Unpack[StoreOptions],
    ) -> None:
        """Write through to every tier and to every other instance's first tier. See `set`."""
        await self.set(key, value, strategy, tags=tags, broadcast=True, **options)

    @overload
    async def get_or_compute(
        self,
        key: str,
        compute: Callable[[], Awaitable[T]],
        strategy: Lifetime = ...,
        *,
        tags: Iterable[str] = ...,
        **options: Unpack[ComputeOptions],
    ) -> T: ...
    @overload
    async def get_or_compute(
        self,
        key: str,
        compute: Callable[[], T],
        strategy: Lifetime = ...,
        *,
        tags: Iterable[str] = ...,
        **options: Unpack[ComputeOptions],
    ) -> T: ...
    async def get_or_compute(
        self,
        key: str,
        compute: Callable[[], Any],
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        **options: Unpack[ComputeOptions],
    ) -> Any:
        """The value; if there is none, what `compute` returns, stored.

        Callers that come while it is computed wait for the same run, which goes on if one of them
        leaves. Whoever started it gets the object that `compute` returned, everybody else a copy
        as the serializer reads it.

        Args:
            key: The key.
            compute: An async or sync function without arguments. A sync one must not block.
            strategy: How long the value is fresh.
            tags: What `invalidate_tags` finds it by.
            **options: See `ComputeOptions`.

        Raises:
            ConfigError: If key, tags, lifetime or an option are not allowed.
            CacheError: If `compute` asks for its own key.
            SerializationError: If what it returned cannot be turned into bytes.
            TimeoutError: After `hard_timeout`, where no stale value may stand in.
            Exception: What `compute` raises, unchanged; nothing is stored then.
        """
        policy = compute_policy(strategy, "CacheManager.get_or_compute", options)
        return await self._computed(key, compute, policy, tags, None)

    async def get_or_compute_typed(
        self,
        key: str,
        type_: type[T],
        compute: Callable[[], T | Awaitable[T]],
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        **options: Unpack[ComputeOptions],
    ) -> T:
        """As `get_or_compute`, with stored values read as instances of a type.

        A stored shape that no longer fits is computed again, and counted.

        Raises:
            SerializationError: Also if what `compute` returned would come back changed, or as
                nothing that fits the type.
        """
        policy = compute_policy(strategy, "CacheManager.get_or_compute_typed", options)
        answer: T = await self._computed(key, compute, policy, tags, type_)
        return answer

    async def _computed(
        self,
        key: str,
        compute: Callable[[], Any],
        policy: Policy,
        tags: Iterable[str],
        type_: Any,
    ) -> Any:
        """The value of a key; None as its type stands for plain objects."""
        serializer = self.serializer
        if self.home.is_elsewhere:
            compute = self.home.carrying(compute)
        read, write = reader(serializer, type_), writer(serializer, type_)
        ask = Ask(checked_key(key), compute, policy, checked_tags(tags), read, write)
        if self.mode == "off":
            return await self.computing.alone(ask, Reason.OFF)
        try:
            return await self._answered(ask)
        except HomeBlocked:
            return await compute()

    @at_home
    async def _answered(self, ask: Ask) -> Any:
        await self.start()
        return await self.computing.answer(ask)

    # Invalidation.

    async def invalidate(self, *keys: str, settle: Lifetime = 0) -> bool:
        """Drop values by key, and responses by the name that `key=` gave them, everywhere.

        Args:
            *keys: Keys and names.
            settle: Seconds for which what is dropped is not stored anew on any instance, for
                origins that read from a replica that may lag so long.

        Returns:
            True if every instance will hear of it; False if the log's server does not answer now.
            It is in force on this instance all the same, and is sent when the server is back.

        Raises:
            ConfigError: If a key is not allowed.
        """
        selectors = [Selector("key", checked_key(key)) for key in keys]
        return await self.invalidate_selectors(selectors, settle=settle)

    async def invalidate_many(self, keys: Iterable[str], *, settle: Lifetime = 0) -> bool:
        """Drop several keys in one operation. See `invalidate`."""
        return await self.invalidate(*keys, settle=settle)

    async def invalidate_tags(self, *tags: str, settle: Lifetime = 0) -> bool:
        """Drop everything that carries one of the tags, everywhere. See `invalidate`."""
        selectors = [Selector("tag", tag) for tag in checked_tags(tags, None)]
        return await self.invalidate_selectors(selectors, settle=settle)

    async def invalidate_pattern(self, pattern: str, *, settle: Lifetime = 0) -> bool:
        """Drop values whose key, and responses whose path or name, matches, everywhere.

        Args:
            pattern: `*` stands for any run of characters, `?` for one.

        Raises:
            InvalidationError: If it is longer than 256 characters or has more than 8 stars.
        """
        selectors = [Selector("glob", each) for each in self._meant_by(check_glob(pattern)) if each]
        return await self.invalidate_selectors(selectors, settle=settle)

    async def invalidate_path(
        self, path: str, *, below: bool = False, settle: Lifetime = 0
    ) -> bool:
        """Drop the responses of a path: every query string and variant, everywhere.

        Args:
            path: As the outermost cached application sees it, mounts included, beginning with `/`,
                without a query string; decoded or percent-encoded. Within a request it may have
                the root path in front, as `request.url.path` has.
            below: Also everything below it.

        Raises:
            InvalidationError: If it does not begin with `/`, or holds a `?`.
        """
        kind: Kind = "prefix" if below else "path"
        written = spellings(check_path(path))
        selectors = [Selector(kind, each) for one in written for each in self._meant_by(one)]
        return await self.invalidate_selectors(selectors, settle=settle)

    def _meant_by(self, text: str) -> list[str]:
        """The paths or patterns that a text stands for where this code runs."""
        table = self._table
        return [text] if table is None else table.meant_by(text, root_paths(self))

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
        if not self.home.is_elsewhere:
            self.engine.stack.local.clear()
        return await self.invalidate_selectors([Selector("all", "")])

    async def invalidate_selectors(
        self, selectors: Sequence[Selector], *, settle: Lifetime = 0
    ) -> bool:
        """Drop what the selectors name, everywhere. See `invalidate`."""
        if not selectors:
            return True
        begin = self.beginning(settle)

        def noting(selectors: Sequence[Selector]) -> Operation:
            operation = begin(selectors)
            note(self, selectors, operation.settle)
            return operation

        return await self._carried(lambda: self._drop(selectors, noting)) is not None

    def drop_again(
        self, selectors: Sequence[Selector], settle: float, kept: Iterable[str]
    ) -> "asyncio.Task[Born | None]":
        """Drop what a request has dropped, once more at its end. See `coherence.repeats`."""
        return self._begun(lambda: self._drop_again(selectors, settle, kept))

    async def _drop_again(
        self, selectors: Sequence[Selector], settle: float, kept: Iterable[str]
    ) -> Born | None:
        await self.start()
        stack = self.engine.stack
        slots = [slot for key in kept if (slot := stack.peek(key)) is not None]
        operation = self.beginning(settle)(selectors)
        note(self, selectors, settle)
        for slot in slots:
            stack.renew(slot)
        return await self.engine.log.commit(operation)

    def beginning(self, settle: Lifetime = 0) -> Begin:
        """What puts selectors into force on this instance, with a time to settle.

        Raises:
            ConfigError: If the time is not allowed.
        """
        seconds = seconds_of(settle, option="settle", where="CacheManager", zero=True)
        return partial(self.engine.log.begin, settle=seconds)

    def begin_invalidation(
        self, selectors: Sequence[Selector], begin: Begin
    ) -> "asyncio.Task[Born | None]":
        """Drop what the selectors name in a task of its own, which `close` waits for.

        Args:
            selectors: What is dropped.
            begin: Puts it into force on this instance.

        Returns:
            The task; its result is the position of the log's record, None if it waits to be sent.
        """
        return self._begun(lambda: self._drop(selectors, begin))

    def _begun(self, drop: Drop) -> "asyncio.Task[Born | None]":
        if not self.home.is_elsewhere:
            return self.spawn(drop(), "asgi-multitier invalidation")
        task = asyncio.create_task(self._carried(drop), name="asgi-multitier invalidation")
        self._from_afar.add(task)
        task.add_done_callback(self._from_afar.discard)
        return task

    async def _carried(self, drop: Drop) -> Born | None:
        """Drop it where the cache lives; None where that loop is blocked, and will do it later."""
        try:
            return await self.home.run(drop)
        except HomeBlocked:
            return None

    async def _drop(self, selectors: Sequence[Selector], begin: Begin) -> Born | None:
        await self._check_name()
        await self.start()
        log, stack = self.engine.log, self.engine.stack
        operation = begin(selectors)
        keys = [selector.text for selector in selectors if selector.kind == "key"]
        for key in keys:
            stack.local.delete(key)
        # The delete is only to free room: nobody believes what is there any more. It is waited for
        # because it must not remove what this caller sets next.
        position, _ = await asyncio.gather(log.commit(operation), stack.drop(keys))
        self._note_followers()
        return position

    # What it knows of itself.

    @property
    def streams(self) -> Streams:
        """Streams of this namespace.

        Raises:
            ConfigError: If there are neither streams of your own nor a Redis.
        """
        return self._backends.streams(self.namespace)

    def stats(self) -> CacheStats:
        """A frozen reading of all counters."""
        events = self.engine.events
        total = events.total()
        return CacheStats(
            routes=events.routes(),
            total=total,
            tiers=self.engine.stack.statistics(total.hits),
            fills=events.fills,
            refused=dict(events.refused),
            unused=dict(events.unused),
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

    @at_home
    async def health(self) -> Health:
        """Ask every tier whether it answers."""
        await self.start()
        return await examine(self.engine, self.namespace)

    async def health_check(self) -> bool:
        """Whether the cache works; a shared tier that does not answer is tolerated."""
        return (await self.health()).healthy
