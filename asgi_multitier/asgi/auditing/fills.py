"""What is remembered of the requests that filled entries, to compare hits with them.

Digests alone (see `shadow.observation`), in a bounded number of bytes; the oldest is forgotten.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from ...entry import Entry
from ...policy.key import storage_key
from ...shadow import Traits

BYTES: Final = 4 * 1024 * 1024
"""Bytes that they take at most, about."""

_EACH = 600
"""Bytes of one without its names: the objects, and its place in the table."""

_PER_NAME = 110
"""Bytes of a name with its digest; most names are shared with other requests."""


@dataclass(slots=True, eq=False)
class Fill:
    """The request that filled an entry.

    Attributes:
        number: Its number among the observations.
        began: Monotonic seconds at which the application was asked.
        filled_at: The entry's.
        traits: What may have chosen the answer.
        size: Bytes accounted for it.
        told: Whether it was told to the ledger.
    """

    number: int
    began: float
    filled_at: float
    traits: Traits
    size: int
    told: bool = False


class Fills:
    """The last fills, by the digest of their key.

    Args:
        limit: Bytes that they take at most, about.
    """

    def __init__(self, limit: int = BYTES) -> None:
        self._limit = limit
        self._fills: OrderedDict[str, Fill] = OrderedDict()
        self.size: int = 0

    def __len__(self) -> int:
        return len(self._fills)

    def note(self, entry: Entry, traits: Traits, number: int) -> None:
        """An entry was filled."""
        names = len(traits.fields) + len(traits.cookies) + len(traits.query)
        fill = Fill(
            number,
            entry.filled_at - entry.cost,
            entry.filled_at,
            traits,
            _EACH + _PER_NAME * names,
        )
        name = storage_key(entry.key)
        if (before := self._fills.pop(name, None)) is not None:
            self.size -= before.size
        self._fills[name] = fill
        self.size += fill.size
        while self.size > self._limit:
            self.size -= self._fills.popitem(last=False)[1].size

    def of(self, entry: Entry) -> Fill | None:
        """The fill of an entry; None if it is not known, as of what a shared tier has."""
        fill = self._fills.get(storage_key(entry.key))
        return fill if fill is not None and fill.filled_at == entry.filled_at else None
