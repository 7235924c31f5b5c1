"""What drops entries by hand: by key, tag, pattern, path and route.

An invalidation is a record of the log. It is in force on this instance before a call returns, and
on every other one that follows the log within milliseconds.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal, TypeAlias

from ..coherence.log import Operation
from ..coherence.repeats import note, root_paths
from ..engine.mutations import drops_by_hand
from ..entry import Born
from ..errors import InvalidationError
from ..events import MANAGER
from ..events.live import shown_selectors
from ..routing.annotations import RouteName
from ..selectors import Kind, Selector, check_glob, check_path, spellings
from ..strategy import Lifetime, seconds_of
from .home import HomeBlocked
from .keys import checked_key, checked_tags
from .lifecycle import Lifecycle

Begin: TypeAlias = Callable[[Sequence[Selector]], Operation]
"""Puts an invalidation into force on this instance, synchronously."""

Phase: TypeAlias = Literal["call", "response", "end"]
"""When something is dropped: by a call, before the response to a change leaves, or at its end."""

Committed: TypeAlias = Callable[["Born | None"], "Born | None"]
"""Is told the position of a record; None if that waits to be sent. Returns the same."""

Drop: TypeAlias = Callable[[], Coroutine[Any, Any, "Born | None"]]
"""Drops something, and returns the position of its record; None if it waits to be sent."""


class Invalidation(Lifecycle):
    """Invalidation by hand. See `CacheManager`."""

    async def invalidate(self, *keys: str, settle: Lifetime = 0) -> bool:
        """Drop values by key, and responses by the name that `key=` gave them, everywhere.

        Args:
            *keys: Keys and names.
            settle: Seconds for which what is dropped is not stored again on any instance, for
                origins that read from a replica that may lag that long.

        Returns:
            True if the record is in the log, from which every instance reads it; False if the log's
            server does not answer now. Then it is in force on this instance, and sent to the others
            when the server is back.

        Raises:
            ConfigError: If a key is not allowed.
        """
        return await self.invalidate_selectors(self.named(keys=keys), settle=settle)

    async def invalidate_many(self, keys: Iterable[str], *, settle: Lifetime = 0) -> bool:
        """Drop several keys in one operation. See `invalidate`."""
        return await self.invalidate(*keys, settle=settle)

    async def invalidate_tags(self, *tags: str, settle: Lifetime = 0) -> bool:
        """Drop everything that carries one of the tags, everywhere. See `invalidate`."""
        return await self.invalidate_selectors(self.named(tags=tags), settle=settle)

    async def invalidate_pattern(self, pattern: str, *, settle: Lifetime = 0) -> bool:
        """Drop values whose key, and responses whose path or name, matches, everywhere.

        Args:
            pattern: `*` stands for any run of characters, `?` for one.

        Raises:
            InvalidationError: If it is longer than 256 characters or has more than 8 stars.
        """
        return await self.invalidate_selectors(self.named(patterns=[pattern]), settle=settle)

    async def invalidate_path(
        self, path: str, *, below: bool = False, settle: Lifetime = 0
    ) -> bool:
        """Drop the responses of a path: every query string and variant, everywhere.

        Args:
            path: As the outermost cached application sees it, mounts included, beginning with `/`,
                without a query string; decoded or percent-encoded. Within a request it may have
                the root path in front, as `request.url.path` has.
            below: Also everything below it.

        Raises:
            InvalidationError: If it does not begin with `/`, or holds a `?`.
        """
        selectors = self.named(below=[path]) if below else self.named(paths=[path])
        return await self.invalidate_selectors(selectors, settle=settle)

    def named(
        self,
        *,
        keys: Iterable[str] = (),
        tags: Iterable[str] = (),
        paths: Iterable[str] = (),
        below: Iterable[str] = (),
        patterns: Iterable[str] = (),
        routes: Iterable[tuple[RouteName, Mapping[str, object]]] = (),
    ) -> list[Selector]:
        """The selectors of what is named; see the methods that drop one of them each.

        Raises:
            ConfigError: If a key is not allowed.
            InvalidationError: If something else cannot name anything.
        """
        found = [Selector("key", checked_key(key)) for key in keys]
        found += [Selector("tag", tag) for tag in checked_tags(tags, None)]
        for path in paths:
            found += self._of_path("path", path)
        for path in below:
            found += self._of_path("prefix", path)
        for pattern in patterns:
            meant = self._meant_by(check_glob(pattern))
            found += [Selector("glob", each) for each in meant if each]
        for name, params in routes:
            found += self._of_route(name, params)
        return found

    def _of_path(self, kind: Kind, path: str) -> list[Selector]:
        written = spellings(check_path(path))
        return [Selector(kind, each) for one in written for each in self._meant_by(one)]

    def _of_route(self, name: RouteName, params: Mapping[str, object]) -> list[Selector]:
        table = self._name.table
        if table is None:
            raise InvalidationError("invalidate_route: no CacheMiddleware uses this manager yet")
        return table.selectors_of(name, params)

    def _meant_by(self, text: str) -> list[str]:
        """The paths or patterns that a text stands for in the request that this code runs in."""
        table = self._name.table
        return [text] if table is None else table.tree.readings(text, root_paths(self))

    async def invalidate_route(
        self, /, name_or_endpoint: str | Callable[..., Any], **params: object
    ) -> bool:
        """Drop the responses of a route, everywhere.

        Args:
            name_or_endpoint: The route's name, path template or endpoint.
            **params: Path parameters; without some of them, all that match the others are dropped.

        Raises:
            InvalidationError: If the application is not known yet, or has no such route.
        """
        return await self.invalidate_selectors(self.named(routes=[(name_or_endpoint, params)]))

    async def clear(self) -> bool:
        """Drop everything of this namespace, everywhere. See `invalidate`."""
        if not self.home.is_elsewhere:
            self.engine.stack.local.clear()
        return await self.invalidate_selectors([Selector("all", "")])

    async def invalidate_selectors(
        self, selectors: Sequence[Selector], *, settle: Lifetime = 0
    ) -> bool:
        """Drop what the selectors name, everywhere. See `invalidate`."""
        if not selectors:
            return True
        begin = self.begin_with(settle)

        def noting(selectors: Sequence[Selector]) -> Operation:
            operation = begin(selectors)
            self.engine.events.invalidated(MANAGER, "call")
            note(self, selectors, operation.settle)
            if not drops_by_hand(selectors):
                self.engine.mutations.dropped(selectors)
            return operation

        return await self._dropped_at_home(lambda: self._drop(selectors, noting)) is not None

    def drop_again(
        self, selectors: Sequence[Selector], settle: float, kept: Iterable[str]
    ) -> "asyncio.Task[Born | None]":
        """Drop what a request has dropped once more at its end. See `coherence.repeats`."""
        return self._in_task(lambda: self._drop_again(selectors, settle, kept))

    async def _drop_again(
        self, selectors: Sequence[Selector], settle: float, kept: Iterable[str]
    ) -> Born | None:
        await self.start()
        stack = self.engine.stack
        slots = [slot for key in kept if (slot := stack.peek(key)) is not None]
        with self._traced(selectors, MANAGER, "end") as committed:
            operation = self.begin_with(settle)(selectors)
            note(self, selectors, settle)
            for slot in slots:
                stack.renew(slot)
            return committed(await self.engine.log.commit(operation))

    def begin_with(self, settle: Lifetime = 0) -> Begin:
        """A function that puts selectors into force on this instance, with a time to settle.

        Args:
            settle: Seconds for which what is dropped is not stored again.

        Raises:
            ConfigError: If the time is not allowed.
        """
        seconds = seconds_of(settle, option="settle", where="CacheManager", zero=True)
        return partial(self.engine.log.begin, settle=seconds)

    def begin_invalidation(
        self,
        selectors: Sequence[Selector],
        begin: Begin,
        *,
        route: str = MANAGER,
        phase: Phase = "call",
    ) -> "asyncio.Task[Born | None]":
        """Drop what the selectors name in a task of its own, which `close` waits for.

        Args:
            selectors: What is dropped.
            begin: Puts it into force on this instance.
            route: The route of the request that has changed something, for its span.
            phase: When that is.

        Returns:
            The task; its result is the position of the log's record, None if it waits to be sent.
        """
        return self._in_task(lambda: self._drop(selectors, begin, route, phase))

    def _in_task(self, drop: Drop) -> "asyncio.Task[Born | None]":
        if not self.home.is_elsewhere:
            return self.spawn(drop(), "asgi-multitier invalidation")
        task = asyncio.create_task(self._dropped_at_home(drop), name="asgi-multitier invalidation")
        self._remote_drops.add(task)
        task.add_done_callback(self._remote_drops.discard)
        return task

    async def _dropped_at_home(self, drop: Drop) -> Born | None:
        """Drop it where the cache lives; None if that loop is blocked, and will do it later."""
        try:
            return await self.home.run(drop)
        except HomeBlocked:
            return None

    async def _drop(
        self,
        selectors: Sequence[Selector],
        begin: Begin,
        route: str = MANAGER,
        phase: Phase = "call",
    ) -> Born | None:
        await self._name.check(self)
        await self.start()
        with self._traced(selectors, route, phase) as committed:
            return committed(await self._dropped(selectors, begin))

    def _traced(
        self, selectors: Sequence[Selector], route: str, phase: Phase
    ) -> AbstractContextManager[Committed]:
        """The span of an invalidation, where there are spans."""
        traces = self.engine.events.traces
        if traces is None:
            return nullcontext(_as_it_is)
        return traces.dropping(route, phase, [selector.kind for selector in selectors])

    async def _dropped(self, selectors: Sequence[Selector], begin: Begin) -> Born | None:
        log, stack = self.engine.log, self.engine.stack
        operation = begin(selectors)
        if (live := self.engine.events.live).on:
            live.emit("invalidation", selectors=shown_selectors(selectors))
        keys = [selector.text for selector in selectors if selector.kind == "key"]
        for key in keys:
            stack.local.delete(key)
        # The delete only frees room: what is there does not count as valid any more. It is awaited
        # because it must not remove what this caller sets next.
        position, _ = await asyncio.gather(log.commit(operation), stack.drop(keys))
        self._name.warn_if_unused(log)
        return position


def _as_it_is(position: Born | None) -> Born | None:
    """Tells no span of it."""
    return position
