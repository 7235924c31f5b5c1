"""A shared tier in its place among the others: what it was asked, and how that went."""

from collections import Counter
from collections.abc import Iterable, Mapping

from ..breaker import WHOLE, Breakers, BreakerState, Call
from .base import ShardedTier, SharedTier, TierConfig


class Placed:
    """A shared tier in its place, with its breakers and its counters.

    Args:
        tier: The tier.
        config: Its place.
        failures, reset: Of its circuit breakers.
    """

    __slots__ = (
        "_sharded",
        "breakers",
        "config",
        "failures",
        "hits",
        "last_error",
        "promotions",
        "tier",
        "unreadable",
        "writes",
    )

    def __init__(
        self, tier: SharedTier, config: TierConfig, failures: int = 3, reset: float = 1.0
    ) -> None:
        self.tier = tier
        self.config = config
        self._sharded: ShardedTier | None = None
        if isinstance(tier, ShardedTier):
            self._sharded = tier
            self.breakers = Breakers(failures, reset, tier.servers)
        else:
            self.breakers = Breakers(failures, reset)
        self.hits = 0
        self.promotions = 0
        self.writes = 0
        self.failures: Counter[str] = Counter()
        self.unreadable: Counter[str] = Counter()
        self.last_error = ""

    def __repr__(self) -> str:
        return f"<L{self.config.level} {self.tier.name}, breaker {self.state(0.0).value}>"

    def state(self, now: float) -> BreakerState:
        """Whether anything is left out."""
        return self.breakers.state(now)

    def by_server(self, names: Iterable[str]) -> Mapping[str, list[str]]:
        """Names of what it stores, by the server that has them."""
        if self._sharded is None:
            return {WHOLE: list(names)}
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(self._sharded.server_of(name), []).append(name)
        return found

    def succeeded(self, call: Call) -> bool:
        """A call went well; True if by this a server is left out no more."""
        return self.breakers.succeeded(call)

    def failed(self, call: Call, error: Exception, now: float) -> bool:
        """A call failed; True if by this its server is left out."""
        self.failures[call[1]] += 1
        self.last_error = str(error) or type(error).__name__
        return self.breakers.failed(call, now)

    def named(self, server: str) -> str:
        """What to call one of its servers."""
        return f"{self.tier.name} ({server})" if server else self.tier.name
