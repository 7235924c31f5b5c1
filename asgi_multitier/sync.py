"""The same cache for code that cannot await: sync endpoints, threads, scripts.

Where the manager runs in an event loop of another thread, as under an ASGI server, calls go there.
Where it does not run, as in a script, a thread of the facade's own runs it, until `close`.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from .errors import CacheError
from .health import Health
from .strategy import CacheStrategy, Lifetime
from .values import ComputeOptions, StoreOptions

if TYPE_CHECKING:
    from .manager import CacheManager

T = TypeVar("T")

_LOOK = 1.0
"""Seconds after which a call looks whether the loop that it waits for still runs."""


class SyncCache:
    """A manager's methods, blocking. Each means what the manager's own of that name means.

    Compute functions are plain functions, and run in a thread. Never called where an event loop
    runs: that raises a `CacheError`, since it would stop the loop.
    """

    def __init__(self, cache: "CacheManager") -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._own: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0

    def __repr__(self) -> str:
        return f"<SyncCache of {self._cache!r}>"

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run any call of the manager, such as `sync.run(manager.streams.publish(...))`.

        Raises:
            CacheError: If an event loop runs in this thread, or the manager's loop ended meanwhile.
            Exception: What the call raises.
        """
        if _runs_loop():
            call.close()
            raise CacheError(
                "CacheManager.sync is for code without an event loop; here, await the manager's "
                "own method"
            )
        loop = self._loop()
        future = asyncio.run_coroutine_threadsafe(call, loop)
        while True:
            try:
                return future.result(_LOOK)
            except TimeoutError:
                if future.done():
                    raise
                if not loop.is_running():
                    future.cancel()
                    raise CacheError("the event loop of the cache ended during the call") from None

    def _loop(self) -> asyncio.AbstractEventLoop:
        """Where the manager runs, or our own."""
        with self._lock:
            here = self._cache.loop
            if here is not None and here.is_running() and not self._is_forked(here):
                return here
            if self._own is None or self._is_forked(self._own):
                loop = asyncio.new_event_loop()
                self._own, self._pid = loop, os.getpid()
                self._thread = threading.Thread(
                    target=loop.run_forever, name="asgi-multitier sync", daemon=True
                )
                self._thread.start()
            return self._own

    def _is_forked(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it is our own loop of a parent process, whose thread is not here."""
        return loop is self._own and self._pid != os.getpid()

    def close(self) -> None:
        """Close the manager, if this facade runs it. May be called twice; a later call starts anew.

        A manager that an application runs is closed by that application.
        """
        with self._lock:
            loop, thread = self._own, self._thread
            self._own = self._thread = None
        if loop is None or thread is None or self._pid != os.getpid():
            return
        asyncio.run_coroutine_threadsafe(self._cache.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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

    def get_or_compute(
        self,
        key: str,
        compute: Callable[[], T],
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        **options: Unpack[ComputeOptions],
    ) -> T:
        """See `CacheManager.get_or_compute`; `compute` runs in a thread."""
        run = _in_thread(compute)
        call: Coroutine[Any, Any, T] = self._cache.get_or_compute(
            key, run, strategy, tags=tags, **options
        )
        return self.run(call)

    def get_or_compute_typed(
        self,
        key: str,
        type_: type[T],
        compute: Callable[[], T],
        strategy: Lifetime = CacheStrategy.DEFAULT,
        *,
        tags: Iterable[str] = (),
        **options: Unpack[ComputeOptions],
    ) -> T:
        """See `CacheManager.get_or_compute_typed`; `compute` runs in a thread."""
        run = _in_thread(compute)
        call = self._cache.get_or_compute_typed(key, type_, run, strategy, tags=tags, **options)
        return self.run(call)

    # Invalidation.

    def invalidate(self, *keys: str) -> bool:
        """See `CacheManager.invalidate`."""
        return self.run(self._cache.invalidate(*keys))

    def invalidate_tags(self, *tags: str) -> bool:
        """See `CacheManager.invalidate_tags`."""
        return self.run(self._cache.invalidate_tags(*tags))

    def invalidate_pattern(self, pattern: str) -> bool:
        """See `CacheManager.invalidate_pattern`."""
        return self.run(self._cache.invalidate_pattern(pattern))

    def invalidate_path(self, path: str, *, below: bool = False) -> bool:
        """See `CacheManager.invalidate_path`."""
        return self.run(self._cache.invalidate_path(path, below=below))

    def invalidate_route(
        self, name_or_endpoint: str | Callable[..., Any], **params: object
    ) -> bool:
        """See `CacheManager.invalidate_route`."""
        return self.run(self._cache.invalidate_route(name_or_endpoint, **params))

    def clear(self) -> bool:
        """See `CacheManager.clear`."""
        return self.run(self._cache.clear())

    def health(self) -> Health:
        """See `CacheManager.health`."""
        return self.run(self._cache.health())


def _in_thread(compute: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    if iscoroutinefunction(compute):
        return compute
    return lambda: asyncio.to_thread(compute)


def _runs_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
