"""Outcomes of requests and calls: counted while they come, and read as frozen figures."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from .durations import Durations, Histogram


class Outcome(Enum):
    """How a request or call was answered that no plain hit answers; each is counted exactly once.

    The words are those of the statistics: `RouteStats` has a number for each.
    """

    STALE = "stale"
    """By an entry past its lifetime."""

    COALESCED = "coalesced"
    """By a run of the origin that another request began, or not at all, since that run failed."""

    MISS = "miss"
    """By a run of the origin of its own."""

    VALIDATED = "validated"
    """By an entry past its lifetime that the rule's validator has found unchanged: a hit."""


class Verdict(Enum):
    """What the audit of a hit has found."""

    RIGHT = "right"
    """The application answers the same."""

    WRONG = "wrong"
    """It answers something else, and nothing has dropped what was sent."""

    INCONCLUSIVE = "inconclusive"
    """It failed, took too long, or what was sent has been dropped meanwhile."""


@dataclass(slots=True, eq=False)
class Tally:
    """The outcomes of one route's requests, or of a manager's own calls.

    Attributes:
        hits: Answered by a fresh entry, by tier level; level 1 is counted apart in `local`.
        local: Answered by the local tier.
        stale: Answered by an entry past its lifetime.
        coalesced: Answered by what another request's run of the origin brought.
        misses: Answered by the origin's own run, stored or not.
        passes: Never met the cache, by reason.
        runs: How long runs of the origin took, those in the background included.
        waits: How long requests waited for runs that others had begun.
        shadow: What would have become of requests that were only observed; each is a pass as well.
        audits: What audits of hits have found.
    """

    local: int = 0
    hits: Counter[int] = field(default_factory=Counter)
    stale: int = 0
    coalesced: int = 0
    misses: int = 0
    passes: Counter[str] = field(default_factory=Counter)
    runs: Histogram = field(default_factory=Histogram)
    waits: Histogram = field(default_factory=Histogram)
    shadow: Counter[str] = field(default_factory=Counter)
    audits: Counter[str] = field(default_factory=Counter)

    def hit(self, level: int) -> None:
        """A fresh entry of the tier at this level was the answer."""
        if level == 1:
            self.local += 1
        else:
            self.hits[level] += 1

    def count(self, outcome: Outcome) -> None:
        """Count a request or call that no fresh entry answered."""
        if outcome is Outcome.STALE:
            self.stale += 1
        elif outcome is Outcome.COALESCED:
            self.coalesced += 1
        elif outcome is Outcome.VALIDATED:
            self.local += 1
        else:
            self.misses += 1

    def passed(self, reason: str) -> None:
        """The origin answered past the cache, for this reason."""
        self.passes[reason] += 1

    def reading(self) -> "RouteStats":
        """A frozen copy."""
        hits = {1: self.local, **self.hits} if self.local else dict(self.hits)
        return RouteStats(
            hits=hits,
            stale=self.stale,
            coalesced=self.coalesced,
            misses=self.misses,
            passes=dict(self.passes),
            runs=self.runs.reading(),
            waits=self.waits.reading(),
            audits=dict(self.audits),
        )


NOT_COUNTED: Final = Tally()
"""In place of a route's, for requests that are no traffic of the application: those to the
applications of this package. No statistics show it."""


@dataclass(frozen=True, slots=True)
class RouteStats:
    """Outcomes of the requests of one route.

    Attributes:
        hits: Answered by a fresh entry, by the level of the tier that had it.
        stale: Answered by an entry past its lifetime.
        coalesced: Answered by what another request's run of the origin brought.
        misses: Answered by a run of the origin of their own.
        passes: Passed by the cache, by reason.
        runs: How long runs of the origin took, those in the background included.
        waits: How long requests waited for runs that others had begun.
        audits: What audits of hits have found (`audit=`): `"right"`, `"wrong"`, `"inconclusive"`.
    """

    hits: Mapping[int, int] = field(default_factory=dict)
    stale: int = 0
    coalesced: int = 0
    misses: int = 0
    passes: Mapping[str, int] = field(default_factory=dict)
    runs: Durations = field(default_factory=Durations)
    waits: Durations = field(default_factory=Durations)
    audits: Mapping[str, int] = field(default_factory=dict)

    @property
    def total_hits(self) -> int:
        """Fresh answers from any tier."""
        return sum(self.hits.values())

    @property
    def requests(self) -> int:
        """All requests: the sum of every outcome."""
        return (
            self.total_hits + self.stale + self.coalesced + self.misses + sum(self.passes.values())
        )

    @property
    def hit_ratio(self) -> float:
        """Share of requests that needed no run of the origin, 0 to 1; passes are left out."""
        served = self.total_hits + self.stale + self.coalesced
        return served / (served + self.misses) if served + self.misses else 0.0


@dataclass(frozen=True, slots=True)
class TierStats:
    """One tier.

    Attributes:
        level: Its place; 1 is asked first.
        name: Its back end's name.
        hits: Requests that it answered.
        promotions: Entries copied from it into the tiers above.
        writes: Entries written to it, promoted ones included.
        failures: Failed operations, by kind (`"get"`, `"set"`, `"delete"` ...).
        unreadable: Entries found in it that could not be used, by reason.
        entries: Entries held; None where the back end cannot tell.
        size: Bytes accounted for; None where the back end cannot tell.
        evictions: Entries dropped, by cause; empty where the back end cannot tell.
        operations: How long its operations took, failed ones included, by kind; empty for the first
            tier, which is memory.
    """

    level: int
    name: str
    hits: int
    promotions: int
    writes: int
    failures: Mapping[str, int]
    unreadable: Mapping[str, int]
    entries: int | None
    size: int | None
    evictions: Mapping[str, int]
    operations: Mapping[str, Durations] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompressionStats:
    """Responses that were compressed for clients (`compress=`).

    Attributes:
        made: Encoded contents that were made and kept, by coding.
        skipped: How often none was made, by reason: `"small"`, `"content"` (a media type that does
            not compress, or a response that must not be changed), `"incompressible"` (it saves less
            than a tenth), `"busy"` (the queue is full), `"not-held"` (not in the first tier),
            `"left"` (it left that while it was compressed), `"tier"` (that cannot account for it).
        saved: Bytes by which all that was made is smaller than what it was made of.
    """

    made: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    saved: int = 0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """A reading of everything the cache counts.

    Attributes:
        routes: Outcomes by route; the manager's own calls stand under `"manager"`.
        total: The sum over all routes.
        tiers: One reading a tier, first tier first.
        fills: Runs of the origin that ended in a stored entry.
        refused: Runs of the origin that were not stored, by reason.
        unused: Stored responses that could not be used for a request, by reason.
        refreshes: Background runs (stale-while-revalidate, eager refresh).
        validations: Entries that `validator=` has found unchanged, and that live on for a new
            lifetime without a run of the origin.
        failures: Failures by kind: `"origin"`, `"coalesce-timeout"`, `"route-mismatch"` ...
        in_flight: Runs of the origin going on now.
        compression: What was compressed for clients.
        invalidations: Changes that dropped something, by route, and by what named it: `"url"` (the
            request's own, and those that its response names), `"route"` (`@invalidates`),
            `"failed"` (a callable of `@invalidates` raised, and everything was dropped). Calls of
            the manager stand under `"manager"`, as `"call"`, and as `"admin"` where its admin
            application makes them.
    """

    routes: Mapping[str, RouteStats]
    total: RouteStats
    tiers: tuple[TierStats, ...]
    fills: int
    refused: Mapping[str, int]
    unused: Mapping[str, int]
    refreshes: int
    failures: Mapping[str, int]
    in_flight: int
    validations: int = 0
    compression: CompressionStats = field(default_factory=CompressionStats)
    invalidations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """All requests and calls."""
        return self.total.requests

    @property
    def l1_hits(self) -> int:
        """Answered by the first tier."""
        return self.total.hits.get(1, 0)

    @property
    def l2_hits(self) -> int:
        """Answered by the second tier."""
        return self.total.hits.get(2, 0)

    @property
    def misses(self) -> int:
        """Answered by a run of the origin of their own."""
        return self.total.misses

    @property
    def promotions(self) -> int:
        """Entries copied into upper tiers."""
        return sum(tier.promotions for tier in self.tiers)

    @property
    def hit_ratio(self) -> float:
        """See `RouteStats.hit_ratio`."""
        return self.total.hit_ratio
