"""What can go wrong at each request: a line when it begins, one a minute, one when it is over."""

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import TypeAlias

import msgspec

from .log_lines import logger

EVERY = 60.0
"""Seconds between two lines about the same, and after which it is over if it did not come again."""

MOST = 1_000
"""Troubles that are kept apart; then the oldest is forgotten, and begins again."""

Trouble: TypeAlias = tuple[str, str]
"""What goes wrong, and of which route."""


class _Count(msgspec.Struct):
    """How often it came: in all, and since the last line."""

    total: int = 1
    since: int = 0


class Troubles:
    """Counts what goes wrong, and says how it goes on: see the module."""

    def __init__(self) -> None:
        self._counts: dict[Trouble, _Count] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._counts)

    def begins(self, what: str, route: str) -> bool:
        """Count it; whether it begins now, and is for the caller to say.

        Args:
            what: What goes wrong, as a clause of a log line.
            route: The route, or what else it happens to; of a bounded number.
        """
        self._watch()
        count = self._counts.get((what, route))
        if count is not None:
            count.total += 1
            count.since += 1
            return False
        if len(self._counts) >= MOST:
            del self._counts[next(iter(self._counts))]
        self._counts[what, route] = _Count()
        return True

    def _watch(self) -> None:
        """Look again in a minute: a timer of an event loop that has ended never fires."""
        with suppress(RuntimeError):  # no event loop runs: there is no time in which to say more
            loop = asyncio.get_running_loop()
            if self._timer is None or self._loop is not loop:
                self._loop = loop
                self._timer = loop.call_later(EVERY, self._look, context=Context())

    def _look(self) -> None:
        """Say what came since the last line, and what did not come again."""
        self._timer = None
        for trouble, count in list(self._counts.items()):
            what, route = trouble
            if count.since:
                logger.warning("%s (%s): %d more in %g s", what, route, count.since, EVERY)
                count.since = 0
            else:
                del self._counts[trouble]
                logger.info("%s (%s): over, %d in all", what, route, count.total)
        if self._counts:
            self._watch()
