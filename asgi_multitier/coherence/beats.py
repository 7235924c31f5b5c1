"""Where the instances that share a log tell of themselves: the storage of their beats.

What a beat says is decided above, in `instances`; here it is bytes with a MAC. A store keeps those
of the last minutes and no more.
"""

from typing import Literal, NamedTuple, Protocol

from ..errors import BackendError

KEPT = 2_000
"""Beats kept, roughly: those of 100 instances in 100 seconds."""

MAX_BEAT = 4096
"""Bytes of the longest beat that is written or read."""


class StoredBeat(NamedTuple):
    """A beat as stored.

    Attributes:
        id: Its place among the others; later ones are larger.
        at: Unix seconds when it was stored, by the clock of the store.
        data: What it says, encoded.
        mac: The MAC or checksum of that.
    """

    id: tuple[int, int]
    at: float
    data: bytes
    mac: bytes


class BeatStore(Protocol):
    """Storage of beats, shared by all instances of a namespace."""

    @property
    def source(self) -> Literal["redis", "sqlite"]:
        """What kind of store it is."""

    async def add(self, data: bytes, mac: bytes) -> StoredBeat:
        """Store a beat.

        Raises:
            BackendError: If the store does not answer. It may have been stored anyway.
        """

    async def last(self, seconds: float) -> list[StoredBeat]:
        """The beats of the last seconds before the youngest one, oldest first; at most `KEPT`.

        Raises:
            BackendError: If the store does not answer.
        """

    async def after(self, place: tuple[int, int]) -> list[StoredBeat]:
        """The beats stored after one, oldest first; at most `KEPT`.

        Raises:
            BackendError: If the store does not answer.
        """


def checked(data: bytes) -> bytes:
    """The bytes of a beat, if they are not too many.

    Raises:
        BackendError: If they are.
    """
    if len(data) > MAX_BEAT:
        raise BackendError(f"a beat of {len(data)} bytes is longer than {MAX_BEAT}")
    return data
