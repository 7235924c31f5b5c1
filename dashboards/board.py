"""A board for Grafana: is it worth it, which route, is it true, memory, the second tier, runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from asgi_multitier.metrics import PREFIX

from .expressions import SERVED, mean, quantile, rate, ratio

HERE = 'job=~"$job",instance=~"$instance"'
"""What the variables choose, of all figures."""

ROUTES = f'{HERE},route=~"$route"'
"""The same, of figures by route."""

_SPAN = "$__rate_interval"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24
_HEIGHT = 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: Its title.
        kind: Of Grafana's.
        targets: Expressions, with what each is called in the legend.
        unit: Of Grafana's.
        width: Of 24 columns.
        stacked: Whether the values are stacked.
    """

    title: str
    kind: str
    targets: tuple[tuple[str, str], ...]
    unit: str = "short"
    width: int = 8
    stacked: bool = False


def _rate(name: str, matching: str = "", by: str = "", *, routes: bool = False) -> str:
    chosen = ROUTES if routes else HERE
    return rate(name, f"{chosen},{matching}" if matching else chosen, by, _SPAN)


def _gauge(name: str, matching: str = "") -> str:
    return f"{PREFIX}{name}{{{HERE}{',' if matching else ''}{matching}}}"


def _quantile(share: float, name: str, by: str = "", *, routes: bool = False) -> str:
    return quantile(share, name, ROUTES if routes else HERE, by, _SPAN)


_SERVED = _rate("requests_total", SERVED, "route", routes=True)
_SAVED = f"sum({_SERVED} * on (route) {mean('run_duration_seconds', ROUTES, 'route', _SPAN)})"
_IN_USE = f"{_gauge('tier_bytes')} / {_gauge('tier_limit_bytes')}"
_WHICH = "{{instance}} {{worker}}"
_TRIPS = "tier_operation_duration_seconds"
_RATIO = ratio(ROUTES, "", _SPAN)

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Is it worth it",
        (
            Panel("Hit ratio", "stat", ((_RATIO, "ratio"),), "percentunit", 4),
            Panel(
                "Seconds of the application saved each second", "stat", ((_SAVED, "saved"),), "s", 5
            ),
            Panel(
                "Requests by outcome",
                "timeseries",
                ((_rate("requests_total", "", "outcome", routes=True), "{{outcome}}"),),
                "reqps",
                stacked=True,
            ),
            Panel(
                "Hits by tier",
                "timeseries",
                ((_rate("tier_hits_total", "", "tier"), "tier {{tier}}"),),
                "reqps",
                7,
                stacked=True,
            ),
        ),
    ),
    (
        "Which route",
        (
            Panel(
                "Requests",
                "timeseries",
                ((f"topk(10, {_rate('requests_total', '', 'route', routes=True)})", "{{route}}"),),
                "reqps",
            ),
            Panel(
                "Hit ratio",
                "timeseries",
                ((ratio(ROUTES, "route", _SPAN), "{{route}}"),),
                "percentunit",
            ),
            Panel(
                "Runs of the application, p95",
                "timeseries",
                ((_quantile(0.95, "run_duration_seconds", "route", routes=True), "{{route}}"),),
                "s",
            ),
            Panel(
                "Requests that pass by the cache",
                "timeseries",
                (
                    (
                        f"topk(10, {_rate('passes_total', '', 'route, reason', routes=True)})",
                        "{{route}} {{reason}}",
                    ),
                ),
                "reqps",
            ),
            Panel(
                "Runs that were not stored",
                "timeseries",
                ((_rate("refused_total", "", "reason"), "{{reason}}"),),
                "ops",
            ),
            Panel(
                "Changes that dropped something",
                "timeseries",
                ((_rate("invalidations_total", "", "route, by", routes=True), "{{route}} {{by}}"),),
                "ops",
            ),
        ),
    ),
    (
        "Is it true",
        (
            Panel(
                "Up to date with the log",
                "state-timeline",
                ((_gauge("log_trusted"), _WHICH),),
            ),
            Panel(
                "Records not read yet",
                "timeseries",
                ((_gauge("log_behind_records"), _WHICH),),
            ),
            Panel(
                "Seconds since it was up to date",
                "timeseries",
                ((_gauge("log_unheard_seconds"), _WHICH),),
                "s",
            ),
            Panel(
                "From a change to where it is applied",
                "timeseries",
                (
                    (_quantile(0.5, "log_lag_seconds", "source"), "p50 {{source}}"),
                    (_quantile(0.99, "log_lag_seconds", "source"), "p99 {{source}}"),
                ),
                "s",
            ),
            Panel(
                "Writing a record, p99",
                "timeseries",
                ((_quantile(0.99, "log_commit_duration_seconds"), "p99"),),
                "s",
                5,
            ),
            Panel(
                "Changes not sent yet",
                "timeseries",
                ((_gauge("log_queued"), _WHICH),),
                width=5,
            ),
            Panel(
                "Everything dropped",
                "timeseries",
                ((_rate("log_flushes_total", "", "cause"), "{{cause}}"),),
                "ops",
                6,
            ),
            Panel(
                "Observed in shadow mode",
                "timeseries",
                (
                    (
                        _rate("shadow_total", 'outcome="wrong"', "route", routes=True),
                        "wrong {{route}}",
                    ),
                    (_rate("shadow_total", "", "outcome", routes=True), "{{outcome}}"),
                ),
                "reqps",
                12,
            ),
            Panel(
                "Audits of hits",
                "timeseries",
                (
                    (
                        _rate("audits_total", 'verdict="wrong"', "route", routes=True),
                        "wrong {{route}}",
                    ),
                    (_rate("audits_total", "", "verdict", routes=True), "{{verdict}}"),
                    (_rate("audits_skipped_total"), "skipped"),
                ),
                "ops",
                12,
            ),
        ),
    ),
    (
        "Memory",
        (
            Panel(
                "Memory in use",
                "timeseries",
                (
                    (
                        f"{_gauge('tier_bytes')} / {_gauge('tier_limit_bytes')}",
                        _WHICH,
                    ),
                ),
                "percentunit",
                6,
            ),
            Panel(
                "Entries",
                "timeseries",
                ((_gauge("tier_entries"), "{{instance}} {{worker}} tier {{tier}}"),),
                width=6,
            ),
            Panel(
                "Entries that left",
                "timeseries",
                ((_rate("tier_evictions_total", 'tier="1"', "cause"), "{{cause}}"),),
                "ops",
                6,
            ),
            Panel(
                "Entries stored",
                "timeseries",
                ((_rate("fills_total"), "stored"), (_rate("refreshes_total"), "in the background")),
                "ops",
                6,
            ),
            Panel(
                "Age of hits",
                "timeseries",
                (
                    (_quantile(0.5, "hit_age_seconds", routes=True), "p50"),
                    (_quantile(0.95, "hit_age_seconds", routes=True), "p95"),
                ),
                "s",
            ),
            Panel(
                "Freshness left of hits",
                "timeseries",
                (
                    (_quantile(0.05, "hit_ttl_seconds", routes=True), "p5"),
                    (_quantile(0.5, "hit_ttl_seconds", routes=True), "p50"),
                ),
                "s",
            ),
            Panel(
                "Size of hits",
                "timeseries",
                (
                    (_quantile(0.5, "hit_size_bytes", routes=True), "p50"),
                    (_quantile(0.95, "hit_size_bytes", routes=True), "p95"),
                ),
                "bytes",
            ),
        ),
    ),
    (
        "Second tier",
        (
            Panel(
                "Round trips",
                "timeseries",
                (
                    (
                        _quantile(0.5, "tier_operation_duration_seconds", "operation"),
                        "p50 {{operation}}",
                    ),
                    (
                        _quantile(0.99, "tier_operation_duration_seconds", "operation"),
                        "p99 {{operation}}",
                    ),
                ),
                "s",
            ),
            Panel(
                "Failures",
                "timeseries",
                (
                    (_rate("tier_failures_total", "", "operation"), "{{operation}}"),
                    (_rate("tier_unreadable_total", "", "reason"), "unreadable: {{reason}}"),
                ),
                "ops",
            ),
            Panel(
                "Circuit breaker (0 closed, 1 half-open, 2 open)",
                "state-timeline",
                ((_gauge("tier_breaker_state"), "{{instance}} {{worker}} tier {{tier}}"),),
            ),
            Panel(
                "Written and promoted",
                "timeseries",
                (
                    (_rate("tier_writes_total", "", "tier"), "written to {{tier}}"),
                    (_rate("tier_promotions_total", "", "tier"), "promoted from {{tier}}"),
                ),
                "ops",
                24,
            ),
        ),
    ),
    (
        "Runs at the same time",
        (
            Panel(
                "Runs, and requests that wait for them",
                "timeseries",
                (
                    (f"sum({_gauge('runs_in_flight')})", "runs"),
                    (f"sum({_gauge('requests_waiting')})", "waiting"),
                ),
            ),
            Panel(
                "Waits, p95",
                "timeseries",
                ((_quantile(0.95, "wait_duration_seconds", "route", routes=True), "{{route}}"),),
                "s",
            ),
            Panel(
                "Failures",
                "timeseries",
                ((_rate("failures_total", "", "kind"), "{{kind}}"),),
                "ops",
            ),
        ),
    ),
)


def written() -> str:
    """The board, as a file to import."""
    return json.dumps(_board(), indent=1) + "\n"


def _board() -> dict[str, Any]:
    flushes = _rate("log_flushes_total", 'cause!="start"', "instance")
    return {
        "title": "asgi-multitier",
        "uid": "asgi-multitier",
        "description": "Made by `make dashboards` of dashboards/board.py.",
        "tags": ["asgi-multitier", "cache"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": list(_variables())},
        "annotations": {
            "list": [
                {
                    "name": "Everything dropped",
                    "datasource": _SOURCE,
                    "enable": True,
                    "iconColor": "red",
                    "expr": f"{flushes} > 0",
                    "titleFormat": "{{instance}} dropped everything",
                }
            ]
        },
        "panels": list(_panels()),
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "type": "datasource", "query": "prometheus"}
    chosen = ""
    for name, metric in (("job", "info"), ("instance", "info"), ("route", "requests_total")):
        yield {
            "name": name,
            "type": "query",
            "datasource": _SOURCE,
            "query": f"label_values({PREFIX}{metric}{{{chosen}}}, {name})",
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }
        chosen = f'{chosen}{"," if chosen else ""}{name}=~"${name}"'


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS:
        number += 1
        place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": title, "gridPos": place, "panels": []}
        top, left = top + 1, 0
        for panel in panels:
            if left + panel.width > _WIDTH:
                top, left = top + _HEIGHT, 0
            number += 1
            place = {"x": left, "y": top, "w": panel.width, "h": _HEIGHT}
            yield {"id": number, "gridPos": place, **_shown(panel)}
            left += panel.width
        top += _HEIGHT


def _shown(panel: Panel) -> dict[str, Any]:
    stacking = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if panel.stacked else {}
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": stacking}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": name,
            }
            for place, (expression, name) in enumerate(panel.targets)
        ],
    }
