"""The protocols of tiers. Custom back ends implement one of the two.

A *local tier* is in this process, holds `Slot` objects and returns without awaiting: it is the one
that a hit reads. A *shared tier* is elsewhere (a server, a file), holds bytes and awaits. Tiers
know nothing of HTTP, serialization or invalidation: they keep what they are given, for the given
lifetime at most.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from ..entry import Born, Slot
from ..errors import ConfigError


class Held(NamedTuple):
    """What a shared tier returns: the bytes, and the seconds they have left.

    `remaining` is None only if the back end cannot report it; then the entry's own time stamp
    counts.
    """

    value: bytes
    remaining: float | None


@runtime_checkable
class LocalTier(Protocol):
    """A tier in this process. Every method returns at once and none raises."""

    name: str

    def get(self, key: str) -> Slot | None:
        """The slot, or None; counts as a use. Its entry may be stale: the reader decides."""

    def set(self, slot: Slot) -> bool:
        """Keep the slot under `slot.entry.key`, replacing any other. False if it does not fit."""

    def delete(self, key: str) -> bool:
        """Forget the key; True if it was there."""

    def clear(self) -> None:
        """Forget everything."""

    def __len__(self) -> int:
        """The number of entries held."""


@runtime_checkable
class FindingTier(Protocol):
    """A local tier that plain hits read at the price of a look-up in a dict.

    Optional. Without it a hit calls `get`.

    Attributes:
        find: As `get`, but counts no use: the reader does so, with
            `if slot.uses < MAX_USES: slot.uses += 1`. The same object for the tier's life.
        holdable: Whether a reader may keep a slot in its hand and use it without a look-up, while
            its `view` equals the index's. A slot that leaves the tier gets the view `LEFT` for
            that; what `clear` removes may get it later, if the listeners of `on_clear` are called.
    """

    find: Callable[[str], Slot | None]
    holdable: bool

    def on_clear(self, listener: Callable[[], None]) -> None:
        """Call a bound method before each `clear` returns, as long as its object lives."""


@runtime_checkable
class WatchedTier(Protocol):
    """A local tier that can be looked into from outside.

    Optional. Without it `CacheManager.explain` cannot tell what is in the tier.
    """

    def look(self, key: str) -> Slot | None:
        """The slot, or None; counts as no use, and changes nothing."""


@runtime_checkable
class ResizingTier(Protocol):
    """A local tier whose slots may grow while they are in it.

    Optional. Without it no response is kept in another content coding (`compress=`).
    """

    def resize(self, slot: Slot, size: int) -> bool:
        """Account so many bytes for a slot that the tier holds, and set its `size`.

        Returns:
            False if this very slot is not held (any more), or there is no room; nothing has changed
            then, but that other slots may have left to make room.
        """


@runtime_checkable
class ListingTier(Protocol):
    """A local tier that can tell what it holds.

    Optional. Without it nothing can be listed or counted.
    """

    def slots(self) -> list[Slot]:
        """A copy of the list of all slots, in no order; counts as no use.

        A slot may leave the tier while the list is read.
        """


def finder(tier: LocalTier) -> Callable[[str], Slot | None]:
    """What a plain hit calls to look a key up; the caller counts the use in `slot.uses`."""
    return tier.find if isinstance(tier, FindingTier) else tier.get


def is_holdable(tier: LocalTier) -> bool:
    """Whether a reader may keep a slot of this tier, and look again when its view has changed."""
    return isinstance(tier, FindingTier) and tier.holdable


@runtime_checkable
class SharedTier(Protocol):
    """A tier that several processes or restarts share.

    Keys are printable ASCII without spaces, at most 200 characters. Every method may raise
    `BackendError`, and nothing else; the caller treats that as a counted miss. A value may be lost
    at any time (eviction, restart), and must not return after its lifetime has ended.
    """

    name: str

    async def get(self, key: str) -> Held | None:
        """The bytes and the seconds left, in one round trip, or None."""

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        """As `get`, for several keys in one round trip, in the given order."""

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep the bytes for `ttl` seconds (more than 0), replacing any other."""

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        """As `set`, for several keys (value, ttl) in one round trip."""

    async def delete(self, keys: Iterable[str]) -> int:
        """Forget the keys; absent ones are no error. Returns how many were there."""

    async def clear(self) -> None:
        """Forget everything in this tier's namespace."""

    async def ping(self) -> None:
        """Return if the back end answers; raise `BackendError` if it does not."""

    async def close(self) -> None:
        """Release connections and files. May be called twice."""


@runtime_checkable
class OrderedTier(Protocol):
    """A shared tier that keeps the younger of two fills.

    Optional. A write that timed out may still arrive, after a younger one; without this protocol
    the tier then holds the older value. It is never served, but the younger one is missed.
    """

    async def set_many_born(self, items: Mapping[str, tuple[bytes, float, Born]]) -> list[bool]:
        """As `set_many`, for (value, ttl, born); False for each key that holds a younger one."""


@runtime_checkable
class ShardedTier(Protocol):
    """A shared tier whose keys are on several servers, each of which may fail by itself.

    Optional. Each call is then for keys of one server, with a time limit and a circuit breaker of
    its own, so that a server that hangs affects only its own keys.
    """

    def server_of(self, key: str) -> str:
        """Name of the server that has the key; one name for all keys while that is unknown."""

    def servers(self) -> Collection[str]:
        """Names of all current servers, as `server_of` returns them."""


@dataclass(frozen=True, slots=True)
class TierConfig:
    """The place of a tier among the others, and its lifetimes and promotions.

    Attributes:
        level: 1 is read first. Levels are distinct.
        ttl_scale: Lifetimes in this tier are multiplied by it. More than 0. A promoted entry never
            lives longer than it would have lived where it was found.
        promotion: Whether a hit here is copied into the tiers above.
        promotion_frequency: Promote one in this many hits; 1 promotes every hit.

    Raises:
        ConfigError: If a value is out of range.
    """

    level: int
    ttl_scale: float = 1.0
    promotion: bool = True
    promotion_frequency: int = 1

    def __post_init__(self) -> None:
        if type(self.level) is not int or self.level < 1:
            raise ConfigError.of("level", self.level, "a whole number from 1", where="TierConfig")
        scale = self.ttl_scale
        if type(scale) not in (int, float) or not 0 < scale < math.inf:
            raise ConfigError.of("ttl_scale", scale, "a finite number above 0", where="TierConfig")
        often = self.promotion_frequency
        if type(often) is not int or often < 1:
            raise ConfigError.of(
                "promotion_frequency", often, "a whole number from 1", where="TierConfig"
            )

    @classmethod
    def l1(cls) -> "TierConfig":
        """The first tier, with no tier above to promote to."""
        return cls(level=1, promotion=False)

    @classmethod
    def l2(cls) -> "TierConfig":
        """The second tier: same lifetimes."""
        return cls(level=2)

    @classmethod
    def l3(cls) -> "TierConfig":
        """A slower, larger tier: lifetimes doubled."""
        return cls(level=3, ttl_scale=2.0)

    @classmethod
    def l4(cls) -> "TierConfig":
        """An archive: lifetimes times eight."""
        return cls(level=4, ttl_scale=8.0)
