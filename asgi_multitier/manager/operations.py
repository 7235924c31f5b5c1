"""The calls for values, awaited; with `invalidation` and `readings`, all that a cache can be asked.

Everything goes through one engine: a `set` is a fill whose answer is known, an invalidation is a
record of the log. Nothing here sees a scope or a header.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar, Unpack, overload

from ..coherence.repeats import note_kept
from ..config.policy import Policy
from ..config.values import (
    ComputeOptions,
    StoreOptions,
    check_compute,
    compute_policy,
    store_policy,
    validator_of,
)
from ..policy.reasons import Reason
from ..strategy import CacheStrategy, Lifetime
from .computing import ComputeCall, Computing
from .function_keys import Taken
from .home import HomeBlocked, at_home, result_of
from .invalidation import Invalidation
from .keys import checked_key, checked_tags, keys_of
from .readings import Readings
from .values import MISSING, Reader, Values, reader, writer

T = TypeVar("T")

_NOT_USED = {"off": Reason.OFF, "shadow": Reason.SHADOW}
"""Why values are computed each time, by mode."""


class Operations(Invalidation, Readings):
    """All that a cache can be asked, awaited. See `CacheManager`."""

    _made_computing: Computing | None = None

    @cached_property
    def taken(self) -> Taken:
        """Decorated functions by the template of their keys: each template belongs to one."""
        return {}

    @property
    def _computing(self) -> Computing:
        """The values and their runs, made at the first use."""
        return self._made_computing or self._once("_made_computing", self._make_computing)

    def _make_computing(self) -> Computing:
        made = Computing(self.engine, Values(self.engine, self.serializer))
        self._name.has_values = True
        return made

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
            default: What is returned for a miss.

        Raises:
            ConfigError: If the key is not allowed.
        """
        value = await self._found(key, reader(self.serializer, type_))
        return default if value is MISSING else value

    async def _found(self, key: str, read: Reader) -> Any:
        """The fresh value of a key, or MISSING."""
        checked_key(key)
        if self.mode != "on":
            return MISSING
        await self.start()
        return await self._computing.values.find(key, read)

    @at_home
    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """The fresh values by key; a key without one is left out.

        Each shared tier is asked for up to 500 keys at once.

        Raises:
            ConfigError: If a key is not allowed.
        """
        wanted = keys_of(keys)
        if self.mode != "on":
            return {}
        await self.start()
        values = self._computing.values
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
            tags: What `invalidate_tags` names it by.
            broadcast: Whether the first tiers of other instances get it too; None for
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
        if self.mode != "on":
            # Nothing is stored, and what other instances hold is older than these values.
            await self.invalidate(*values)
            return
        await self.start()
        await self._computing.values.put(values, policy, named, broadcast=broadcast)
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
        leaves. The caller that started it gets the object that `compute` returned, all others a
        copy as the serializer reads it.

        Args:
            key: The key.
            compute: An async or sync function without arguments. A sync one must not block.
            strategy: How long the value is fresh.
            tags: What `invalidate_tags` names it by.
            **options: See `ComputeOptions`.

        Raises:
            ConfigError: If key, tags, lifetime or an option are not allowed.
            CacheError: If `compute` asks for its own key.
            SerializationError: If what it returned cannot be turned into bytes.
            TimeoutError: After `hard_timeout`, where no stale value may stand in.
            Exception: What `compute` raises, unchanged; nothing is stored then.
        """
        where = "CacheManager.get_or_compute"
        policy, validator = compute_policy(strategy, where, options), validator_of(options, where)
        return await self._computed(key, compute, policy, tags, None, validator)

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
        where = "CacheManager.get_or_compute_typed"
        policy, validator = compute_policy(strategy, where, options), validator_of(options, where)
        answer: T = await self._computed(key, compute, policy, tags, type_, validator)
        return answer

    async def _computed(
        self,
        key: str,
        compute: Callable[[], Any],
        policy: Policy,
        tags: Iterable[str],
        type_: Any,
        validator: Callable[[], Any] | None,
    ) -> Any:
        """The value of a key. A `type_` of None means plain objects."""
        serializer = self.serializer
        check_compute(compute)
        if self.home.is_elsewhere:
            compute = self.home.carrying(compute)
            validator = validator and self.home.carrying(validator)
        read, write = reader(serializer, type_), writer(serializer, type_)
        named = checked_key(key), compute, policy, checked_tags(tags)
        call = ComputeCall(*named, read, write, validator)
        if (reason := _NOT_USED.get(self.mode)) is not None:
            return await self._computing.alone(call, reason)
        try:
            return await self._answered(call)
        except HomeBlocked:
            return await result_of(compute)

    @at_home
    async def _answered(self, call: ComputeCall) -> Any:
        await self.start()
        return await self._computing.answer(call)
