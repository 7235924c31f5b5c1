"""Alerts for Prometheus: what is wrong, what follows from it, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from asgi_multitier.coherence.index import UNTRUSTED_AGE
from asgi_multitier.coherence.log import TRUST
from asgi_multitier.metrics import PREFIX

from .expressions import SERVED, quantile, rate, ratio

HEALTHY_LAG = 0.01
"""Seconds after which another process has seen a change (p99), as the README has it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule.

    Attributes:
        name: Its name.
        when: The expression.
        lasting: For how long it has to be true, as Prometheus writes it; "" for not at all.
        severity: Whether somebody is called at once.
        summary: What is wrong, with the labels that the expression keeps.
        action: What follows from it, and what to do.
    """

    name: str
    when: str
    lasting: str
    severity: Literal["page", "ticket"]
    summary: str
    action: str


def _increase(name: str, matching: str, span: str, by: str = "job, instance") -> str:
    return f"sum by ({by}) (increase({PREFIX}{name}{{{matching}}}[{span}]))"


_TROUBLE = 'cause!="start"'
_FAILED = 'by="failed"'
_BROKEN = 'kind=~"internal|start"'
_ORIGIN = 'kind="origin"'
_USERS = 'reason=~"cookie|credentials|authorization"'
_WRONG = 'verdict="wrong"'
_FULL = 'tier="1",cause=~"size|count"'
_SLOW = 'kind="coalesce-timeout"'
_MISS = 'outcome="miss"'
_FOREIGN = 'reason=~"mac|magic|corrupt|checksum|namespace"'

_INSTANCE = "{{ $labels.instance }}"
_JOB = "{{ $labels.job }}"
_VALUE = "{{ $value | humanize }}"
_SHARE = "{{ $value | humanizePercentage }}"

ALERTS = (
    Alert(
        "CacheLogUntrusted",
        f"{PREFIX}log_trusted == 0",
        "30s",
        "page",
        f"{_INSTANCE} is not up to date with the invalidation log",
        f"It serves what it has filled in the last {UNTRUSTED_AGE:g} s at most, no shared tier. "
        "Look at the log's server: whether it answers, and lets this process read and write.",
    ),
    Alert(
        "CacheLogUnheard",
        f"{PREFIX}log_unheard_seconds > {TRUST:g}",
        "1m",
        "page",
        f"{_INSTANCE} was up to date with the invalidation log {_VALUE} s ago",
        f"Beyond {TRUST:g} s it may not know of changes that other processes have made. Look at "
        "the log's server, and at the process's own load.",
    ),
    Alert(
        "CacheLogBehind",
        f"{PREFIX}log_behind_records > 1000",
        "1m",
        "page",
        f"{_INSTANCE} has {_VALUE} records of the invalidation log to read",
        "It serves older copies until it has read them. Look at its load, and at what invalidates "
        "so much.",
    ),
    Alert(
        "CacheChangesLate",
        f"{quantile(0.99, 'log_lag_seconds')} > {5 * HEALTHY_LAG:g}",
        "10m",
        "ticket",
        f"changes reach the processes of {_JOB} after {_VALUE} s (p99)",
        f"It takes {HEALTHY_LAG * 1000:g} ms where all is well. Look at the log's server, the "
        "network, blocked event loops, and the clocks of the machines.",
    ),
    Alert(
        "CacheChangesQueued",
        f"{PREFIX}log_queued > 0",
        "2m",
        "page",
        f"{_INSTANCE} has {_VALUE} changes that other processes have not been told",
        "They serve older copies until the log can be written. Look at the log's server: memory, "
        "disk, permissions.",
    ),
    Alert(
        "CacheFlushing",
        f"{_increase('log_flushes_total', _TROUBLE, '10m')} > 3",
        "",
        "page",
        f"{_INSTANCE} has dropped everything in memory {_VALUE} times in 10 minutes",
        "Its cause is a label of asgi_multitier_log_flushes_total: records that were trimmed or "
        "evicted (gap), a log that was replaced, one that is unreadable.",
    ),
    Alert(
        "CacheInvalidatesFails",
        f"{_increase('invalidations_total', _FAILED, '10m', 'job, route')} > 0",
        "",
        "page",
        "a callable of @invalidates of {{ $labels.route }} fails",
        "Everything is dropped each time, as it is not known what has changed. The log of the "
        "process has the error.",
    ),
    Alert(
        "CacheBroken",
        f"{_increase('failures_total', _BROKEN, '5m')} > 0",
        "",
        "page",
        f"the cache of {_INSTANCE} broke",
        "The application answers alone. The log of the process has the error: please report it.",
    ),
    Alert(
        "CacheOriginFails",
        f"{_increase('failures_total', _ORIGIN, '5m')} > 0",
        "5m",
        "page",
        f"the application fails on {_INSTANCE}, and stale copies stand in",
        "Clients see errors when the copies end. Look at the application.",
    ),
    Alert(
        "CacheWrongHits",
        f"{_increase('audits_total', _WRONG, '1h', 'job, route')} > 0",
        "",
        "ticket",
        "clients of {{ $labels.route }} of {{ $labels.job }} get something else than the "
        "application answers",
        f"Audits have found {_VALUE} wrong hits in an hour; there are more among those that were "
        "not audited. The log of the process names the likely cause.",
    ),
    Alert(
        "CacheTierLeftOut",
        f"{PREFIX}tier_breaker_state == 2",
        "1m",
        "ticket",
        f"tier {{{{ $labels.tier }}}} does not answer {_INSTANCE}",
        "What is not in memory is a miss. Look at the tier's server.",
    ),
    Alert(
        "CacheEntriesUnreadable",
        rate("tier_unreadable_total", _FOREIGN, "job, reason") + " > 0",
        "5m",
        "ticket",
        f"{_JOB} finds entries that it cannot read: {{{{ $labels.reason }}}}",
        "Another program writes there, secrets differ, or the data are damaged.",
    ),
    Alert(
        "CacheRatioDropped",
        f"{ratio(span='10m')} < 0.5 * ({ratio(span='1d', ago='1h')})",
        "15m",
        "ticket",
        f"the hit ratio of {_JOB} is {_SHARE}, less than half of yesterday's",
        "Look at asgi_multitier_passes_total by reason, at invalidations, and at evictions.",
    ),
    Alert(
        "CachePassedByUsers",
        f"{rate('passes_total', _USERS)} / {rate('requests_total')} > 0.5",
        "15m",
        "ticket",
        f"{_SHARE} of the requests of {_JOB} pass by the cache, as they say who asks",
        "A proxy or a script may have begun to add cookies. See ignore_cookies=, cookies= and "
        "vary_by=.",
    ),
    Alert(
        "CacheMemoryTooSmall",
        f"{rate('tier_evictions_total', _FULL)} > 0.5 * {rate('fills_total')} > 1",
        "30m",
        "ticket",
        f"memory of {_JOB} evicts {_VALUE} entries a second to make room",
        "Raise l1_bytes or l1_entries, or cache less.",
    ),
    Alert(
        "CacheRunsSlow",
        f"{rate('failures_total', _SLOW)} > 0.1",
        "10m",
        "ticket",
        f"requests of {_JOB} wait for runs that take too long, {_VALUE} times a second",
        "Beyond coalesce_timeout the application runs once more. Look at its slow routes.",
    ),
    Alert(
        "CacheRouteNeverHits",
        f"{rate('requests_total', SERVED, 'job, route', '6h')} == 0 and"
        f" {rate('requests_total', _MISS, 'job, route', '6h')} > 0.03",
        "",
        "ticket",
        "{{ $labels.route }} of {{ $labels.job }} was cached for 6 hours without a hit",
        "Its key may have a part that is never the same, or it is dropped as often as it is asked "
        "for.",
    ),
    Alert(
        "CacheWorkersSilent",
        f"{PREFIX}workers_unanswered > 0",
        "5m",
        "ticket",
        f"{_VALUE} workers on the machine of {_INSTANCE} do not answer a scrape",
        "Their event loops are blocked, or they are stopped.",
    ),
)


def written() -> str:
    """All rules, as a file for `rule_files` of Prometheus."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Made by `make dashboards` of dashboards/rules.py."
    yield "groups:"
    yield "  - name: asgi-multitier"
    yield "    rules:"
    for alert in ALERTS:
        yield f"      - alert: {alert.name}"
        yield f"        expr: {_text(alert.when)}"
        if alert.lasting:
            yield f"        for: {alert.lasting}"
        yield "        labels:"
        yield f"          severity: {alert.severity}"
        yield "        annotations:"
        yield f"          summary: {_text(alert.summary)}"
        yield f"          description: {_text(alert.action)}"
    yield ""


def _text(text: str) -> str:
    """A text of YAML in single quotes, in which nothing but these is special."""
    return "'" + text.replace("'", "''") + "'"
