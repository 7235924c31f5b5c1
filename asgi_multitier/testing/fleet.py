"""Several simulated instances of one application in one process, over one invalidation log."""

import asyncio
import copy
import inspect
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, Protocol

from .._types import ASGIApp, Receive, Scope, Send
from ..asgi.middleware import CacheMiddleware
from ..config.process import CacheConfig
from ..errors import ConfigError
from ..manager.identity.application import variables
from ..manager.identity.loading import added_caches, caches_of
from ..manager.isolation import Isolation, alone, renew
from ..manager.manager import CacheManager
from ..routing.layers import attribute
from ..tiers.null import NullLocalTier
from .wire import Fault, Node, Wire

_NAME = "fleet"
_PATIENCE = 10.0
"""Seconds that `settled` waits at most."""

_PAUSE = 0.005

_WHICH = (
    "cache_fleet: {found}; write cache_fleet({number}, app) with the application that has"
    " CacheMiddleware, or a function that makes one"
)


class _Connections:
    """What can go wrong with the connections of some instances to the log."""

    nodes: Sequence[Node]

    def cut(self) -> None:
        """Refuse the connection: neither reads nor writes succeed."""
        self._suffer(Fault.CUT)

    def hang(self) -> None:
        """Leave the connection open, and answer nothing."""
        self._suffer(Fault.HUNG)

    def slow(self, seconds: float) -> None:
        """Let every answer of the log take so long."""
        self._suffer(Fault.SLOW, seconds)

    def heal(self) -> None:
        """End every fault; `Fleet.settled` waits until what was missed is known."""
        self._suffer(Fault.NONE)

    def _suffer(self, fault: Fault, delay: float = 0.0) -> None:
        for node in self.nodes:
            node.suffer(fault, delay)


class Instance(_Connections):
    """One instance: an ASGI application, for any test client.

    Attributes:
        number: Its place in the fleet, from 0.
        app: The same application with a cache of its own.
        manager: Its cache; `request.state.cache` in the application.
    """

    def __init__(self, number: int, app: ASGIApp, manager: CacheManager, node: Node) -> None:
        self.number = number
        self.app = app
        self.manager = manager
        self.nodes: Sequence[Node] = (node,)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as a server of this instance would."""
        await self.app(scope, receive, send)

    def __repr__(self) -> str:
        return f"<instance {self.number}, connection {self.nodes[0].fault.name.lower()}>"


class Fleet(_Connections):
    """The instances; `fleet[0]` is the first. Faults of the fleet are those of all instances."""

    def __init__(self, instances: Sequence[Instance], wire: Wire) -> None:
        self._instances = tuple(instances)
        self._wire = wire
        self.nodes: Sequence[Node] = [node for one in instances for node in one.nodes]

    def __getitem__(self, number: int) -> Instance:
        return self._instances[number]

    def __iter__(self) -> Iterator[Instance]:
        return iter(self._instances)

    def __len__(self) -> int:
        return len(self._instances)

    def __repr__(self) -> str:
        return f"<fleet {list(self._instances)!r}>"

    async def settled(self) -> None:
        """Wait until all instances without a fault know and have sent everything.

        Raises:
            TimeoutError: If that takes longer than 10 s.
        """
        ends = time.monotonic() + _PATIENCE
        while not self._check_settled(ends):  # noqa: ASYNC110  # they may run in other threads
            await asyncio.sleep(_PAUSE)

    def settle(self) -> None:
        """As `settled`, for a test without an event loop."""
        ends = time.monotonic() + _PATIENCE
        while not self._check_settled(ends):
            time.sleep(_PAUSE)

    def _check_settled(self, ends: float) -> bool:
        late = [node for node in self._wire.nodes if not node.is_settled]
        if late and time.monotonic() >= ends:
            raise TimeoutError(f"cache_fleet: still not up to date: {late}")
        return not late


class MakeFleet(Protocol):
    """The fixture `cache_fleet`."""

    def __call__(self, number: int | ASGIApp = 2, app: Any = None) -> Fleet:
        """Make instances of an application.

        Args:
            number: How many.
            app: The application, or a function that makes one; None for the only one with a
                `CacheMiddleware` that the test's module has, or else this process.

        Raises:
            ConfigError: If there is no such application, or more than one.
        """


class Fleets:
    """Makes the fleets of one test.

    Args:
        isolation: What holds the caches.
        module: The test's module, where an application is looked for first.
    """

    def __init__(self, isolation: Isolation, module: ModuleType | None = None) -> None:
        self._isolation = isolation
        self._module = module
        self._made: list[CacheManager] = []

    def make(self, number: Any = 2, app: Any = None) -> Fleet:
        """See `MakeFleet`."""
        if isinstance(app, int) or (app is None and not isinstance(number, int)):
            number, app = app or 2, number
        if number < 1:
            raise ConfigError.of("number", number, "1 or more instances", where="cache_fleet")
        app = app if app is not None else _only_application(number, self._module)
        wire = Wire()
        makes = _is_factory(app)
        common = None if makes else app
        instances = [
            self._instance(place, app() if makes else app, wire) for place in range(number)
        ]
        for manager in filter(None, caches_of(common)):
            # What the application's module calls by its own name reaches all instances as well.
            node = Node(wire, "the application's own cache", self._isolation.monotonic)
            self._isolation.join(manager, node.log)
            self._isolation.moved.append(node.log.time_moved)
        return Fleet(instances, wire)

    def _instance(self, place: int, app: Any, wire: Wire) -> Instance:
        node = Node(wire, f"instance {place}", self._isolation.monotonic)
        self._isolation.moved.append(node.log.time_moved)
        manager = _clone(next(filter(None, caches_of(app)), None), node, self._isolation)
        self._made.append(manager)
        copied = _with_manager(app, manager)
        if copied is None:
            raise ConfigError(_WHICH.format(found=f"{app!r} has no CacheMiddleware", number=place))
        return Instance(place, copied, manager, node)

    def close(self) -> None:
        """Close the instances, each in its event loop."""
        for manager in self._made:
            known = self._isolation.known[manager]
            renew(manager, alone(known.given), patience=0.0, close=True, mode=known.mode)


def _clone(manager: CacheManager | None, node: Node, isolation: Isolation) -> CacheManager:
    """A cache with the same settings, over the fleet's log."""
    if manager is None:
        config = CacheConfig.resolve()
        named = replace(config, redis_url=None, namespace=config.namespace or _NAME)
        return CacheManager(log=node.log, config=named)
    given = isolation.known[manager].given
    locals_ = [tier for tier, place in given.tiers if place.level == 1]
    cloned = type(manager)(
        next((tier for tier in locals_ if isinstance(tier, NullLocalTier)), None),
        log=node.log,
        serializer=manager.serializer,
        invalidation=replace(given.invalidation, enable_audit_stream=False),
        compress_over=given.compress_over,
        config=replace(given.config, redis_url=None, namespace=given.config.namespace or _NAME),
    )
    cloned.mode = manager.mode
    return cloned


def _with_manager(app: Any, manager: CacheManager) -> ASGIApp | None:
    """A copy of an application, as far down as its cache, with this manager; None without one."""
    if isinstance(app, CacheMiddleware):
        return app.over(manager)
    if added := added_caches(app):
        copied = copy.copy(app)
        copied.middleware_stack = None
        copied.user_middleware = [
            _given(one, manager) if one in added else one for one in app.user_middleware
        ]
        return copied  # type: ignore[no-any-return]
    inner = attribute(app, "app")
    copied_inner = None if inner is None else _with_manager(inner, manager)
    if copied_inner is None:
        return None
    copied = copy.copy(app)
    copied.app = copied_inner
    return copied  # type: ignore[no-any-return]


def _given(one: Any, manager: CacheManager) -> Any:
    """A layer that is to be added, with this manager."""
    return type(one)(one.cls, **{**one.kwargs, "cache": manager})


def _is_factory(app: Any) -> bool:
    """Whether it is a function without parameters, which makes an application."""
    if not inspect.isroutine(app) or inspect.iscoroutinefunction(app):
        return False
    parameters = inspect.signature(app).parameters.values()
    return all(one.default is not one.empty for one in parameters)


def _only_application(number: int, module: ModuleType | None) -> ASGIApp:
    """The only application with a cache that the test's module has, or all modules together."""
    own = list(vars(module).values()) if module is not None else []
    within = [
        value for held in own if isinstance(held, ModuleType) for value in vars(held).values()
    ]
    everywhere = (value for _, _, value in variables(()))
    found: list[ASGIApp] = []
    for values in (own, within, everywhere):
        found = _applications(values)
        if found:
            break
    if len(found) != 1:
        many = f"{len(found)} applications" if found else "no application"
        what = f"{many} with a CacheMiddleware found"
        raise ConfigError(_WHICH.format(found=what, number=number))
    return found[0]


def _applications(values: Iterable[Any]) -> list[ASGIApp]:
    """The applications with a cache among these, each once."""
    apps = (one for one in values if callable(one) and not isinstance(one, type | Instance))
    return list({id(app): app for app in apps if any(True for _ in caches_of(app))}.values())
