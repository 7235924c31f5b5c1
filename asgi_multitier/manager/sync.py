"""The same cache for code that cannot await: sync endpoints, threads, scripts."""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, Unpack, overload

from ..coherence.log import InvalidationStats
from ..config.process import Mode
from ..config.values import ComputeOptions
from ..events import CacheStats, TierStats
from ..metrics import Metrics
from ..strategy import CacheStrategy, Lifetime
from .functions import SyncCachedFunction
from .operations import Operations
from .threads import Runner, in_thread

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from ..explain.routes import RoutesReport

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(
    method: Callable[Concatenate[Operations, P], Coroutine[Any, Any, T]],
) -> "Callable[Concatenate[SyncCache, P], T]":
    """An awaited method of the manager as a blocking one, with the same parameters."""
    name = method.__name__

    def called(self: "SyncCache", /, *args: P.args, **options: P.kwargs) -> T:
        call: Coroutine[Any, Any, T] = getattr(self._cache, name)(*args, **options)
        return self.run(call)

    # Deliberate: no `functools.wraps`. Frameworks look through that, and would await the result.
    called.__name__, called.__qualname__ = name, f"SyncCache.{name}"
    called.__doc__ = f"See `CacheManager.{name}`."
    called.__annotations__ = inspect.get_annotations(inspect.unwrap(method))
    vars(called)["__signature__"] = inspect.signature(method)
    return called


def _thread_validator(options: ComputeOptions) -> None:
    """Let the validator among these options run in a thread; a wrong one stays, to be refused."""
    if callable(validator := options.get("validator")):
        options["validator"] = in_thread(validator)


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
        """See `CacheManager.mode`."""
        return self._cache.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._cache.mode = mode

    # Values.

    get: Final = _blocking(Operations.get)
    get_typed: Final = _blocking(Operations.get_typed)
    get_many: Final = _blocking(Operations.get_many)
    set: Final = _blocking(Operations.set)
    set_many: Final = _blocking(Operations.set_many)
    update: Final = _blocking(Operations.update)
    set_with_broadcast: Final = _blocking(Operations.set_with_broadcast)

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
        """See `CacheManager.get_or_compute`; `compute` and `validator` run in threads."""
        run = in_thread(compute)
        _thread_validator(options)
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
        """See `CacheManager.get_or_compute_typed`; `compute` and `validator` run in threads."""
        run = in_thread(compute)
        _thread_validator(options)
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

    invalidate: Final = _blocking(Operations.invalidate)
    invalidate_many: Final = _blocking(Operations.invalidate_many)
    invalidate_tags: Final = _blocking(Operations.invalidate_tags)
    invalidate_pattern: Final = _blocking(Operations.invalidate_pattern)
    invalidate_path: Final = _blocking(Operations.invalidate_path)
    invalidate_route: Final = _blocking(Operations.invalidate_route)
    clear: Final = _blocking(Operations.clear)

    # Warm-up.

    warm: Final = _blocking(Operations.warm)

    # Readings.

    health: Final = _blocking(Operations.health)
    health_check: Final = _blocking(Operations.health_check)
    explain: Final = _blocking(Operations.explain)
    instances: Final = _blocking(Operations.instances)
    seen: Final = _blocking(Operations.seen)
    report: Final = _blocking(Operations.report)

    def stats(self) -> CacheStats:
        """See `CacheManager.stats`."""
        return self._cache.stats()

    def routes(self) -> "RoutesReport":
        """See `CacheManager.routes`."""
        return self._cache.routes()

    @property
    def metrics(self) -> Metrics:
        """See `CacheManager.metrics`."""
        return self._cache.metrics

    def instrument(
        self,
        meter_provider: "MeterProvider | None" = None,
        tracer_provider: "TracerProvider | None" = None,
        *,
        metrics: bool = True,
        traces: bool = True,
        round_trips: bool = False,
    ) -> None:
        """See `CacheManager.instrument`."""
        self._cache.instrument(
            meter_provider, tracer_provider, metrics=metrics, traces=traces, round_trips=round_trips
        )

    def tier_stats(self) -> tuple[TierStats, ...]:
        """See `CacheManager.tier_stats`."""
        return self._cache.tier_stats()

    def invalidation_stats(self) -> InvalidationStats:
        """See `CacheManager.invalidation_stats`."""
        return self._cache.invalidation_stats()
