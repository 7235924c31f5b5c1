"""The same cache for code that cannot await: sync endpoints, threads, scripts."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from ..coherence.log import InvalidationStats
from ..config.process import Mode
from ..config.values import ComputeOptions, StoreOptions
from ..engine.health import Health
from ..events import CacheStats, TierStats
from ..strategy import CacheStrategy, Lifetime
from .functions import SyncCachedFunction
from .threads import Runner, in_thread

P = ParamSpec("P")
T = TypeVar("T")


class SyncCache(Runner):
    """A manager's methods, blocking. Each does what the manager's method of that name does.

    Compute functions are plain functions, and run in threads of their own. A call in a thread in
    which an event loop runs raises a `CacheError`, since it would block the loop.
    """

    @property
    def running(self) -> bool:
        """Whether the manager was started and not closed."""
        return self._cache.running

    @property
    def namespace(self) -> str:
        """See `CacheManager.namespace`."""
        return self._cache.namespace

    @property
    def mode(self) -> Mode:
        """See `CacheManager.mode`. It may be set in any thread without an event loop."""
        return self._cache.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        async def change() -> None:
            self._cache.mode = mode

        self.run(change())

    # Values.

    def get(self, key: str, default: Any = None) -> Any:
        """See `CacheManager.get`."""
        return self.run(self._cache.get(key, default))

    def get_typed(self, key: str, type_: type[T], default: T | None = None) -> T | None:
        """See `CacheManager.get_typed`."""
        return self.run(self._cache.get_typed(key, type_, default))

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """See `CacheManager.get_many`."""
        return self.run(self._cache.get_many(keys))

    def set(
        self,
        key: str,
        value: Any,
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        broadcast: bool | None = None,
        **options: Unpack[StoreOptions],
    ) -> None:
        """See `CacheManager.set`."""
        self.run(self._cache.set(key, value, strategy, tags=tags, broadcast=broadcast, **options))

    def set_many(
        self,
        values: Mapping[str, Any],
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        broadcast: bool | None = None,
        **options: Unpack[StoreOptions],
    ) -> None:
        """See `CacheManager.set_many`."""
        call = self._cache.set_many(values, strategy, tags=tags, broadcast=broadcast, **options)
        self.run(call)

    def update(self, key: str, value: Any, ttl: Lifetime | None = None) -> None:
        """See `CacheManager.update`."""
        self.run(self._cache.update(key, value, ttl))

    def set_with_broadcast(
        self,
        key: str,
        value: Any,
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        **options: Unpack[StoreOptions],
    ) -> None:
        """See `CacheManager.set_with_broadcast`."""
        self.run(self._cache.set_with_broadcast(key, value, strategy, tags=tags, **options))

    @overload
    def get_or_compute(
        self,
        key: str,
        compute: Callable[[], Awaitable[T]],
        strategy: Lifetime = ...,
        *,
        tags: Iterable[str] = ...,
        **options: Unpack[ComputeOptions],
    ) -> T: ...
    @overload
    def get_or_compute(
        self,
        key: str,
        compute: Callable[[], T],
        strategy: Lifetime = ...,
        *,
        tags: Iterable[str] = ...,
        **options: Unpack[ComputeOptions],
    ) -> T: ...
    def get_or_compute(
        self,
        key: str,
        compute: Callable[[], Any],
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        **options: Unpack[ComputeOptions],
    ) -> Any:
        """See `CacheManager.get_or_compute`; `compute` runs in a thread."""
        run = in_thread(compute)
        return self.run(self._cache.get_or_compute(key, run, strategy, tags=tags, **options))

    def get_or_compute_typed(
        self,
        key: str,
        type_: type[T],
        compute: Callable[[], T | Awaitable[T]],
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        **options: Unpack[ComputeOptions],
    ) -> T:
        """See `CacheManager.get_or_compute_typed`; `compute` runs in a thread."""
        run = in_thread(compute)
        call = self._cache.get_or_compute_typed(key, type_, run, strategy, tags=tags, **options)
        return self.run(call)

    def cached(
        self,
        key: str,
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        **options: Unpack[ComputeOptions],
    ) -> Callable[[Callable[P, T]], SyncCachedFunction[P, T]]:
        """A decorator for plain functions whose results are cached. See `CacheManager.cached`."""

        def decorate(function: Callable[P, T]) -> SyncCachedFunction[P, T]:
            return SyncCachedFunction(self._cache, self, function, key, strategy, tags, options)

        return decorate

    # Invalidation.

    def invalidate(self, *keys: str, settle: Lifetime = 0) -> bool:
        """See `CacheManager.invalidate`."""
        return self.run(self._cache.invalidate(*keys, settle=settle))

    def invalidate_many(self, keys: Iterable[str], *, settle: Lifetime = 0) -> bool:
        """See `CacheManager.invalidate_many`."""
        return self.run(self._cache.invalidate_many(keys, settle=settle))

    def invalidate_tags(self, *tags: str, settle: Lifetime = 0) -> bool:
        """See `CacheManager.invalidate_tags`."""
        return self.run(self._cache.invalidate_tags(*tags, settle=settle))

    def invalidate_pattern(self, pattern: str, *, settle: Lifetime = 0) -> bool:
        """See `CacheManager.invalidate_pattern`."""
        return self.run(self._cache.invalidate_pattern(pattern, settle=settle))

    def invalidate_path(self, path: str, *, below: bool = False, settle: Lifetime = 0) -> bool:
        """See `CacheManager.invalidate_path`."""
        return self.run(self._cache.invalidate_path(path, below=below, settle=settle))

    def invalidate_route(
        self, name_or_endpoint: str | Callable[..., Any], **params: object
    ) -> bool:
        """See `CacheManager.invalidate_route`."""
        return self.run(self._cache.invalidate_route(name_or_endpoint, **params))

    def clear(self) -> bool:
        """See `CacheManager.clear`."""
        return self.run(self._cache.clear())

    # Readings.

    def stats(self) -> CacheStats:
        """See `CacheManager.stats`."""
        return self._cache.stats()

    def tier_stats(self) -> tuple[TierStats, ...]:
        """See `CacheManager.tier_stats`."""
        return self._cache.tier_stats()

    def invalidation_stats(self) -> InvalidationStats:
        """See `CacheManager.invalidation_stats`."""
        return self._cache.invalidation_stats()

    def health(self) -> Health:
        """See `CacheManager.health`."""
        return self.run(self._cache.health())

    def health_check(self) -> bool:
        """See `CacheManager.health_check`."""
        return self.run(self._cache.health_check())
