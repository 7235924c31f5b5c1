"""How a cache is made, switched, started and closed: one story."""

import asyncio
import logging
import os
import threading
import time
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from .._types import Clock
from ..coherence.log import InvalidationLog
from ..config.invalidation import InvalidationConfig
from ..config.process import CacheConfig, Mode, Settings, read_mode
from ..engine.engine import Engine, Tier
from ..errors import BackendError
from ..metrics import answer_workers
from ..routing import RouteTable
from ..serializers import JsonSerializer, Serializer
from ..streams import Streams
from ..tiers.base import LocalTier, TierConfig
from ..tiers.codec import check_compression
from ..tracing import Tracing, background, silence
from ..workers import Workers
from . import isolation
from .backends import Backends, Given
from .home import Home
from .listeners import Listeners
from .naming import Namespace
from .settings import in_places, refuse_both, settings_of

logger: logging.Logger = logging.getLogger("asgi_multitier")

T = TypeVar("T")

_START_PATIENCE = 0.25
"""Seconds that a request waits for the log when it starts the cache; the start goes on."""

_CLOSE_PATIENCE = 5.0
"""Seconds that `close` waits for runs and writes under way."""


class Lifecycle:
    """The parts of a cache, and their life: one story from making to closing. See `CacheManager`.

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
        sqlite: str | os.PathLike[str] | None = None,
        streams: Streams | None = None,
        serializer: Serializer | None = None,
        invalidation: InvalidationConfig | None = None,
        compress_over: int | None = None,
        config: CacheConfig | None = None,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
        **settings: Unpack[Settings],
    ) -> None:
        refuse_both("config", config, ", ".join(sorted(settings)), settings or None)
        refuse_both("redis", redis, "redis_url", settings.get("redis_url"))
        refuse_both("sqlite", sqlite, "redis", redis)
        refuse_both("sqlite", sqlite, "redis_url", settings.get("redis_url"))
        pairs = in_places(tiers, l1, l2)
        check_compression(compress_over)
        isolated = isolation.current
        if isolated is not None:
            clock, wall = isolated.clocks(clock, wall)
        self.config: CacheConfig
        self.origins: Mapping[str, str]
        self.config, self.origins = settings_of(config, settings)
        self.serializer: Serializer = serializer if serializer is not None else JsonSerializer()
        self.invalidation: InvalidationConfig = (
            invalidation if invalidation is not None else InvalidationConfig()
        )
        self.home: Home = Home()
        self._making = threading.RLock()
        given = Given(
            self.config, pairs, log, redis, sqlite, streams, self.invalidation, clock, compress_over
        )
        self._backends = Backends(given)
        self._compress_over = compress_over
        self._clock, self._wall = clock, wall
        self.workers: Workers = Workers(lambda: self.namespace, self._worker_failed)
        answer_workers(self)
        self._name = Namespace(self.config.namespace, self._backends)
        self._mode = self.config.mode
        self._mode_changed: Listeners[None] = Listeners()
        self._renewed: Listeners[None] = Listeners()
        self._endings: list[Callable[[], Awaitable[None]]] = []
        self._engine: Engine | None = None
        self._tracing: Tracing | None = None
        self._starting: asyncio.Task[None] | None = None
        self._patience_ends = 0.0
        self._has_logged_name = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._remote_drops: set[asyncio.Task[Any]] = set()
        self._close_patience = _CLOSE_PATIENCE
        if isolated is not None:
            isolated.take(self, given, names_redis="redis_url" in settings or config is not None)

    def __repr__(self) -> str:
        state = "running" if self.running else "not running"
        parts = "not put together yet" if self._engine is None else repr(self._engine.stack)
        return f"<CacheManager {self._name.text or '(unnamed)'}, {state}, {parts}>"

    # Switching.

    @property
    def mode(self) -> Mode:
        """Whether the cache is used; see `CacheConfig.mode`.

        It may be set in any thread. What was stored before `"off"` and was not invalidated since is
        served again after `"on"`.

        Raises:
            ConfigError: If it is set to something else.
        """
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = read_mode(mode, "CacheManager")
        self._tell_mode()
        loop = self.loop
        if loop is not None and loop is not loop_here():
            # Once more, after what runs in that loop at this moment.
            with suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(self._tell_mode)

    def _tell_mode(self) -> None:
        self._mode_changed.call()

    def on_mode_change(self, changed: Callable[[], None]) -> None:
        """Call `changed`, a method, after each change of the mode, while its object lives."""
        self._mode_changed.add(changed)

    # Making.

    def on_renewal(self, renewed: Callable[[], None]) -> None:
        """Call `renewed`, a method, after the parts were replaced, while its object lives."""
        self._renewed.add(renewed)

    def on_close(self, ending: Callable[[], Awaitable[None]]) -> None:
        """Await `ending` at the beginning of each `close`, for as long as the manager lives."""
        self._endings.append(ending)

    def renew(self, backends: Backends, *, patience: float) -> None:
        """Be as if just made, with other back ends: for tests. See `manager.isolation`.

        Call it in the event loop that the cache lives in, unless that does not run.

        Args:
            backends: What the cache stands on from here on.
            patience: Seconds that `close` waits.
        """
        engine, self._engine = self._engine, None
        self.__dict__.pop("_made_computing", None)
        self._backends, self._close_patience = backends, patience
        self._name.stand_on(backends)
        self.home.forget()
        self.workers.forget()
        if engine is not None:
            engine.stack.local.clear()
            engine.sampler.end()
            engine.audits.end()
            engine.encodings.compressor.close()
            going_on = engine.flights.tasks | engine.audits.tasks | engine.stack.tasks
            isolation.cancel(going_on | self._tasks)
            self._renewed.call()
        self._tasks, self._starting = set(), None

    @property
    def namespace(self) -> str:
        """What separates this application from others on the same Redis.

        Without an application and a `namespace=` it is the program's own name, or else its place on
        this machine. An application that a module of the program holds is found by its middleware.

        Raises:
            ConfigError: If that application has no name of its own.
        """
        return self._name.find(self)

    def name_after(self, app: object, table: RouteTable, *, serves: bool = False) -> None:
        """Take the application's name, unless there is one already, and its routes.

        Args:
            app: The application.
            table: Its routes.
            serves: Whether this process answers its requests.

        Raises:
            ConfigError: If its name does not tell it from other applications that may use the same
                server, file or log.
        """
        self._name.name_after(app, table, serves=serves)

    @property
    def engine(self) -> Engine:
        """The parts, put together at the first use."""
        return self._engine or self._once("_engine", self._assembled)

    def _once(self, name: str, make: Callable[[], T]) -> T:
        """Make a part that is not there yet; once, also if several threads ask at the same time."""
        with self._making:
            made: T | None = getattr(self, name)
            if made is None:
                made = make()
                setattr(self, name, made)
            return made

    def _assembled(self) -> Engine:
        backends, namespace = self._backends, self.namespace
        engine = Engine(
            self.config,
            backends.local(),
            backends.shared(namespace),
            backends.log(namespace, named=self._name.is_named),
            backends.leases(namespace),
            namespace=namespace,
            clock=self._clock,
            wall=self._wall,
            compress_over=self._compress_over,
        )
        self._trace(engine)
        return engine

    def _trace(self, engine: Engine) -> None:
        """Have the parts make spans, if that is wanted."""
        if self._tracing is not None:
            engine.trace(self._tracing(self.namespace, engine.events.tracing_failed))

    # Life.

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that the cache lives in; None while it does not run."""
        return self.home.loop

    @property
    def running(self) -> bool:
        """Whether the cache was started and not closed."""
        return self.loop is not None

    @property
    def starting(self) -> bool:
        """Whether it was started, and the log has not answered yet."""
        return self._starting is not None

    async def attached(self) -> None:
        """Wait until the log is followed, however long that takes."""
        while self._starting is not None:
            await asyncio.wait({self._starting})

    def _begun(self) -> None:
        """The cache has begun to live in the running event loop; a hook for subclasses."""

    async def start(self) -> None:
        """Begin to follow the log. Costs next to nothing when it runs already.

        Returns within a quarter of a second even if the log's server hangs. A forked process starts
        its own, and so does another event loop if the one that the cache lived in has ended; while
        that one runs, there is nothing to start (see `manager.home`).
        """
        loop = asyncio.get_running_loop()
        if self.loop is loop and self._starting is None:
            return
        if self.loop is not loop:
            await self._close_guest()
            if self.home.yields and not self.engine.flights.tasks:
                self.home.make_room()
            if not self.home.move_in():
                return
            self._forget()
            if not (self._has_logged_name or self._name.serves):  # else `greeting` says more
                self._has_logged_name = True
                logger.info("namespace %s: %r", self.namespace, self.engine.log)
            self._starting = asyncio.create_task(
                self.engine.log.start(self.engine.stack),
                name="asgi-multitier start",
                context=background(),
            )
            self._starting.add_done_callback(self._started)
            self._patience_ends = loop.time() + _START_PATIENCE
            self.engine.audits.begin()
            self._meet_workers()
            self._begun()
        left = self._patience_ends - loop.time()
        if self._starting is not None and left > 0:
            await asyncio.wait({self._starting}, timeout=left)

    def _meet_workers(self) -> None:
        """Let the other workers of this machine ask this one, if it is one."""
        wanted = self._name.serves or self.workers.is_wanted
        nearby = self._backends.is_nearby and self._name.is_named
        if wanted and nearby and self.config.workers and self.mode != "off":
            self.workers.open()

    def _worker_failed(self, what: str, error: Exception) -> None:
        self.engine.events.worker_failed(what, error)

    async def _close_guest(self) -> None:
        """Close the cache if it lives in the loop of a `SyncCache`, which makes room."""
        if self.home.is_elsewhere and self.loop is self.home.guest:
            with suppress(BackendError):
                await self.home.run(self.close)

    def _forget(self) -> None:
        """Forget runs, writes and tasks of another event loop, which ended with it."""
        if self.home.is_new():
            self.engine.flights.forget()
            self.engine.stack.forget()
            self.engine.audits.forget()
            self.engine.encodings.compressor.close()
            self._tasks = set()
            self._starting = None

    def _started(self, task: "asyncio.Task[None]") -> None:
        if self._starting is task:
            self._starting = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self.engine.events.start_failed(error)

    async def close(self) -> None:
        """Finish runs and writes under way, for up to 5 s, and release everything.

        May be called twice. In an event loop that the cache does not live in, only the connections
        of that loop are released.
        """
        with silence():
            await self._close()

    async def _close(self) -> None:
        if self.loop is None:
            await self._backends.close()  # of streams that were used alone
            return
        loop, engine = asyncio.get_running_loop(), self.engine
        if self.loop is not loop:
            if not self.home.move_in():
                await self._backends.leave()
                return
            self._forget()
        deadline = loop.time() + self._close_patience
        await self.workers.close()
        engine.sampler.end()
        await engine.audits.close()
        for ending in self._endings:
            await ending()
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        async with AsyncExitStack() as ends:  # from the last to the first, even if one fails
            ends.push_async_callback(self.home.leave)
            ends.push_async_callback(self._backends.close)
            ends.push_async_callback(engine.log.close)
            engine.encodings.compressor.close()
            await engine.flights.close(self._close_patience)
            if tasks := set(self._tasks):
                _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline - loop.time()))
                isolation.cancel(late)
            # Before the log: nothing is written where the log is not followed any more.
            await engine.stack.close(max(0.0, deadline - loop.time()))

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

    def spawn(self, run: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """A task that `close` waits for."""
        task = asyncio.create_task(run, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
