"""What was read from a shared tier before: the same bytes need not be checked and decoded again.

Where a hit of a shared tier is copied into the tiers above it, it is read once. Where it is not
copied, the tier answers each request, nearly always with the bytes of the time before. They are
compared with those, and what they were decoded to is used once more.

Invariants:

1. The tier is asked each time. What it has no more, or has other bytes for, is not found here.
2. Bytes that are equal to what was found whole, signed and of this key are so too.
3. Nothing lives longer than the tier says now: what it gives less time than before is read again.
4. Whether an entry is valid is not known here: the stack asks the log's index, as of any other.
"""

from collections.abc import Sequence

import msgspec

from ..entry import StoredResponse, size_of
from ..tiers.base import Held
from .reads import Found

TICK = 0.001
"""Seconds up to which two readings of one deadline differ: tiers count milliseconds."""

_SHARE = 64
"""What takes more than one in so many bytes is not remembered."""

_OVERHEAD = 200
"""Bytes that the objects around a reading take, beyond those of its entry."""


class _Reading(msgspec.Struct, gc=False):
    """What was read. As of the slot, the garbage collector knows nothing of it.

    Attributes:
        head: The bytes in front of the body; all bytes, where the body lies there compressed.
        body: The body, the same object as in the entry; else empty.
        length: Of both.
        found: What they were decoded to.
        until: Clock value at which that is over.
        least: Clock value before which the entry is not over, if the tier has told the truth.
        size: Bytes accounted for it.
    """

    head: bytes
    body: bytes
    length: int
    found: Found
    until: float
    least: float
    size: int


class Rereads:
    """What was read last from one shared tier, within a bound; the oldest reading leaves first.

    Args:
        max_bytes: Bytes remembered at most, an estimate of the process's memory.
    """

    __slots__ = ("_bytes", "_max_bytes", "_readings")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._readings: dict[str, _Reading] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._readings)

    @property
    def bytes(self) -> int:
        """Bytes accounted for what is remembered."""
        return self._bytes

    def find_all(
        self, keys: Sequence[str], replies: Sequence[Held | None], now: float
    ) -> list[Found | None]:
        """For each reply what it was decoded to before; None if it has to be decoded.

        Args:
            keys: The keys.
            replies: What the tier has for each of them.
            now: A reading of the clock.
        """
        readings, found = self._readings, []
        for key, held in zip(keys, replies, strict=True):
            known = None
            if held is not None and (reading := readings.get(key)) is not None:
                value, left = held
                if (
                    left is not None
                    and now + left >= reading.least
                    and now < reading.until
                    and len(value) == reading.length
                    and value.startswith(reading.head)
                    and value.endswith(reading.body)
                ):
                    known = reading.found
            found.append(known)
        return found

    def remember(self, key: str, held: Held, found: Found, travelled: float) -> None:
        """Remember what bytes were decoded to, unless they are many.

        Args:
            key: The key.
            held: What the tier has.
            found: What it was decoded to.
            travelled: Seconds that the reply took: it has so much less left at most.
        """
        self.forget(key)
        if held.remaining is None:  # what is left would have to be computed from the bytes
            return
        entry, value = found.slot.entry, held.value
        payload = entry.payload
        body = payload.body if isinstance(payload, StoredResponse) else payload
        if not isinstance(body, bytes) or not value.endswith(body):
            body = b""
        head = value[: len(value) - len(body)]
        size = _OVERHEAD + size_of(entry) + len(head)
        if size * _SHARE > self._max_bytes:
            return
        while self._bytes + size > self._max_bytes:
            self.forget(next(iter(self._readings)))
        self._bytes += size
        until = entry.keep_until
        least = until - travelled - TICK
        self._readings[key] = _Reading(head, body, len(value), found, until, least, size)

    def forget(self, key: str) -> None:
        """Forget a key, if it is there."""
        reading = self._readings.pop(key, None)
        if reading is not None:
            self._bytes -= reading.size

    def clear(self) -> None:
        """Forget everything."""
        self._readings.clear()
        self._bytes = 0
