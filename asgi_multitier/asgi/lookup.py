"""Looking for a stored response: in memory, then in the shared tiers."""

import asyncio

from ..engine.engine import Engine
from ..engine.reads import Found
from ..entry import Slot, Variants
from ..events import Outcome, Tally


class LookUp:
    """What one request finds in the tiers, and how long it may wait for them.

    Args:
        engine: The cache.
        tally: Where a request is counted that is cancelled meanwhile.
        looked: The key that it has asked the shared tiers for already; None if it has not.
        found: What they had.
        waited: Seconds that it has waited for them.

    Attributes:
        marker: What was found of the URL's variants.
        part: A stored part of what is asked for.
    """

    __slots__ = ("_engine", "_found", "_looked", "_tally", "_waited", "marker", "part")

    def __init__(
        self,
        engine: Engine,
        tally: Tally,
        *,
        looked: str | None = None,
        found: Found | None = None,
        waited: float = 0.0,
    ) -> None:
        self._engine = engine
        self._tally = tally
        self._waited = waited
        self._looked = looked
        self._found = found
        self.marker: Variants | None = None
        self.part: Slot | None = None

    @property
    def patience(self) -> float:
        """Seconds that the request may still wait for shared tiers."""
        return self._engine.config.redis_timeout - self._waited

    async def find(self, key: str) -> tuple[Slot | None, int]:
        """The slot of a key, if there is one, and the level of the tier that had it."""
        stack = self._engine.stack
        if self._looked == key:
            found, self._looked = self._found, None
        else:
            slot = stack.read(key)
            if slot is not None or not stack.has_shared:
                return slot, 1
            found = await self._fetch(key)
        if found is not None:
            return found.slot, found.level
        # Another request's fill may have landed while this one waited for the reply.
        return stack.read(key), 1

    async def find_newer(self, key: str, slot: Slot) -> Found | None:
        """What another instance has filled since this local entry became stale, if it has."""
        engine = self._engine
        if engine.clock() < slot.entry.fresh_until or not engine.stack.has_shared:
            return None
        found = await self._fetch(key)
        newer = found is not None and found.slot.entry.fresh_until > slot.entry.fresh_until
        return found if newer else None

    async def _fetch(self, key: str) -> Found | None:
        """Ask the shared tiers, for no longer than the request may wait for them in all."""
        stack, now = self._engine.stack, asyncio.get_running_loop().time
        left = self.patience
        if left <= 0:
            return None
        begun = now()
        try:
            if not self._waited:  # the first time the tiers' own limit will do
                return await stack.ask(key)
            async with asyncio.timeout(left):
                return await stack.ask(key)
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            self._tally.count(Outcome.MISS)  # every request is counted, also one that leaves here
            raise
        finally:
            self._waited += now() - begun
