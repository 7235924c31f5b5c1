"""Every counter and every log line, by name.

Log lines are written where a state changes, never per request; per request there are counters only.
The text of an exception comes from an application or a server: control characters in it are
escaped, so that it is taken neither for other log lines nor for commands to a terminal.
The words of `Outcome` are the words of the statistics, of `Cache-Status` and of the docs.

Every request that meets the cache ends in exactly one outcome, so for each route and in total
`hits + stale + coalesced + misses + passes == requests`.
"""

import logging
import re
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

logger = logging.getLogger("asgi_multitier")

MAX_LINE = 4_000
"""Characters of one message, and of one exception's text, that are written."""

_MAX_CHAIN = 8
"""Exceptions of a chain that are written."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class _Plain(logging.Filter):
    """Escapes what is not printable in every line of this package's logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        plain = _escaped(message)
        if plain != message:
            record.msg, record.args = plain, ()
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = _traceback(record.exc_info[1])
        return True


def _escaped(text: str) -> str:
    """The text in one line, without control characters, and not too long."""
    if len(text) > MAX_LINE:
        text = f"{text[:MAX_LINE]}..."
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _traceback(error: BaseException) -> str:
    """The exception with its chain, first cause first, as Python shows it."""
    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) < _MAX_CHAIN:
        frames = "".join(traceback.format_tb(seen.__traceback__))
        parts.append(f"{frames}{type(seen).__qualname__}: {_escaped(str(seen))}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n\nThen:\n\n".join(reversed(parts))


logger.addFilter(_Plain())


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


class Tally:
    """The outcomes of one route's requests, or of a manager's own calls.

    Attributes:
        hits: Answered by a fresh entry, by tier level; level 1 is counted apart in `local`.
        local: Answered by the local tier.
        stale: Answered by an entry past its lifetime.
        coalesced: Answered by what another request's run of the origin brought.
        misses: Answered by the origin's own run, stored or not.
        passes: Never met the cache, by reason.
    """

    __slots__ = ("coalesced", "hits", "local", "misses", "passes", "stale")

    def __init__(self) -> None:
        self.local = 0
        self.hits: Counter[int] = Counter()
        self.stale = 0
        self.coalesced = 0
        self.misses = 0
        self.passes: Counter[str] = Counter()

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
        )


@dataclass(frozen=True, slots=True)
class RouteStats:
    """Outcomes of the requests of one route.

    Attributes:
        hits: Answered by a fresh entry, by the level of the tier that had it.
        stale: Answered by an entry past its lifetime.
        coalesced: Answered by what another request's run of the origin brought.
        misses: Answered by a run of the origin of their own.
        passes: Passed by the cache, by reason.
    """

    hits: Mapping[int, int] = field(default_factory=dict)
    stale: int = 0
    coalesced: int = 0
    misses: int = 0
    passes: Mapping[str, int] = field(default_factory=dict)

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
        writes: Entries written to it.
        failures: Failed operations, by kind (`"get"`, `"set"`, `"delete"` ...).
        unreadable: Entries found in it that could not be used, by reason.
        entries: Entries held; None where the back end cannot tell.
        size: Bytes accounted for; None where the back end cannot tell.
        evictions: Entries dropped, by cause; empty where the back end cannot tell.
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
        failures: Failures by kind: `"origin"`, `"coalesce-timeout"`, `"route-mismatch"` ...
        in_flight: Runs of the origin going on now.
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


MANAGER = "manager"
UNROUTED = "-"
MAX_ROUTES = 2_000
"""Routes counted apart; further ones are counted together under `"-"`."""


class Events:
    """The counters and log lines of one cache."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self.fills = 0
        self.refreshes = 0
        self.refused: Counter[str] = Counter()
        self.unused: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def tally(self, route: str) -> Tally:
        """The counters of a route; the callers that need them often keep it."""
        tally = self._tallies.get(route)
        if tally is None:
            if len(self._tallies) >= MAX_ROUTES:
                route = UNROUTED
            tally = self._tallies.setdefault(route, Tally())
        return tally

    def routes(self) -> dict[str, RouteStats]:
        """A frozen reading by route."""
        return {route: tally.reading() for route, tally in self._tallies.items()}

    def total(self) -> RouteStats:
        """The sum over all routes."""
        hits: Counter[int] = Counter()
        passes: Counter[str] = Counter()
        stale = coalesced = misses = 0
        for reading in self.routes().values():
            hits.update(reading.hits)
            passes.update(reading.passes)
            stale += reading.stale
            coalesced += reading.coalesced
            misses += reading.misses
        return RouteStats(dict(hits), stale, coalesced, misses, dict(passes))

    # Log lines: one for each change of state.

    def tier_suspended(self, name: str, operation: str, error: str) -> None:
        """A circuit breaker opened: a tier, or one of its servers, fails at something."""
        logger.warning(
            "tier %s: circuit breaker open, %s fails: %s; skipped until it answers again",
            name,
            operation,
            error,
        )

    def tier_resumed(self, name: str) -> None:
        """All operations that failed succeed again."""
        logger.warning("tier %s answers again", name)

    def not_closed(self, name: str, error: Exception) -> None:
        """A tier's back end could not be released."""
        logger.warning("tier %s could not be closed: %s: %s", name, type(error).__name__, error)

    def routes_unreadable(self, application: str) -> None:
        """The application has routes of a kind that the cache does not know."""
        logger.warning(
            "the routes of %s are of an unknown kind: marks such as @cached have no effect there; "
            "write rules=[Rule('/path/*', 60)] for routes to cache, and Rule('/path/*', None) for "
            "routes that check the user",
            application,
        )

    def marks_stray(self, names: Sequence[str]) -> None:
        """Endpoints are marked that no route of the application has."""
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        logger.warning(
            "marks such as @cached do nothing on %s%s: no route of this application carries them; "
            "mark the endpoint itself, include its router, write functools.wraps into the "
            "decorators above it, or use CacheManager.cached for functions that are no endpoints",
            ", ".join(names[:10]),
            more,
        )

    def within_another(self, manager: object, outer: object) -> None:
        """A cache with another manager stands around this one."""
        logger.warning(
            "a CacheMiddleware with %r stands within one with %r: an invalidation by hand in one "
            "does not reach the other; give both the same manager, CacheMiddleware(app, manager) "
            "or add_middleware(CacheMiddleware, cache=manager)",
            manager,
            outer,
        )

    def route_mismatch(self, predicted: str, chosen: object, *, said: bool) -> None:
        """The router chose another endpoint than the route table predicted.

        That may happen at each request, so it is logged only if `said`.
        """
        self.failures["route-mismatch"] += 1
        if said:
            logger.warning(
                "route table was out of date: predicted %s but the router chose %r; rebuilding it "
                "(%d times so far)",
                predicted or "no route",
                chosen,
                self.failures["route-mismatch"],
            )

    def endpoint_unseen(self, method: str) -> None:
        """An endpoint that no route shows answered an unsafe request; logged once."""
        self.failures["endpoint-unseen"] += 1
        if self.failures["endpoint-unseen"] == 1:
            logger.warning(
                "a %s was answered by an endpoint that the route table does not show, so what its "
                "@invalidates names is not dropped: if a layer inside the cache changes the path, "
                "put that layer around the cache (add it after CacheMiddleware)",
                method,
            )

    def callback_failed(self, what: str, error: Exception) -> None:
        """A callable of a rule raised, which it may do at each request.

        One line the first time, and whenever the number has doubled since the last one.
        """
        self.failures[what] += 1
        count = self.failures[what]
        if count & (count - 1) == 0:
            kind, text = type(error).__name__, str(error)[:200]
            logger.warning("%s raised %s: %r (%d times so far)", what, kind, text, count)

    def refresh_failed(self, route: str, why: str) -> None:
        """A background run of the origin failed; the entry in place stays until it ends."""
        self.failures["refresh"] += 1
        logger.warning(
            "background refresh of %s failed: %s; the stored copy stays until its lifetime ends",
            route,
            why,
        )

    def stood_in(self, route: str, error: BaseException | None) -> None:
        """A stale entry was served because the origin failed.

        Args:
            route: The route or key.
            error: What it raised, which is reported nowhere else; None if it answered 5xx.
        """
        self.failures["origin"] += 1
        if error is not None:
            logger.error("origin of %s failed; a stale copy was served", route, exc_info=error)

    def start_failed(self, error: BaseException) -> None:
        """The log could not be followed at all."""
        self.failures["start"] += 1
        logger.error("the invalidation log could not be started", exc_info=error)

    def broken(self, where: str, error: BaseException) -> None:
        """The cache itself broke; the application answers alone."""
        self.failures["internal"] += 1
        logger.error("the cache broke in %s; the application answers alone", where, exc_info=error)
