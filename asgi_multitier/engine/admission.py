"""What counts of the replies of shared tiers: an entry that can be read, and is valid now.

Bytes are decoded, or known from an earlier reply. The log's index is asked when the reply is here,
not when the tier was asked.
"""

import math
from collections.abc import Callable, Sequence

from cachetools import FIFOCache

from ..coherence.log import InvalidationLog
from ..entry import UNSIZED, Entry, Slot
from ..tiers.base import Held
from ..tiers.metadata import Unreadable
from .formats import Format
from .placed import Placed
from .reads import Found
from .rereads import TICK, Rereads

CATCH_UP = 0.05
"""Seconds that a read waits for this process to reach the position where its entry was born."""

AHEAD, INVALIDATED = "ahead", "invalidated"
"""Why what a tier has is not used: it was born beyond what this process has applied, or is not
valid by the log."""

_LEFT = 10_000
"""Entries that left the first tier because of the log, of which it is known how old they were."""


class Admission:
    """Decides what of the replies counts, and counts it.

    Args:
        log: The invalidation log; its index decides what is valid.
        form: How entries are written.
        promote: Called with a hit that is to be copied into the tiers above.
        forget: Called with an entry that is to be forgotten where it was found.
    """

    __slots__ = ("_again", "_clock", "_forget", "_form", "_index", "_left", "_log", "_promote")

    def __init__(
        self,
        log: InvalidationLog,
        form: Format,
        promote: Callable[[Placed, Slot], None],
        forget: Callable[[Placed, Entry], None],
    ) -> None:
        self._log = log
        self._index = log.index
        self._form = form
        self._clock = form.clock
        self._promote = promote
        self._forget = forget
        self._again: dict[Placed, Rereads] = {}
        self._left: FIFOCache[str, float] = FIFOCache(_LEFT)

    def compare(self, placed: Placed, max_bytes: int) -> None:
        """Compare what a tier has with what it had: it is read again and again.

        Args:
            placed: The tier.
            max_bytes: Bytes that may be remembered for that.
        """
        self._again[placed] = Rereads(max_bytes)

    def clear(self) -> None:
        """Forget what tiers had."""
        for again in self._again.values():
            again.clear()

    def remember(self, entry: Entry) -> None:
        """This process has served it: until it knows better, it takes nothing older from below.

        A process that lags behind the log may have read a change before its record. When the record
        comes, its entry counts as older than the one that another process filled in between, which
        is younger by the log and older by what it says.
        """
        self._left[entry.key] = entry.created

    async def admitted(
        self, placed: Placed, keys: Sequence[str], replies: Sequence[Held | None], begun: float
    ) -> list[Found | None]:
        """Of keys and what a tier has for each of them, what is valid now.

        Args:
            placed: The tier.
            keys: The keys.
            replies: What it has.
            begun: A reading of the clock before it was asked.
        """
        again = self._again.get(placed)
        if again is None:
            found: list[Found | None] = [None] * len(keys)
        else:
            found = again.find_all(keys, replies, self._clock())
        if None in found:
            await self._read_others(placed, keys, replies, found, begun)
        admit = self._admit
        return [one if one is not None and admit(placed, one.slot) else None for one in found]

    async def _read_others(
        self,
        placed: Placed,
        keys: Sequence[str],
        replies: Sequence[Held | None],
        found: list[Found | None],
        begun: float,
    ) -> None:
        """Decode the replies for which nothing is found yet, and note what is found there."""
        places = [
            place for place, held in enumerate(replies) if held is not None and found[place] is None
        ]
        if not places:
            return
        travelled = self._clock() - begun
        read = self._form.read_all(
            [keys[place] for place in places], [replies[place] for place in places]
        )
        await self._catch_up(read)
        again, level = self._again.get(placed), placed.config.level
        for place, entry in zip(places, read, strict=True):
            if isinstance(entry, Entry):
                # What is promoted has a slot of its own.
                one = found[place] = Found(Slot(entry, size=UNSIZED), level)
                held = replies[place]
                if again is not None and held is not None:
                    again.remember(keys[place], held, one, travelled)
            elif entry is not None:
                placed.unreadable[entry] += 1

    def _admit(self, placed: Placed, slot: Slot) -> bool:
        """Whether what a tier has is valid now that the reply is here; then it is a hit."""
        index, entry, left = self._index, slot.entry, self._left
        if slot.view != index.view:
            if not index.permits_shared(entry):
                self._refuse(placed, entry)
                return False
            slot.view = index.view
        # No look-up where nothing has left, as it takes longer than the rest.
        if left and self._is_older(entry):
            placed.unreadable[INVALIDATED] += 1
            return False
        placed.hits += 1
        config = placed.config
        if config.promotion and placed.hits % config.promotion_frequency == 0:
            self._promote(placed, slot)
        return True

    def _refuse(self, placed: Placed, entry: Entry) -> None:
        if placed in self._again:
            self._again[placed].forget(entry.key)
        why = self._why(entry)
        placed.unreadable[why] += 1
        if why == AHEAD:
            self._forget(placed, entry)

    def _why(self, entry: Entry) -> str:
        """Why the index does not permit an entry."""
        return AHEAD if self._index.is_ahead(entry.born) else INVALIDATED

    def _is_older(self, entry: Entry) -> bool:
        """Whether this process has served a younger one: see `remember`."""
        return entry.created < self._left.get(entry.key, -math.inf) - TICK

    def objection(self, entry: Entry) -> str | None:
        """Why an entry that a tier has would not be used; None if it would. Nothing is counted."""
        if not self._index.permits_shared(entry):
            return self._why(entry)
        return INVALIDATED if self._is_older(entry) else None

    async def _catch_up(self, read: Sequence[Entry | Unreadable | None]) -> None:
        """Wait until this process is where the entries were born: another may be a little ahead."""
        index = self._index
        applied = index.seq
        ahead = [
            entry.born
            for entry in read
            # Few are, and a comparison of numbers is less than a call.
            if isinstance(entry, Entry) and entry.born.seq > applied and index.is_ahead(entry.born)
        ]
        if ahead:
            await self._log.reached(max(ahead, key=lambda born: born.seq), CATCH_UP)
