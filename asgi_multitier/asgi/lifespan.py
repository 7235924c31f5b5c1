"""How a cache begins and ends with its application: naming, checks, start, stop."""

from asyncio.events import _get_running_loop as loop_here
from collections.abc import Callable, Mapping
from typing import Any

from .._types import ASGIApp, Message, Receive, Scope, Send
from ..errors import ConfigError
from ..manager.greeting import greet
from ..manager.manager import CacheManager
from ..routing import RouteTable
from .framework import SCOPE_KEY
from .layers import begin_in_front, take_date


class Lifespan:
    """The life of one cache, as its middleware sees it.

    Args:
        owner: The middleware: the cache is named after it where no scope says the application.
        app: The application in it.
        manager: The cache.
        table: The routes and their rules.
        on_bound: Called once when the cache has its name and its rules were found right: with the
            application, as its outermost layer that is known, and the root path at which it is
            mounted in another; None if it is not.

    Attributes:
        common: What the lifespan has put into the state of every request.
        dates: Whether responses get their `Date` here, not from the server.
    """

    def __init__(
        self,
        owner: ASGIApp,
        app: ASGIApp,
        manager: CacheManager,
        table: RouteTable,
        on_bound: Callable[[ASGIApp, str | None], None],
    ) -> None:
        self._owner = owner
        self._app = app
        self._manager = manager
        self._home = manager.home
        self._table = table
        self._on_bound = on_bound
        manager.tables.add(table)
        self._bound = False
        self._complaint: ConfigError | None = None
        self._started_in: object = None
        self._outermost: ASGIApp | None = app
        self.common: Mapping[str, Any] = {}
        self.dates: bool = False

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the manager when the application has started, close it when that has stopped."""
        manager = self._manager
        try:
            _refuse_another(scope.get(SCOPE_KEY), manager)
            self.bind(scope)
        except ConfigError as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise

        async def watching(message: Message) -> None:
            complete = message["type"] == "lifespan.startup.complete"
            if complete and loop_here() is not None:
                await self._begin()
            elif message["type"].startswith("lifespan.shutdown."):
                await self.close()
            await send(message)

        self.dates = take_date(receive) or self.dates
        begin_in_front(receive)
        scope[SCOPE_KEY] = manager
        if scope.get("state") is not None:
            give_state(scope, manager)
            self.common = scope["state"]
        try:
            await self._app(scope, receive, watching)
        finally:
            await self.close()

    async def _begin(self) -> None:
        """Start the manager; one that is switched off is closed if something starts it later."""
        here, manager = loop_here(), self._manager
        self._greet()
        if manager.mode != "off":
            await self.start()
        elif manager.home.place is not here:
            self._started_in = here

    @property
    def is_here(self) -> bool:
        """Whether the manager runs in this event loop: there is nothing to wait for."""
        return self._home.place is loop_here() and not self._manager.starting

    async def start(self) -> None:
        """Start the manager, unless it runs already; the starter closes it."""
        here, home = loop_here(), self._manager.home
        started_before = home.place is here
        await self._manager.start()
        if not started_before and home.place is here:
            self._started_in = here
        self._manager.begin_warm_up()

    async def close(self) -> None:
        """Close the manager, if it was started here."""
        if self._started_in is not None and self._started_in is loop_here():
            self._started_in = None
            await self._manager.close()

    def bind(self, scope: Scope) -> None:
        """Once, when the application is known: name the cache after it, and check the rules.

        Args:
            scope: Any scope of the application.

        Raises:
            ConfigError: Each time, if an annotation or a rule is wrong, or there is no name.
        """
        if self._complaint is not None:
            raise self._complaint
        if self._bound:
            return
        table, manager = self._table, self._manager
        app: ASGIApp = scope.get("app", self._owner)
        try:
            table.attach(scope)
            table.check()
            manager.name_after(app, table, serves=True)
        except ConfigError as error:
            self._complaint = error
            raise
        events = manager.engine.events
        if (outer := scope.get(SCOPE_KEY, manager)) is not manager:
            events.within_another(manager, outer)
        if unread := table.unread():
            events.routes_unreadable(unread)
        unused, above = table.stray()
        if unused:
            events.annotations_stray(unused)
        if above:
            events.annotations_stray(above, above=True)
        # A router around the application has chosen it for the request.
        is_mounted = "endpoint" in scope
        self._on_bound(app, str(scope.get("root_path") or "") if is_mounted else None)
        self._bound, self._outermost = True, app
        if scope["type"] != "lifespan":  # else when the application has started, with all routes
            self._greet()

    def _greet(self) -> None:
        """Say once what was found."""
        app, self._outermost = self._outermost, None
        if app is not None:
            greet(self._manager, self._table, app)


def give_state(scope: Scope, manager: CacheManager) -> None:
    """Put the manager into the scope, and into `request.state.cache` where that name is free.

    What an application has put there itself stays; the manager of a cache around it does not.
    """
    state = scope.setdefault("state", {})
    if "cache" not in state or state["cache"] is scope.get(SCOPE_KEY, manager):
        state["cache"] = manager
    scope[SCOPE_KEY] = manager


def _refuse_another(outer: object, manager: CacheManager) -> None:
    """Of two caches around one application, each would miss what is invalidated in the other."""
    if outer is not None and outer is not manager:
        raise ConfigError(
            f"CacheMiddleware wraps this application twice, with two managers, {outer!r}"
            f" and {manager!r}: install it once, or give both the same one,"
            " CacheMiddleware(app, manager)"
        )
