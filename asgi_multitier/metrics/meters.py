"""What can be measured of a cache: one table, which every reader of figures reads.

A meter reads live counters and copies none. Its labels take few values: routes, of which 2,000 are
counted apart, and the words of the statistics. No key, path, tag, user or text of an error is a
label.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from ..coherence.log import InvalidationStats
from ..engine.engine import Engine
from ..engine.flights import waiting_in
from ..engine.sampling import Shapes
from ..events import Durations, Histogram, Tally, Verdict
from ..tiers.memory import MemoryTier

PREFIX = "asgi_multitier_"

Labels: TypeAlias = tuple[str, ...]
Value: TypeAlias = "float | Histogram | Durations"
Samples: TypeAlias = Iterable[tuple[Labels, Value]]
Kind: TypeAlias = Literal["counter", "gauge", "histogram"]


class Meter(NamedTuple):
    """One thing that is measured.

    Attributes:
        name: As Prometheus has it, without the prefix; counters end in `_total`, and units are in
            it.
        kind: A counter only rises, until its process ends; a gauge goes up and down.
        help: What it is, in a sentence.
        labels: Names of its labels.
        read: Its samples: the labels' values, and the value.
    """

    name: str
    kind: Kind
    help: str
    labels: Labels
    read: Callable[[Engine], Samples]


# Routes.


def _of_tallies(read: Callable[[Tally], Iterable[tuple[Labels, Value]]]) -> Any:
    def samples(engine: Engine) -> Iterator[tuple[Labels, Value]]:
        for route, tally in list(engine.events.tallies.items()):
            for labels, value in read(tally):
                yield (route, *labels), value

    return samples


def _outcomes(tally: Tally) -> Iterator[tuple[Labels, Value]]:
    yield ("hit", "1"), tally.local
    for level, count in list(tally.hits.items()):
        yield ("hit", str(level)), count
    yield ("stale", ""), tally.stale
    yield ("coalesced", ""), tally.coalesced
    yield ("miss", ""), tally.misses
    yield ("pass", ""), sum(list(tally.passes.values()))


def _passes(tally: Tally) -> Iterator[tuple[Labels, Value]]:
    for reason, count in list(tally.passes.items()):
        yield (str(reason),), count


def _audits(tally: Tally) -> Iterator[tuple[Labels, Value]]:
    if tally.audits:
        for verdict in Verdict:
            yield (verdict.value,), tally.audits[verdict.value]


def _runs(tally: Tally) -> Iterator[tuple[Labels, Value]]:
    if any(tally.runs.counts):
        yield (), tally.runs


def _waits(tally: Tally) -> Iterator[tuple[Labels, Value]]:
    if any(tally.waits.counts):
        yield (), tally.waits


def _shadow(tally: Tally) -> Iterator[tuple[Labels, Value]]:
    for outcome, count in list(tally.shadow.items()):
        yield (str(outcome),), count


def _seen(read: Callable[[Shapes], Histogram]) -> Any:
    """What hits are like, of those that were looked at."""

    def samples(engine: Engine) -> Iterator[tuple[Labels, Value]]:
        for route, shapes in list(engine.sampler.shapes.items()):
            yield (route,), read(shapes)

    return samples


def _invalidations(engine: Engine) -> Iterator[tuple[Labels, Value]]:
    for route, counts in engine.events.invalidations().items():
        for by, count in counts.items():
            yield (route, by), count


# The whole cache.


def _counted(counts: Mapping[Any, int]) -> Samples:
    """Counts by a word."""
    return [((str(word),), count) for word, count in list(counts.items())]


def _one(value: float) -> Samples:
    return [((), value)]


def _known(value: float | None) -> Samples:
    return [] if value is None else _one(value)


# Tiers.


def _hits(engine: Engine) -> Iterator[tuple[Labels, Value]]:
    """By the level of the tier: counted by route, where they are answered."""
    levels = {placed.config.level: 0 for placed in engine.stack.shared}
    for level, count in ({1: 0} | levels | engine.events.hits()).items():
        yield (str(level),), count


def _tiers(read: Callable[[Any], Iterable[tuple[Labels, Value]]]) -> Any:
    def samples(engine: Engine) -> Iterator[tuple[Labels, Value]]:
        for tier in engine.stack.statistics({}):  # hits are summed up apart
            for labels, value in read(tier):
                yield (str(tier.level), *labels), value

    return samples


def _limits(engine: Engine) -> Iterator[tuple[Labels, Value]]:
    local = engine.stack.local
    if isinstance(local, MemoryTier):
        yield ("1",), local.statistics().max_bytes


def _most_entries(engine: Engine) -> Iterator[tuple[Labels, Value]]:
    local = engine.stack.local
    if isinstance(local, MemoryTier):
        yield ("1",), local.statistics().max_entries


def _refused_by_first(engine: Engine) -> Iterator[tuple[Labels, Value]]:
    local = engine.stack.local
    if isinstance(local, MemoryTier):
        yield ("1",), local.statistics().refused


def _circuits(engine: Engine) -> Iterator[tuple[Labels, Value]]:
    now = engine.clock()
    for placed in engine.stack.shared:
        state = placed.state(now).value
        yield (str(placed.config.level),), ("closed", "half-open", "open").index(state)


# The log.


def _log(read: Callable[[InvalidationStats], Samples]) -> Any:
    return lambda engine: read(engine.log.stats())


_ROUTE = ("route",)
_TIER = ("tier",)

METERS: tuple[Meter, ...] = (
    Meter(
        "requests_total",
        "counter",
        "Requests and calls by how they were answered; `tier` is that of a hit.",
        ("route", "outcome", "tier"),
        _of_tallies(_outcomes),
    ),
    Meter(
        "passes_total",
        "counter",
        "Requests that did not meet the cache, by reason.",
        ("route", "reason"),
        _of_tallies(_passes),
    ),
    Meter(
        "run_duration_seconds",
        "histogram",
        "Runs of the application for the cache, those in the background included.",
        _ROUTE,
        _of_tallies(_runs),
    ),
    Meter(
        "wait_duration_seconds",
        "histogram",
        "How long requests waited for a run that another one had begun.",
        _ROUTE,
        _of_tallies(_waits),
    ),
    Meter(
        "hit_age_seconds",
        "histogram",
        "Age of what answered a hit, of about ten hits a second.",
        _ROUTE,
        _seen(lambda shapes: shapes.ages),
    ),
    Meter(
        "hit_ttl_seconds",
        "histogram",
        "How long what answered a hit was still fresh, of about ten hits a second.",
        _ROUTE,
        _seen(lambda shapes: shapes.left),
    ),
    Meter(
        "hit_size_bytes",
        "histogram",
        "Bytes of the content that answered a hit, of about ten hits a second.",
        _ROUTE,
        _seen(lambda shapes: shapes.sizes),
    ),
    Meter(
        "shadow_total",
        "counter",
        "Requests that were only observed (shadow), by what the cache would have done.",
        ("route", "outcome"),
        _of_tallies(_shadow),
    ),
    Meter(
        "audits_total",
        "counter",
        "Hits that were compared with what the application answers, by what that has shown.",
        ("route", "verdict"),
        _of_tallies(_audits),
    ),
    Meter(
        "audits_skipped_total",
        "counter",
        "Hits that were due to be audited when the application had no runs left for that.",
        (),
        lambda engine: _one(engine.audits.skipped),
    ),
    Meter(
        "invalidations_total",
        "counter",
        "Changes that dropped something, by what named it.",
        ("route", "by"),
        _invalidations,
    ),
    Meter(
        "fills_total",
        "counter",
        "Runs of the application that ended in a stored entry.",
        (),
        lambda engine: _one(engine.events.fills),
    ),
    Meter(
        "refreshes_total",
        "counter",
        "Runs of the application in the background.",
        (),
        lambda engine: _one(engine.events.refreshes),
    ),
    Meter(
        "validations_total",
        "counter",
        "Entries that a validator has found unchanged.",
        (),
        lambda engine: _one(engine.events.validations),
    ),
    Meter(
        "refused_total",
        "counter",
        "Runs of the application that were not stored, by reason.",
        ("reason",),
        lambda engine: _counted(engine.events.refused),
    ),
    Meter(
        "unused_total",
        "counter",
        "Stored responses that could not be used for a request, by reason.",
        ("reason",),
        lambda engine: _counted(engine.events.unused),
    ),
    Meter(
        "failures_total",
        "counter",
        "Failures, by kind.",
        ("kind",),
        lambda engine: _counted(engine.events.failures),
    ),
    Meter(
        "runs_in_flight",
        "gauge",
        "Runs of the application going on.",
        (),
        lambda engine: _one(engine.flights.running),
    ),
    Meter(
        "requests_waiting",
        "gauge",
        "Requests and calls that wait for a run that another one has begun.",
        (),
        lambda engine: _one(waiting_in(engine.flights)),
    ),
    Meter(
        "encoded_total",
        "counter",
        "Contents compressed for clients, by coding.",
        ("coding",),
        lambda engine: _counted(engine.events.encoded),
    ),
    Meter(
        "not_encoded_total",
        "counter",
        "Contents that were not compressed, by reason.",
        ("reason",),
        lambda engine: _counted(engine.events.not_encoded),
    ),
    Meter(
        "encoded_saved_bytes_total",
        "counter",
        "Bytes by which compressed contents are smaller.",
        (),
        lambda engine: _one(engine.events.encoded_saved),
    ),
    Meter(
        "tier_hits_total",
        "counter",
        "Requests that a tier answered.",
        _TIER,
        _hits,
    ),
    Meter(
        "tier_writes_total",
        "counter",
        "Entries written to a tier.",
        _TIER,
        _tiers(lambda tier: [((), tier.writes)]),
    ),
    Meter(
        "tier_promotions_total",
        "counter",
        "Entries copied from a tier into those above.",
        _TIER,
        _tiers(lambda tier: [((), tier.promotions)]),
    ),
    Meter(
        "tier_failures_total",
        "counter",
        "Operations of a tier that failed.",
        ("tier", "operation"),
        _tiers(lambda tier: _counted(tier.failures)),
    ),
    Meter(
        "tier_unreadable_total",
        "counter",
        "Entries of a tier that could not be used, by reason.",
        ("tier", "reason"),
        _tiers(lambda tier: _counted(tier.unreadable)),
    ),
    Meter(
        "tier_operation_duration_seconds",
        "histogram",
        "Round trips to a tier.",
        ("tier", "operation"),
        _tiers(lambda tier: [((kind,), took) for kind, took in tier.operations.items()]),
    ),
    Meter(
        "tier_entries",
        "gauge",
        "Entries held by a tier that can tell.",
        _TIER,
        _tiers(lambda tier: [] if tier.entries is None else [((), tier.entries)]),
    ),
    Meter(
        "tier_bytes",
        "gauge",
        "Bytes accounted for by a tier that can tell.",
        _TIER,
        _tiers(lambda tier: [] if tier.size is None else [((), tier.size)]),
    ),
    Meter(
        "tier_limit_bytes",
        "gauge",
        "Bytes that a tier may hold.",
        _TIER,
        _limits,
    ),
    Meter(
        "tier_limit_entries",
        "gauge",
        "Entries that a tier may hold.",
        _TIER,
        _most_entries,
    ),
    Meter(
        "tier_evictions_total",
        "counter",
        "Entries that left a tier, by cause.",
        ("tier", "cause"),
        _tiers(lambda tier: _counted(tier.evictions)),
    ),
    Meter(
        "tier_refused_total",
        "counter",
        "Entries that the first tier did not take, because of their size.",
        _TIER,
        _refused_by_first,
    ),
    Meter(
        "tier_breaker_state",
        "gauge",
        "Circuit breaker of a tier: 0 closed, 1 half-open, 2 open.",
        _TIER,
        _circuits,
    ),
    Meter(
        "log_records_total",
        "counter",
        "Operations written to the log, records applied, and of those this process's own.",
        ("direction",),
        _log(
            lambda log: [
                (("sent",), log.sent),
                (("received",), log.received),
                (("echoed",), log.echoed),
            ]
        ),
    ),
    Meter(
        "log_selectors_total",
        "counter",
        "What the records named, by kind.",
        ("kind",),
        _log(lambda log: _counted(log.applied)),
    ),
    Meter(
        "log_gaps_total",
        "counter",
        "How often history was missing or replaced.",
        (),
        _log(lambda log: _one(log.gaps)),
    ),
    Meter(
        "log_flushes_total",
        "counter",
        "How often all memory entries were dropped, by cause.",
        ("cause",),
        _log(lambda log: _counted(log.flush_causes)),
    ),
    Meter(
        "log_errors_total",
        "counter",
        "Records that could not be read or not be written at once, and audit entries not written.",
        ("kind",),
        _log(
            lambda log: [
                (("read",), log.processing_errors),
                (("send",), log.send_errors),
                (("audit",), log.audit_errors),
            ]
        ),
    ),
    Meter(
        "log_overflows_total",
        "counter",
        "How often so many selectors waited that they became one for everything.",
        (),
        _log(lambda log: _one(log.overflows)),
    ),
    Meter(
        "log_forgotten_total",
        "counter",
        "Selectors that there was no room for.",
        (),
        _log(lambda log: _one(log.forgotten)),
    ),
    Meter(
        "log_queued",
        "gauge",
        "Selectors that wait to be sent: changes that other processes have not been told.",
        (),
        _log(lambda log: _one(log.queued)),
    ),
    Meter(
        "log_trusted",
        "gauge",
        "1 while this process is up to date with the log.",
        (),
        _log(lambda log: _one(log.trusted)),
    ),
    Meter(
        "log_behind_records",
        "gauge",
        "Records of the log that this process has not applied, where it follows one.",
        (),
        _log(lambda log: _known(log.behind)),
    ),
    Meter(
        "log_unheard_seconds",
        "gauge",
        "Seconds since this process was up to date with the log, where it follows one.",
        (),
        _log(lambda log: _known(log.unheard)),
    ),
    Meter(
        "log_lag_seconds",
        "histogram",
        "From sending a record, by this process or another, to applying it here.",
        ("source",),
        _log(lambda log: [((source,), took) for source, took in log.lags.items()]),
    ),
    Meter(
        "log_commit_duration_seconds",
        "histogram",
        "Writing a record to the log.",
        (),
        _log(lambda log: [((), log.commits)]),
    ),
    Meter(
        "log_index_selectors",
        "gauge",
        "Selectors that this process remembers, to decide which entries are valid.",
        (),
        _log(lambda log: _one(log.index_selectors)),
    ),
    Meter(
        "log_position",
        "gauge",
        "Number of the last record applied; it begins again with each generation of the log.",
        (),
        _log(lambda log: _one(log.seq)),
    ),
)
