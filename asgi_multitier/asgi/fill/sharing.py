"""A fill among many processes: what others have stored, and how they hear of this one's."""

import asyncio
from collections.abc import Sequence

from ...engine.engine import Engine
from ...engine.fleet import Claim
from ...engine.stack import TierStack
from ...entry import Entry, Slot, StoredResponse, Variants
from ..replay import PARTIAL
from ..request import Request


async def stored_elsewhere(
    engine: Engine, request: Request, key: str
) -> tuple[Variants | None, Slot | None]:
    """What another process has stored by now.

    Args:
        engine: The cache.
        request: The request.
        key: Its flight's key.

    Returns:
        What is known of the URL's variants, if anything was found, and the slot that answers the
        request, if there is one.
    """
    marker: Variants | None = None
    found = await engine.stack.fetch(key)
    if found is not None and isinstance(found.slot.entry.payload, Variants):
        marker = found.slot.entry.payload
        found = await engine.stack.fetch(request.variant_key(marker.fields))
    if found is None or not isinstance(found.slot.entry.payload, StoredResponse):
        return marker, None
    entry = found.slot.entry
    fresh = engine.clock() < entry.fresh_until and not entry.always_validate
    whole = found.slot.entry.payload.status != PARTIAL
    return marker, found.slot if fresh and whole else None


class Sharing:
    """How the other processes hear of what a run brings, once.

    With a lease they wait for it, and it is given back when there is something to find.

    Args:
        stack: The tiers.
    """

    __slots__ = ("_claim", "_stack", "_telling")

    def __init__(self, stack: TierStack) -> None:
        self._stack = stack
        self._claim: Claim | None = None
        self._telling: asyncio.Task[None] | None = None

    def hold(self, claim: Claim) -> None:
        """The run is to begin under this claim, if it is held."""
        self._claim = claim if claim.held else None

    def tell(self, entries: Sequence[Entry]) -> None:
        """Write what the run brought where the others look, and let them look."""
        if self._claim is None:
            for entry in entries:
                self._stack.share(entry)
            return
        self._telling = self._stack.spawn(
            self._write_and_release(self._claim, entries), "asgi-multitier lease"
        )
        self._claim = None

    async def told(self) -> None:
        """Wait until the others can look, if they are told already."""
        if self._telling is not None:
            await self._telling

    async def _write_and_release(self, claim: Claim, entries: Sequence[Entry]) -> None:
        if entries:
            await self._stack.write(entries)
        await claim.release()
