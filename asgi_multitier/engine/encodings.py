"""Contents of local entries in other codings: made when they are asked for, kept with their slot.

Invariants:

1. What is made of a slot's response hangs on that very slot, and on no other: it is valid as long
   as the entry is, and leaves together with it, however that is replaced, invalidated or evicted.
2. Its bytes are accounted in the slot's size. A local tier that cannot account for them keeps none.
3. Each coding of a slot is made once at most, also if that was in vain.

Shared tiers hold the content as the application made it: each process compresses what its own
clients ask for again.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from ..compression import Compressor
from ..entry import Encoded, Slot, StoredResponse
from ..events import Events
from ..policy.encoded import is_encodable, is_worth
from ..policy.negotiation import IDENTITY
from ..policy.terms import Terms
from ..tiers.base import LocalTier, ResizingTier

_OVERHEAD = 1500
"""Bytes that the objects around an encoded content take: its prepared field lines above all."""


class InCoding(NamedTuple):
    """What was found: the coding, the content, and what the middleware has prepared of it."""

    coding: bytes
    body: bytes
    encoded: Encoded


class Encodings:
    """Finds contents in other codings, and has them made.

    Args:
        local: The tier whose slots they hang on.
        events: Where they are counted.
        compressor: Makes them.

    Attributes:
        compressor: As above.
    """

    def __init__(
        self, local: LocalTier, events: Events, compressor: Compressor | None = None
    ) -> None:
        self._local = local if isinstance(local, ResizingTier) else None
        self._events = events
        self.compressor: Compressor = Compressor() if compressor is None else compressor

    def find(self, slot: Slot, codings: Sequence[bytes], terms: Terms) -> InCoding | None:
        """The content in the first of these codings in which it is there; None for no coding.

        If the first of them was not made yet, that begins now, for later requests.

        Args:
            slot: A slot with a response.
            codings: What the request accepts, the preferred one first.
            terms: The rule's terms.
        """
        encoded = slot.encoded
        if encoded is None:
            encoded = slot.encoded = self._begin(slot, terms)
        wanted = codings[0]
        if wanted not in encoded and wanted != IDENTITY:
            self._make(slot, wanted, encoded)
        for coding in codings:
            if coding == IDENTITY:
                return None
            found = encoded.get(coding)
            if found is not None and found.body is not None:
                return InCoding(coding, found.body, found)
        return None

    def _begin(self, slot: Slot, terms: Terms) -> dict[bytes, Encoded]:
        """What a slot has before anything is made of it."""
        response = slot.entry.payload
        if self._local is None:
            reason = "tier"
        elif not isinstance(response, StoredResponse) or not is_encodable(
            response.headers, terms.targeted
        ):
            reason = "content"
        elif len(response.body) < terms.encode_from:
            reason = "small"
        else:
            return {}
        self._events.not_encoded[reason] += 1
        return {coding: Encoded() for coding in terms.codings}

    def _make(self, slot: Slot, coding: bytes, encoded: dict[bytes, Encoded]) -> None:
        if self._local is None or not self._local.resize(slot, slot.size):
            # It is in a shared tier alone, or has left meanwhile.
            self._events.not_encoded["not-held"] += 1
            return
        body = _body_of(slot)
        if self.compressor.ask(body, coding, partial(self._land, slot, coding)):
            encoded[coding] = Encoded()
        else:
            self._events.not_encoded["busy"] += 1

    def _land(self, slot: Slot, coding: bytes, made: bytes | Exception) -> None:
        """Keep what was made with the slot that it was made of, if that is still in its tier."""
        if isinstance(made, Exception):
            self._events.encoding_failed(coding.decode(), made)
            return
        size = len(_body_of(slot))
        if not is_worth(size, len(made)):
            self._events.not_encoded["incompressible"] += 1
            return
        grown = slot.size + len(made) + _OVERHEAD
        if self._local is None or slot.encoded is None or not self._local.resize(slot, grown):
            self._events.not_encoded["left"] += 1
            return
        slot.encoded[coding].body = made
        self._events.encoded[coding.decode()] += 1
        self._events.encoded_saved += size - len(made)


def _body_of(slot: Slot) -> bytes:
    response = slot.entry.payload
    assert isinstance(response, StoredResponse)  # noqa: S101  # `_begin` has seen it
    return response.body
