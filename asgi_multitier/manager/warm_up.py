"""Filling a cache before clients ask: the application is asked in its own process."""

import asyncio
from asyncio.events import _get_running_loop as loop_here
from collections.abc import Iterable
from functools import partial

from ..engine.document import NoAnswer
from ..engine.health import WarmUpHealth
from ..errors import ConfigError
from ..warming.pace import CONCURRENCY, RATE, Door, ask_all, check_pace
from ..warming.report import Results, WarmPart, WarmReport
from ..warming.targets import Target, TargetOption, read_targets
from .home import at_home
from .lifecycle import Lifecycle
from .popular import NO_ANSWER, NO_LIST, NO_TIER, document_of, ranking_in
from .warmer import Warmer, ask_if_open

SWITCHED_OFF = "the cache is switched off"


class WarmUp(Lifecycle):
    """Warm-up of responses. See `CacheManager`."""

    _door: Door | None = None
    _door_is_bound = False
    _warmer: Warmer | None = None

    def answered_by(self, door: Door, *, bound: bool = False) -> None:
        """Note how the application that this cache belongs to is asked.

        Args:
            door: Asks it. Of several middlewares in one application the outermost is bound first.
            bound: Whether the application is known, and not only the middleware.
        """
        if not self._door_is_bound:
            self._door, self._door_is_bound = door, bound

    def begin_warm_up(self) -> None:
        """Begin what `warm="top:200"` asks for, unless it has begun; where the cache lives."""
        top = self.config.warm_top
        if not top or self._door is None or self.mode != "on" or self.loop is not loop_here():
            return
        if self._warmer is None:
            self._warmer = Warmer(self, self._door, top)
            self.on_close(self._warmer.end)
            self.on_renewal(self._warmer.reset)
        self._warmer.begin()

    @property
    def warm_up_health(self) -> WarmUpHealth:
        """How far the warm-up after the start is."""
        return WarmUpHealth() if self._warmer is None else self._warmer.health

    @at_home
    async def warm(
        self,
        targets: Iterable[TargetOption],
        *,
        base_url: str | None = None,
        concurrency: int = CONCURRENCY,
        rate: float = RATE,
    ) -> WarmReport:
        """Ask the application for responses, as a client would, so that they are stored.

        Nothing is sent over the network. Routes, keys, rules and what may be stored are those of
        any other request, so is what the application may refuse.

        Args:
            targets: Paths with their queries, as clients send them, or whole URLs, or pairs of one
                of them and request fields (a mapping, or pairs of text). With fields the response
                is that to a client that sends these.
            base_url: The scheme and the host of paths, such as `"https://shop.example"`: they are
                part of every key. None for those that most clients have used here lately.
            concurrency: Requests at once at most, 1 to 100.
            rate: Requests a second at most.

        Returns:
            What became of them; a request that fails is counted, and raises nothing. Nothing is
            asked while the cache is switched off.

        Raises:
            ConfigError: If an argument is not allowed, or there is no application to ask.
        """
        check_pace(concurrency, rate)
        door = self._known_door()
        checked = read_targets(targets, base_url, door.origins)
        results = Results()
        if self.mode == "on":
            # What it asks for starts the cache, as any request does that comes before the lifespan.
            await ask_all(checked, door.ask, results, concurrency=concurrency, rate=rate)
        return results.report()

    def _known_door(self) -> Door:
        if self._door is None:
            raise ConfigError(
                "CacheManager.warm: no application uses this manager yet; expected a "
                "CacheMiddleware with it, and a call after the application has started"
            )
        return self._door

    @property
    def usual_origin(self) -> str | None:
        """The scheme and the host of most requests lately, as `base_url=`; None if none came."""
        origins = () if self._door is None else self._door.origins
        first = next(iter(origins), None)
        return None if first is None else f"{first.scheme}://{first.host.decode('latin-1')}"

    @at_home
    async def warm_part(
        self,
        targets: Iterable[TargetOption] | None,
        *,
        top: int,
        skip: int,
        seconds: float,
        patience: float,
        base_url: str | None = None,
        concurrency: int = CONCURRENCY,
        rate: float = RATE,
    ) -> WarmPart:
        """A warm-up in parts, for operators who wait: the first ones that there is time for.

        Args:
            targets: As for `warm`; None for what clients ask for most, of which only those are
                asked for that are for anyone.
            top: How many of these.
            skip: How many are left out, from the first one on.
            seconds: How long others are begun after the first one.
            patience: Seconds that each may take.
            base_url: As for `warm`.
            concurrency: As for `warm`.
            rate: As for `warm`.

        Raises:
            ConfigError: As for `warm`.
        """
        check_pace(concurrency, rate)
        door = self._known_door()
        detail = ""
        if targets is None:
            found, detail = await self._most_asked(top)
        else:
            found = read_targets(targets, base_url, door.origins)
        if self.mode != "on":
            return WarmPart(detail=SWITCHED_OFF)
        results, loop = Results(), asyncio.get_running_loop()
        ends = loop.time() + seconds
        done = await ask_all(
            found[skip:],
            door.ask if targets is not None else partial(ask_if_open, door),
            results,
            concurrency=concurrency,
            rate=rate,
            patience=patience,
            goes_on=lambda: loop.time() < ends,
        )
        return WarmPart(results.report(), min(skip, len(found)) + done, len(found), detail)

    async def _most_asked(self, top: int) -> tuple[list[Target], str]:
        """What clients ask for most; and why there is nothing."""
        document = document_of(self)
        if document is None:
            return [], NO_TIER
        try:
            ranking = await ranking_in(document)
        except NoAnswer:
            return [], NO_ANSWER
        return ([], NO_LIST) if ranking is None else (ranking.top(top), "")
