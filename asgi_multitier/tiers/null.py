"""Tiers that keep nothing: to switch a tier off, and to measure the cost of the others.

Two classes, because `get` of a local tier returns and `get` of a shared one awaits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..entry import Slot
from .base import Held


class NullLocalTier:
    """A `LocalTier` that keeps nothing and refuses every slot.

    Attributes:
        find, holdable: See `FindingTier`.
    """

    __slots__ = ("find", "holdable", "name")

    def __init__(self) -> None:
        self.name: str = "null"
        nothing: dict[str, Slot] = {}
        self.find: Callable[[str], Slot | None] = nothing.get
        self.holdable: bool = False

    def on_clear(self, listener: Callable[[], None]) -> None:
        """Nothing that a reader holds becomes invalid."""

    def get(self, key: str) -> Slot | None:  # noqa: ARG002  # the protocol's signature, as below
        """None."""
        return None

    def look(self, key: str) -> Slot | None:  # noqa: ARG002
        """None."""
        return None

    def set(self, slot: Slot) -> bool:  # noqa: ARG002
        """False: nothing fits."""
        return False

    def delete(self, key: str) -> bool:  # noqa: ARG002
        """False: nothing was there."""
        return False

    def clear(self) -> None:
        """Nothing to forget."""

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "<NullLocalTier>"


class NullTier:
    """A `SharedTier` that keeps nothing and is always available."""

    __slots__ = ("name",)

    def __init__(self) -> None:
        self.name: str = "null"

    async def get(self, key: str) -> Held | None:  # noqa: ARG002
        """None."""
        return None

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        """None for each key."""
        return [None] * len(keys)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Forgotten at once."""

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        """Forgotten at once."""

    async def delete(self, keys: Iterable[str]) -> int:  # noqa: ARG002
        """0: nothing was there."""
        return 0

    async def clear(self) -> None:
        """Nothing to forget."""

    async def ping(self) -> None:
        """Always answers."""

    async def close(self) -> None:
        """Nothing to release."""

    def __repr__(self) -> str:
        return "<NullTier>"
