"""Looking into the tiers as a request does (`asgi.lookup`), without its effects.

Nothing is counted, moved or removed: what a request would remove is shown instead.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ...coherence.refusals import refusals
from ...engine.engine import Engine
from ...engine.looking import FAILED, look, look_below
from ...entry import Entry
from ...explain.explanation import Dropped, EntryShown
from .shown import Redaction, entry_shown


class Held(NamedTuple):
    """What a request finds under one key.

    Attributes:
        entry: What it may use, or ask the application about; None if there is nothing.
        level: The level of the tier that has it.
    """

    entry: Entry | None = None
    level: int = 1


@dataclass(slots=True)
class Sight:
    """What was seen in the tiers for one request.

    Args:
        engine: The cache.
        shared: Whether shared tiers are asked.
        redaction: What is shown of texts.

    Attributes:
        entries: What was found, valid or not.
        dropped: Why what was found in memory is not valid any more.
        expired: Whether what was found in memory is of no use any more, by its lifetime.
        unasked: Whether a shared tier would have been asked, and was not.
        failed: Whether one that was asked did not answer.
    """

    engine: Engine
    shared: bool
    redaction: Redaction
    entries: list[EntryShown] = field(default_factory=list)
    dropped: tuple[Dropped, ...] = ()
    expired: bool = False
    unasked: bool = False
    failed: bool = False

    async def find(self, key: str) -> Held:
        """What `LookUp.find` finds."""
        entry = self._local(key)
        if entry is not None:
            return Held(entry)
        return await self._below(key, lambda _: True)

    async def find_newer(self, key: str, entry: Entry) -> Held:
        """What `LookUp.find_newer` finds."""
        if self.engine.clock() < entry.fresh_until:
            return Held()
        return await self._below(key, lambda found: found.fresh_until > entry.fresh_until)

    def _local(self, key: str) -> Entry | None:
        engine = self.engine
        stack = engine.stack
        slot = look(stack, key)
        if slot is None:
            return None
        entry, now = slot.entry, engine.clock()
        because = self.redaction.dropped(refusals(engine.index, entry), entry)
        self.entries.append(
            entry_shown(
                entry,
                now,
                tier=(1, stack.local.name),
                size=slot.size,
                uses=slot.uses,
                because=because,
                redaction=self.redaction,
            )
        )
        if because:
            self.dropped = because
            return None
        if now >= entry.keep_until:
            self.expired = True
            return None
        return entry

    async def _below(self, key: str, fits: Callable[[Entry], bool]) -> Held:
        stack = self.engine.stack
        if not stack.has_shared:
            return Held()
        if not self.shared:
            self.unasked = True
            return Held()
        found, now = Held(), self.engine.clock()
        for placed, entry, objection in await look_below(stack, key):
            if entry is None:
                self.failed = self.failed or objection == FAILED
                continue
            because_of = [] if objection is None else refusals(self.engine.index, entry)
            because = self.redaction.dropped(because_of, entry)
            if objection is not None and not because:
                because = (Dropped(cause=objection),)
            self.entries.append(
                entry_shown(
                    entry,
                    now,
                    tier=(placed.config.level, placed.tier.name),
                    because=because,
                    redaction=self.redaction,
                )
            )
            if found.entry is None and objection is None and fits(entry):
                found = Held(entry, placed.config.level)
        return found
