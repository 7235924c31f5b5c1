"""Where a cache lives: in one event loop at a time, since its index of the log has one writer.

Test clients, threads with a loop each and servers with several loops call one cache from other
loops. Those calls run in the loop that the cache lives in, and are awaited from outside: no loop
touches a future, event or task of another. When that loop has ended, the loop of the next call
becomes the home.
"""

import asyncio
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from functools import partial, update_wrapper
from inspect import isawaitable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from ..errors import BackendError

P = ParamSpec("P")
T = TypeVar("T")

_CHECK_INTERVAL = 0.05
"""Seconds after which a call checks whether the loop that it waits for still runs."""

_NOWHERE = object()

_NO_THREAD = -1


def _never() -> bool:
    return False


_homes: "weakref.WeakSet[Home]" = weakref.WeakSet()


def _forked() -> None:
    """In a forked process the loop of a cache does not run, whatever it says, nor its thread."""
    for home in _homes:
        home.thread = _NO_THREAD


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

_BEGIN_TIMEOUT = 1.0
"""Seconds that a call waits to begin in the other loop, which something may block: perhaps the very
thread that waits for this call."""


class HomeBlocked(BackendError):  # noqa: N818  # an outcome, not a fault
    """Something blocks the event loop that the cache lives in."""


class LoopEnded(Exception):  # noqa: N818  # an outcome, not a fault
    """The other event loop ended before the call did."""


class Home:
    """The event loop that a cache lives in.

    Attributes:
        loop: That loop; None while the cache does not run.
        place: The same; an object that is no loop while the cache does not run. It is compared with
            the running loop, which is None under an event loop that is not asyncio's.
        guest: A loop that runs only for this cache, as that of `CacheManager.sync`. It makes room
            for any other.
        thread, runs: The thread of that loop, and whether it runs: asked faster than which loop
            runs here, with Python 3.11. No thread has the number of a cache that does not run.
        yields: Whether every loop makes room for another while nothing runs in it: in tests.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.place: object = _NOWHERE
        self.thread: int = _NO_THREAD
        self.runs: Callable[[], bool] = _never
        self.guest: asyncio.AbstractEventLoop | None = None
        self.yields = False
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._last: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None
        _homes.add(self)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the cache lives in another event loop of this process, which runs."""
        loop = self.loop
        if loop is None or loop is asyncio.get_running_loop():
            return False
        return loop.is_running() and self._pid == os.getpid()

    def move_in(self) -> bool:
        """Make the running loop the home, unless the cache lives elsewhere; whether it is now."""
        here = asyncio.get_running_loop()
        with self._lock:
            if self.is_elsewhere:
                return False
            self.loop = self.place = here
            self.thread, self.runs = threading.get_ident(), here.is_running
            self._pid = os.getpid()
        self._watch = asyncio.create_task(
            self._watch_end(here), name="asgi-multitier home", context=Context()
        )
        return True

    def is_new(self) -> bool:
        """Whether the running loop is another than the cache lived in before; True once."""
        here, last = asyncio.get_running_loop(), self._last
        self._last = here
        return last is not None and last is not here

    async def leave(self) -> None:
        """Make no loop the home: the cache is closed."""
        watch, self._watch = self._watch, None
        self._vacate()
        if watch is not None and watch.get_loop() is asyncio.get_running_loop():
            watch.cancel()
            await asyncio.wait({watch})

    def make_room(self) -> None:
        """Make no loop the home, from any thread and without waiting: in tests."""
        watch, self._watch = self._watch, None
        self._vacate()
        if watch is not None and not (loop := watch.get_loop()).is_closed():
            loop.call_soon_threadsafe(watch.cancel)

    def forget(self) -> None:
        """As `make_room`; besides, the cache counts as never having run."""
        self.make_room()
        self._last = None

    async def _watch_end(self, here: asyncio.AbstractEventLoop) -> None:
        """Wait until the loop ends, which cancels this: from then on nothing begins in it."""
        try:
            await here.create_future()
        except asyncio.CancelledError:
            if self._watch is asyncio.current_task():
                self._vacate()
            raise

    def _vacate(self) -> None:
        self.loop, self.place = None, _NOWHERE
        self.thread, self.runs = _NO_THREAD, _never

    async def run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a call where the cache lives, and wait for it.

        It goes on there if the caller is cancelled.

        Raises:
            HomeBlocked: If something blocks that loop for longer than a second. The call still
                runs as soon as that loop is free.
            Exception: What the call raises.
        """
        while True:
            loop = self.loop
            if loop is None or not self.is_elsewhere:
                return await call()
            try:
                return await _run_in(loop, partial(self._if_open, call))
            except LoopEnded:
                continue

    async def _if_open(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self.loop is not asyncio.get_running_loop():
            raise LoopEnded
        return await call()

    def carrying(self, function: Callable[[], T | Awaitable[T]]) -> Callable[[], Awaitable[T]]:
        """A function that the cache's loop can await, and that runs in the loop running now.

        What a compute function uses, such as connections, belongs to its caller's loop.
        """
        origin = asyncio.get_running_loop()

        async def carry() -> T:
            if asyncio.get_running_loop() is origin:
                return await result_of(function)
            try:
                return await _run_in(origin, partial(result_of, function), cancel=True)
            except LoopEnded:
                raise BackendError("the event loop that computes a value has ended") from None

        return carry


async def result_of(function: Callable[[], T | Awaitable[T]]) -> T:
    """What the function returns, sync or async."""
    result = function()
    return await result if isawaitable(result) else result


class _Housed(Protocol):
    @property
    def home(self) -> Home:
        """Where the object lives."""


H = TypeVar("H", bound=_Housed)


def at_home(
    method: Callable[Concatenate[H, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[H, P], Coroutine[Any, Any, T]]:
    """A method of an object that has a home: it runs there, whichever loop calls it."""

    async def called(self: H, /, *args: P.args, **options: P.kwargs) -> T:
        if self.home.is_elsewhere:
            return await self.home.run(lambda: method(self, *args, **options))
        return await method(self, *args, **options)

    return update_wrapper(called, method)


async def _run_in(
    loop: asyncio.AbstractEventLoop,
    call: Callable[[], Coroutine[Any, Any, T]],
    *,
    cancel: bool = False,
) -> T:
    begun = False

    async def run() -> T:
        nonlocal begun
        begun = True
        return await call()

    work = run()
    try:
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
    except RuntimeError:
        work.close()
        raise LoopEnded from None
    future.add_done_callback(_retrieve)
    deadline = asyncio.get_running_loop().time() + _BEGIN_TIMEOUT
    try:
        while True:
            done, _ = await asyncio.wait({future}, timeout=_CHECK_INTERVAL)
            if done and future.cancelled():
                # A loop that ends cancels what runs in it.
                raise LoopEnded
            if done:
                return future.result()
            if not loop.is_running():
                cancel = False
                if not begun:
                    work.close()
                raise LoopEnded
            if not begun and asyncio.get_running_loop().time() > deadline:
                raise HomeBlocked("the event loop that the cache lives in is blocked")
    finally:
        if cancel:
            future.cancel()


def _retrieve(future: "asyncio.Future[Any]") -> None:
    """Mark the exception as seen: the caller may be gone."""
    if not future.cancelled():
        future.exception()
