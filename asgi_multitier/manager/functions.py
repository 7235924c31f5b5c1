"""Decorated functions, whose results are cached: what both `cached` methods make."""

import inspect
from collections.abc import Callable, Iterable
from functools import partial, update_wrapper
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, cast

from ..config.values import ComputeOptions, compute_policy
from ..errors import ConfigError
from ..strategy import Lifetime
from .function_keys import FunctionKeys, name_of
from .operations import Operations
from .threads import Runner, in_thread

P = ParamSpec("P")
T = TypeVar("T")


class _Cached(Generic[P, T]):
    """What async and plain functions share."""

    _allowed: ClassVar[str]
    """The functions that can be decorated, in words."""

    def __init__(
        self,
        cache: Operations,
        function: Callable[P, Any],
        key: str,
        strategy: Lifetime,
        tags: Iterable[str],
        options: ComputeOptions,
    ) -> None:
        """Check what can be checked now. See `CacheManager.cached` and `SyncCache.cached`.

        Raises:
            ConfigError: If the function is of the other kind, or a template or an option is wrong.
        """
        if not self._takes(function):
            name = name_of(function)
            raise ConfigError.of("function", name, self._allowed, where=f"cached({name})")
        compute_policy(strategy, f"cached({name_of(function)})", options)
        self._cache = cache
        self._function = function
        self._strategy = strategy
        self._options = options
        self._keys = FunctionKeys(function, key, tags, cache.taken)
        self._type: Any = None
        self._type_known = False
        update_wrapper(cast("Any", self), function)

    @staticmethod
    def _takes(function: object) -> bool:
        """Whether such a function can be decorated."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._keys.template.text!r}>"

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else _Method(self, instance)

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of the result for these arguments."""
        return self._keys.key(self._keys.arguments(args, kwargs))

    async def _computed(
        self, compute_of: Callable[[Callable[[], Any]], Any], args: Any, kwargs: Any
    ) -> T:
        """The result; `compute_of` makes the manager's function of a call of this one."""
        arguments = self._keys.arguments(args, kwargs)
        options = self._options
        if (validator := options.get("validator")) is not None:
            options = {**options, "validator": compute_of(partial(validator, *args, **kwargs))}
        value: T = await self._cache.get_or_compute_typed(
            self._keys.key(arguments),
            self._return_type(),
            compute_of(partial(self._function, *args, **kwargs)),
            self._strategy,
            tags=self._keys.tags(arguments),
            **options,
        )
        return value

    def _return_type(self) -> Any:
        """The type that stored results are read as; resolved late, since it may be defined late."""
        if not self._type_known:
            self._type = self._keys.returned()
            self._type_known = True
        return self._type


class CachedFunction(_Cached[P, T]):
    """An async function that runs only if the cache has no fresh result.

    Called as the function itself. Results from the cache are read as the type of the function's
    return annotation; without one, as plain objects. Arguments that the key does not name do not
    separate results, `self` included. If it names several, a separator inside an argument is
    escaped, so that no two argument lists share a key.
    """

    _allowed = "an async function, with classmethod and the like above `cached`"

    @staticmethod
    def _takes(function: object) -> bool:
        return inspect.iscoroutinefunction(function)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result; see `CacheManager.get_or_compute`."""
        return await self._computed(lambda compute: compute, args, kwargs)

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the result for these arguments, everywhere. See `CacheManager.invalidate`."""
        return await self._cache.invalidate(self.key(*args, **kwargs))


class SyncCachedFunction(_Cached[P, T]):
    """A plain function that runs only if the cache has no fresh result.

    As `CachedFunction`, for threads and scripts.
    """

    _allowed = "a plain function; CacheManager.cached is for async ones"

    def __init__(
        self,
        cache: Operations,
        runner: Runner,
        function: Callable[P, T],
        key: str,
        strategy: Lifetime,
        tags: Iterable[str],
        options: ComputeOptions,
    ) -> None:
        super().__init__(cache, function, key, strategy, tags, options)
        self._runner = runner

    @staticmethod
    def _takes(function: object) -> bool:
        return not (
            inspect.iscoroutinefunction(function)
            or inspect.isgeneratorfunction(function)
            or inspect.isasyncgenfunction(function)
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result; see `SyncCache.get_or_compute`."""
        return self._runner.run(self._computed(in_thread, args, kwargs))

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the result for these arguments, everywhere. See `SyncCache.invalidate`."""
        return self._runner.run(self._cache.invalidate(self.key(*args, **kwargs)))


class _Method:
    """A decorated function of an object: `key` and `invalidate` take arguments as the call does."""

    def __init__(self, function: Any, instance: object) -> None:
        self.__func__, self.__self__ = function, instance

    def __repr__(self) -> str:
        return f"<{self.__func__!r} of {self.__self__!r}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self.__self__, *args, **kwargs)

    def key(self, *args: Any, **kwargs: Any) -> str:
        """See `CachedFunction.key`."""
        return cast("str", self.__func__.key(self.__self__, *args, **kwargs))

    def invalidate(self, *args: Any, **kwargs: Any) -> Any:
        """See `CachedFunction.invalidate`."""
        return self.__func__.invalidate(self.__self__, *args, **kwargs)
