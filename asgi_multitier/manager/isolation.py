"""Where tests take hold of every cache of their process. Outside of a test run it does nothing.

The pytest plugin (`pytest_asgi_multitier`) begins it. From then on each cache that is made is
registered, reads the clock of the tests, and stands on nothing that the test did not ask for: no
server, no file, no log of this machine. `Isolation.renew` makes all of them as if just made.
"""

import asyncio
import math
import sys
import time
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import uuid4
from weakref import WeakKeyDictionary

import msgspec

from .._types import Clock
from ..coherence.log import InvalidationLog
from ..config.process import CacheConfig, Mode
from ..tiers.base import SharedTier
from .backends import Backends, Given
from .home import Home

PLUGIN = "pytest_asgi_multitier"

_STALL = 10.0
"""Seconds that a cache waits for a server of the tests' own. It does not hang, but a machine may
stall for longer than a cache waits for Redis."""

_PATIENCE = 5.0
"""Seconds that the end of a test waits for another event loop."""


class Cache(Protocol):
    """What is asked of a manager here."""

    config: CacheConfig
    home: Home
    mode: Mode

    @property
    def running(self) -> bool:
        """Whether it was started and not closed."""

    def renew(self, backends: Backends, *, patience: float) -> None:
        """Be as if just made, with other back ends."""

    async def close(self) -> None:
        """Release everything."""


def alone(given: Given, log: InvalidationLog | None = None, redis: Any = None) -> Backends:
    """The tier in this process alone, with a log or a server of the tests', or a local log."""
    audit = given.invalidation.enable_audit_stream and redis is not None
    own = msgspec.structs.replace(
        given,
        config=replace(given.config, redis_url=None),
        tiers=[pair for pair in given.tiers if not isinstance(pair[0], SharedTier)],
        log=log,
        redis=redis,
        sqlite=None,
        invalidation=replace(given.invalidation, enable_audit_stream=audit),
        nearby=False,
        private=True,
    )
    return Backends(own)


def _named(given: Given, *, redis: bool) -> Backends:
    """What its maker has named, and nothing that is looked for by itself."""
    kept = given.redis is not None or given.sqlite is not None or redis
    config = given.config if redis else replace(given.config, redis_url=None)
    audit = given.invalidation.enable_audit_stream and kept
    invalidation = replace(given.invalidation, enable_audit_stream=audit)
    own = msgspec.structs.replace(given, config=config, invalidation=invalidation, nearby=False)
    return Backends(own)


class _Known(msgspec.Struct):
    """What is known of one cache.

    Attributes:
        given: What it was made with.
        mode: Its mode before the first test.
        named: Whether a test or fixture has made it, and named a back end.
        redis: Whether that is an address of Redis.
        attached: Whether it reaches further than this process at present.
    """

    given: Given
    mode: Mode
    named: bool = False
    redis: bool = False
    attached: bool = False

    def backends(self, *, attaches: bool) -> tuple[Backends, float]:
        """What the cache stands on in a test, and the seconds that its `close` waits."""
        self.attached = attaches or self.named
        if attaches:
            return Backends(self.given), _PATIENCE
        if self.named:
            return _named(self.given, redis=self.redis), _PATIENCE
        return alone(self.given), 0.0


def _exact(reading: float) -> float:
    """The next reading to which whole seconds, and halves of them, are added without rounding."""
    return math.ceil(reading * 1024) / 1024


@dataclass(eq=False)
class Isolation:
    """The caches of a test run.

    Attributes:
        in_test: Whether a test runs: what a cache made now names as an argument is asked for.
        attaches: Whether the caches of this test stand on what they were configured with.
        redis: A server of this test's own, in place of Redis; None without.
        known: The caches, for as long as they live.
        moved: Called when time was moved.
    """

    in_test: bool = False
    attaches: bool = False
    redis: Any = None
    known: "WeakKeyDictionary[Any, _Known]" = field(default_factory=WeakKeyDictionary)
    moved: list[Callable[[], None]] = field(default_factory=list)
    _offset: float = 0.0
    _stopped: tuple[float, float] | None = None

    # Time.

    def clocks(self, clock: Clock, wall: Clock) -> tuple[Clock, Clock]:
        """The tests' clocks in place of the system's; those that a user gave stay."""
        ours = self.monotonic if clock is time.monotonic else clock
        return ours, self.wall if wall is time.time else wall

    def monotonic(self) -> float:
        """Monotonic seconds."""
        now = time.monotonic() if self._stopped is None else self._stopped[0]
        return now + self._offset

    def wall(self) -> float:
        """Unix seconds."""
        now = time.time() if self._stopped is None else self._stopped[1]
        return now + self._offset

    def stop_clock(self) -> None:
        """From here on time passes by `advance` alone."""
        self._stopped = _exact(time.monotonic()), _exact(time.time())

    def advance(self, seconds: float) -> None:
        """Move the time of all caches."""
        self._offset += seconds
        for moved in list(self.moved):
            moved()

    # Caches.

    def take(self, cache: Cache, given: Given, *, names_redis: bool) -> None:
        """Register a cache that is being made.

        Args:
            cache: The cache.
            given: What it was made with.
            names_redis: Whether its maker has given an address.
        """
        known = self.known[cache] = _Known(given, cache.mode)
        cache.home.yields = True
        known.redis = names_redis and given.config.redis_url is not None
        known.named = self.in_test and (known.redis or given.is_attached)
        backends, patience = known.backends(attaches=self.attaches)
        cache.renew(backends, patience=patience)
        self._put_on_redis(cache, known)

    def renew(self, *, attaches: bool) -> None:
        """Before a test: no cache holds anything, and time is the system's again.

        Args:
            attaches: Whether they stand on what they were configured with.
        """
        self._offset, self._stopped = 0.0, None
        self.moved.clear()
        self.attaches, self.in_test, self.redis = attaches, True, None
        release = f"test-{uuid4().hex[:12]}"
        for cache, known in list(self.known.items()):
            was = known.attached
            backends, patience = known.backends(attaches=attaches)
            # On a server what earlier tests stored cannot be read: it is of another release.
            version = release if known.attached else known.given.config.version
            cache.config = replace(known.given.config, version=version)
            renew(cache, backends, patience=patience, close=was, mode=known.mode)

    def stand_on(self, redis: Any) -> None:
        """Let the caches that name nothing use a server of the test's own, until its end.

        Args:
            redis: What `CacheManager(redis=...)` takes.
        """
        self.redis = redis
        for cache, known in list(self.known.items()):
            self._put_on_redis(cache, known)

    def _put_on_redis(self, cache: Cache, known: _Known) -> None:
        if self.redis is None or self.attaches or known.named:
            return
        known.attached = True
        cache.config = replace(cache.config, redis_timeout=_STALL)
        backends = alone(known.given, redis=self.redis)
        renew(cache, backends, patience=0.0, close=False, mode=known.mode)

    def join(self, cache: Cache, log: InvalidationLog) -> None:
        """Let a cache follow a log of the tests', until the end of the test."""
        known = self.known[cache]
        renew(cache, alone(known.given, log), patience=0.0, close=known.attached, mode=known.mode)
        known.attached = True

    def end_test(self) -> None:
        """After a test: what reaches further than this process is closed."""
        self.in_test = False
        for cache, known in list(self.known.items()):
            if known.attached:
                backends, patience = known.backends(attaches=False)
                renew(cache, backends, patience=patience, close=True, mode=known.mode)


def renew(cache: Cache, backends: Backends, *, patience: float, close: bool, mode: Mode) -> None:
    """Renew a cache in the event loop that it lives in, from a thread without one.

    Args:
        cache: The cache.
        backends: What it is to stand on.
        patience: Seconds that its `close` is to wait.
        close: Whether it is closed before.
        mode: Its mode from here on.
    """

    def change() -> None:
        cache.renew(backends, patience=patience)
        if cache.mode != mode:
            cache.mode = mode

    async def change_there() -> None:
        if close:
            await cache.close()
        change()

    loop = cache.home.loop
    if loop is not None and loop.is_running() and loop is not loop_here():
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(change_there(), loop).result(_PATIENCE)
            return
    elif loop is not None and close and not loop.is_closed() and loop_here() is None:
        loop.run_until_complete(cache.close())
    change()


def cancel(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks of an event loop that is not closed."""
    for task in list(tasks):
        if not task.get_loop().is_closed():
            task.cancel()


current: Isolation | None = None
"""What holds the caches of this process; None outside of a test run."""


def begin() -> Isolation:
    """Hold all caches that are made from here on."""
    global current
    current = Isolation()
    return current


def end() -> None:
    """Hold no cache any more."""
    global current
    current = None


if (_plugin := sys.modules.get(PLUGIN)) is not None and _plugin.run.active:
    _made = begin()
    _made.in_test, _made.attaches = _plugin.run.in_test, _plugin.run.attaches
