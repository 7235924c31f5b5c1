"""What a tier is. Users' own back ends implement one of the two protocols here.

A *local tier* lives in this process, holds `Slot` objects and answers without awaiting: it is the
one that a hit reads. A *shared tier* lives elsewhere (a server, a file), holds bytes and awaits.
Tiers know nothing of HTTP, of serialization or of invalidation: they keep what they are given for
as long as they are told, at most.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from ..entry import Born, Slot
from ..errors import ConfigError


class Held(NamedTuple):
    """What a shared tier returns: the bytes, and the seconds they have left.

    `remaining` is None only where the back end cannot tell; then the entry's own time stamp counts.
    """

    value: bytes
    remaining: float | None


@runtime_checkable
class LocalTier(Protocol):
    """A tier in this process. Every method returns at once and none raises."""

    name: str

    def get(self, key: str) -> Slot | None:
        """The slot, or None. May return one whose entry is stale: the reader decides."""

    def set(self, slot: Slot) -> bool:
        """Keep the slot under `slot.entry.key`, replacing any other. False if it does not fit."""

    def delete(self, key: str) -> bool:
        """Forget the key; True if it was there."""

    def clear(self) -> None:
        """Forget everything."""

    def __len__(self) -> int:
        """The number of entries held."""


@runtime_checkable
class SharedTier(Protocol):
    """A tier that several processes or restarts share.

    Keys are printable ASCII without spaces, at most 200 characters. Every method may raise
    `BackendError`, and nothing else; a caller treats that as a counted miss. What was set may be
    gone at any time (eviction, restart), and may never come back once its lifetime has ended.
    """

    name: str

    async def get(self, key: str) -> Held | None:
        """The bytes and the seconds left, in one round trip, or None."""

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        """As `get`, for several keys in one round trip, in the order asked."""

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep the bytes for `ttl` seconds (more than 0), replacing any other."""

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        """As `set`, for several keys (value, ttl) in one round trip."""

    async def delete(self, keys: Iterable[str]) -> int:
        """Forget the keys; absent ones are no error. Returns how many were there."""

    async def clear(self) -> None:
        """Forget everything that this tier's namespace holds."""

    async def ping(self) -> None:
        """Return if the back end answers; raise `BackendError` if it does not."""

    async def close(self) -> None:
        """Release connections and files. May be called twice."""


@runtime_checkable
class OrderedTier(Protocol):
    """A shared tier that can tell the younger of two fills, and keeps it.

    Optional: a write that was given up may still land, after a younger one, and then a tier without
    it holds the older. Nobody is served that one, but everybody misses the younger.
    """

    async def set_many_born(self, items: Mapping[str, tuple[bytes, float, Born]]) -> list[bool]:
        """As `set_many`, for (value, ttl, born); False for each key that holds a younger one."""


@runtime_checkable
class ShardedTier(Protocol):
    """A shared tier whose keys lie on several servers, each of which may fail by itself.

    Optional: one call is then for keys of one server, and has a time limit and a circuit breaker
    of its own, so that a server that hangs takes only its own keys along.
    """

    def server_of(self, key: str) -> str:
        """Name of the server that has the key, or of what stands for all while none is known."""

    def servers(self) -> Collection[str]:
        """Names of all servers that there are now, as `server_of` gives them."""


@dataclass(frozen=True, slots=True)
class TierConfig:
    """Where a tier stands among the others, and how it takes part.

    Attributes:
        level: 1 is asked first. Levels are distinct.
        ttl_scale: Lifetimes in this tier are multiplied by it. More than 0. A promoted entry never
            lives longer than it would have lived where it was found.
        promotion: Whether a hit here is copied into the tiers above.
        promotion_frequency: Promote one hit in so many; 1 promotes every hit.

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
        """The first tier: nothing above it to promote to."""
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
