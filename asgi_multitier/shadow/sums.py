"""Figures of one route, exact whatever is kept of its observations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..strategy import CacheStrategy
from .observation import Observation

LIFETIMES: Final = (
    CacheStrategy.REAL_TIME.seconds,
    CacheStrategy.SHORT_TERM.seconds,
    CacheStrategy.MEDIUM_TERM.seconds,
    CacheStrategy.LONG_TERM.seconds,
)
"""Seconds of the named lifetimes, the shortest first."""

HITS: Final = frozenset(("hit", "stale"))
"""What becomes of a request that the cache answers."""

_WORDS: Final = 64


@dataclass(slots=True)
class Sums:
    """What was observed of one route.

    Attributes:
        requests, hits, origin_seconds, saved_seconds, saved_bytes, wrong: See `RouteReport`.
        compared: Would-be hits of which the answer could be compared.
        would: How often each thing became of a request.
        users: Requests that identified a user.
        first, last: Seconds of the clock of the first and the last request.
        kept_hits: For each of the named lifetimes, requests of kept keys that it would answer.
        kept_seconds: Seconds that the application took for these.
        kept_requests: Requests of kept keys.
    """

    requests: int = 0
    hits: int = 0
    origin_seconds: float = 0.0
    saved_seconds: float = 0.0
    saved_bytes: int = 0
    wrong: int = 0
    compared: int = 0
    would: dict[str, int] = field(default_factory=dict)
    users: int = 0
    first: float = 0.0
    last: float = 0.0
    kept_hits: list[int] = field(default_factory=lambda: [0] * len(LIFETIMES))
    kept_seconds: list[float] = field(default_factory=lambda: [0.0] * len(LIFETIMES))
    kept_requests: int = 0

    def add(self, one: Observation) -> None:
        """Count one request."""
        seconds, served, would = one.ended - one.began, one.served, one.would
        if not self.requests:
            self.first = one.began
        self.requests += 1
        self.last = one.ended
        self.origin_seconds += seconds
        if one.traits.user:
            self.users += 1
        if would in self.would or len(self.would) < _WORDS:
            self.would[would] = self.would.get(would, 0) + 1
        if would not in HITS:
            return
        self.hits += 1
        self.saved_seconds += seconds
        if served is not None:
            self.saved_bytes += served.size
            self.compared += 1
            if one.answer is not None and served.digest != one.answer.digest:
                self.wrong += 1

    def copy(self) -> "Sums":
        """They, as they are now."""
        return Sums(
            self.requests,
            self.hits,
            self.origin_seconds,
            self.saved_seconds,
            self.saved_bytes,
            self.wrong,
            self.compared,
            dict(self.would),
            self.users,
            self.first,
            self.last,
            list(self.kept_hits),
            list(self.kept_seconds),
            self.kept_requests,
        )

    def within(self, filled: list[float], one: Observation) -> None:
        """Count which of the named lifetimes would answer this request of a kept key.

        Args:
            filled: When each would have filled the key last; changed here.
            one: The request.
        """
        self.kept_requests += 1
        for at, lifetime in enumerate(LIFETIMES):
            if one.began - filled[at] < lifetime:
                self.kept_hits[at] += 1
                self.kept_seconds[at] += one.ended - one.began
            else:
                filled[at] = one.ended


def shown(would: Mapping[str, int]) -> dict[str, int]:
    """What became of requests, the most frequent first."""
    return dict(sorted(would.items(), key=lambda pair: (-pair[1], pair[0])))
