"""Why hits were wrong, as far as that can be told: what the audited ones have in common."""

import asyncio
from typing import Final

from ...config.policy import Policy
from ...engine.mutations import UnderWay
from ...entry import Entry
from ...manager.manager import CacheManager
from ...policy.key import storage_key
from ...shadow import Cause, Edit, Finding, Observation, Traits
from .comparing import Pair
from .fills import Fills

EVERY: Final = 10.0
"""Seconds between two searches for causes, where one is known."""

SOON: Final = 1.0
"""The same, where none is known yet."""

UNKNOWN: Final = Finding(cause=Cause.UNKNOWN)


class Causes:
    """Tells audited hits to the ledger of the cache, and asks it for causes.

    Args:
        manager: The cache.
    """

    def __init__(self, manager: CacheManager) -> None:
        self._manager = manager
        self._clock = manager.engine.clock
        self._fills = Fills()
        self._numbers = manager.engine.audits.numbers
        self._found: dict[str, Finding] = {}
        self._searched = -EVERY

    def filled(self, entry: Entry, traits: Traits) -> None:
        """An entry was filled for a request of these traits."""
        self._fills.note(entry, traits, next(self._numbers))

    def mutated(self, mutation: UnderWay) -> None:
        """A mutation has ended."""
        if self._manager.engine.mutations.noted or not mutation.succeeded:
            return
        if mutation.answered is None or mutation.ended is None:
            return
        self._manager.ledger.edited(
            Edit(
                mutation.route,
                mutation.path,
                mutation.began,
                mutation.answered,
                mutation.ended,
                tuple(f"{selector.kind}:{selector.text}" for selector in mutation.selectors),
            )
        )

    def audited(
        self,
        route: str,
        policy: Policy,
        entry: Entry,
        traits: Traits,
        times: tuple[float, float],
        pair: Pair,
    ) -> None:
        """A hit was compared, and the verdict counts.

        Args:
            route: Its method and route, as reports name it.
            policy: Its rule's.
            entry: What has answered it.
            traits: Of its request.
            times: Monotonic seconds at which the application was asked, and had answered.
            pair: What the client got, and what the application has answered.
        """
        ledger = self._manager.ledger
        ledger.ruled(route, policy)
        fill = self._fills.of(entry)
        lifetime, tags = entry.fresh_until - entry.created, frozenset(entry.tags)
        key = storage_key(entry.key)
        if fill is not None and not fill.told:
            fill.told = True
            ledger.observed(
                Observation(
                    route,
                    key,
                    entry.path,
                    fill.began,
                    fill.filled_at,
                    fill.traits,
                    pair.served,
                    "miss",
                    lifetime,
                    tags,
                    number=fill.number,
                )
            )
        ledger.observed(
            Observation(
                route,
                key,
                entry.path,
                *times,
                traits,
                pair.fresh,
                "hit",
                lifetime,
                tags,
                hit=0 if fill is None else fill.number,
                served=pair.served,
                number=next(self._numbers),
            )
        )

    async def of(self, route: str) -> Finding:
        """The likeliest cause of wrong hits of a route; `Cause.UNKNOWN` where there is none yet.

        They are searched for in a thread, and not at each wrong hit.
        """
        now = self._clock()
        if now - self._searched >= (EVERY if route in self._found else SOON):
            self._searched = now
            report = await asyncio.to_thread(self._manager.ledger.snapshot().report)
            self._found = {one.route: one.findings[0] for one in report.routes if one.findings}
        return self._found.get(route, UNKNOWN)
