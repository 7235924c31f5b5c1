"""Where blocking calls run: in the manager's own event loop, or in one of a thread made for it.

Where the manager runs in an event loop of another thread, as under an ASGI server, calls go there.
Where it does not run, as in a script, a thread of the runner's own runs it, until `close`.
"""

import asyncio
import atexit
import logging
import os
import threading
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, wait
from contextlib import suppress
from contextvars import copy_context
from inspect import isawaitable, iscoroutinefunction
from types import TracebackType
from typing import Any, Self, TypeVar

from ..errors import CacheError
from .operations import Operations

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("asgi_multitier")

_CHECK_INTERVAL = 1.0
"""Seconds after which a call checks whether the loop that it waits for still runs."""

_ENDED = "the event loop of the cache ended during the call"


class Runner:
    """Runs the calls of a manager in its event loop, from threads that have none.

    Args:
        cache: The manager.
    """

    def __init__(self, cache: Operations) -> None:
        self._cache = cache
        self._lock, self._closing = threading.Lock(), threading.Lock()
        self._own: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._cache!r}>"

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run any call of the manager, such as `sync.run(manager.streams.publish(...))`.

        Raises:
            CacheError: If an event loop runs in this thread, or the manager's loop ended meanwhile.
            Exception: What the call raises.
        """
        if loop_here() is not None:
            call.close()
            raise CacheError(
                "CacheManager.sync is for code without an event loop; here, await the manager's "
                "own method"
            )
        with self._lock:
            loop = self._loop()
            future = asyncio.run_coroutine_threadsafe(call, loop)
        while not wait([future], _CHECK_INTERVAL).done:
            if not loop.is_running():
                raise CacheError(_ENDED)
        try:
            return future.result()
        except CancelledError:
            raise CacheError(_ENDED) from None

    def _loop(self) -> asyncio.AbstractEventLoop:
        """The manager's loop if it runs, or else the runner's own. Called under the lock."""
        here = self._cache.loop
        if here is not None and here.is_running() and not self._is_forked(here):
            return here
        if self._own is None or self._is_forked(self._own):
            loop = asyncio.new_event_loop()
            self._own, self._pid = loop, os.getpid()
            self._cache.home.guest = loop
            self._thread = threading.Thread(
                target=self._live, args=[loop], name="asgi-multitier sync", daemon=True
            )
            self._thread.start()
            atexit.register(self._log_lost)
        return self._own

    def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the runner's own loop until it is stopped, and finish calls that came meanwhile."""
        loop.run_forever()
        loop.run_until_complete(self._finish())
        loop.close()

    async def _finish(self) -> None:
        """Answer calls that came while the manager was being closed, and close it again."""
        await self._cache.close()
        if late := _others():
            await asyncio.wait(late, timeout=_CHECK_INTERVAL)
            await self._cache.close()
        for task in (left := _others()):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _is_forked(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it is this runner's loop from before a fork: its thread is in the parent."""
        return loop is self._own and self._pid != os.getpid()

    def start(self) -> None:
        """See `CacheManager.start`. Every other call starts the manager if it does not run."""
        self.run(self._cache.start())

    def close(self) -> None:
        """Close the manager, if this facade runs it. See `CacheManager.close`.

        A manager that an application runs is closed by that application. A later call starts it
        again.
        """
        with self._closing:
            loop, thread = self._own, self._thread
            if loop is None or thread is None or self._pid != os.getpid():
                return
            asyncio.run_coroutine_threadsafe(self._cache.close(), loop).result()
            with self._lock:  # no call may start the manager in a loop that is about to stop
                self._own = self._thread = None
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                atexit.unregister(self._log_lost)

    def _log_lost(self) -> None:
        """Log what is lost when the program ends and this runner was not closed."""
        lost = self._cache.invalidation_stats().queued
        if lost and self._pid == os.getpid():
            logger.error(
                "%s: %s invalidations are lost: the program ends before they are written; call "
                "sync.close() first, which waits for them",
                self._cache.namespace,
                lost,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _others() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


def in_thread(compute: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    """An async function for the manager, which runs this function in a thread of its own.

    Deliberate: no pool. A function that asks for further values holds its thread while they are
    computed: functions nested as deep as a pool is large would wait for each other for ever, and in
    the event loop's default pool they would block look-ups of host names too.
    """
    if iscoroutinefunction(compute):
        return compute

    async def run() -> Any:
        value = await _threaded(compute)
        return await value if isawaitable(value) else value

    return run


def _threaded(compute: Callable[[], Any]) -> "asyncio.Future[Any]":
    """What the function returns; its thread has the caller's context variables."""
    loop, context = asyncio.get_running_loop(), copy_context()
    future: asyncio.Future[Any] = loop.create_future()

    def land(value: Any, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def work() -> None:
        value: Any = None
        error: Exception | None = None
        try:
            value = context.run(compute)
        except StopIteration as stopped:
            error = _as_ours(stopped)  # a future does not take it
        except Exception as raised:  # noqa: BLE001 - the waiting caller gets it
            error = raised
        except BaseException as ended:  # noqa: BLE001 - it would end the loop, not this thread
            error = _as_ours(ended)
        with suppress(RuntimeError):  # the loop is closed, and no caller is left
            loop.call_soon_threadsafe(land, value, error)

    threading.Thread(target=work, name="asgi-multitier compute", daemon=True).start()
    return future


def _as_ours(error: BaseException) -> CacheError:
    ours = CacheError(f"the compute function raised {type(error).__name__}: {error}")
    ours.__cause__ = error
    return ours
