"""The board and the rules are those of the table: what they name exists, and PromQL reads it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from asgi_multitier import CacheManager
from asgi_multitier.coherence.index import UNTRUSTED_AGE
from asgi_multitier.coherence.log import TRUST, FlushCause
from asgi_multitier.events import Verdict
from asgi_multitier.metrics import METERS, PREFIX
from asgi_multitier.metrics.text import INFO_LABELS
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.shadow.outcomes import WouldBe
from asgi_multitier.tiers.memory import Cause
from asgi_multitier.tiers.metadata import Unreadable
from dashboards import board, rules
from dashboards.__main__ import FILES

ROOT = Path(__file__).parents[2]
BOARD: Any = json.loads(board.written())
RULES: Any = yaml.safe_load(rules.written())["groups"][0]["rules"]

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on the PATH")

OUTSIDE = {"job", "instance", "worker"}
"""Labels that Prometheus adds, and that of several workers."""

LABELS = {PREFIX + meter.name: set(meter.labels) for meter in METERS}
LABELS |= {
    f"{PREFIX}{meter.name}_{part}": {*meter.labels, "le"}
    for meter in METERS
    for part in ("bucket", "sum", "count")
    if meter.kind == "histogram"
}
LABELS |= {f"{PREFIX}info": set(INFO_LABELS), f"{PREFIX}workers_unanswered": set()}

WORDS = {
    "outcome": {"hit", "stale", "coalesced", "miss", "pass", *WouldBe},
    "cause": {*get_args(Cause), *get_args(FlushCause)},
    "reason": {*Reason, *Unreadable},
    "kind": {"origin", "internal", "start", "coalesce-timeout"},
    "by": {"url", "route", "failed", "call"},
    "tier": {"1", "2"},
    "verdict": {verdict.value for verdict in Verdict},
}


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of both, with what it is of."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in BOARD["panels"]:
        for number, target in enumerate(panel.get("targets", ())):
            yield f"{panel['title']} {number}", target["expr"]
    for annotation in BOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]


EXPRESSIONS = [pytest.param(expression, id=name) for name, expression in expressions()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_are_what_is_made(path: Path) -> None:
    """`make dashboards` makes them again."""
    assert path.read_text() == FILES[path]()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_an_expression_names_exists(expression: str) -> None:
    """Figures, their labels, and the values of these."""
    names = set(re.findall(rf"{PREFIX}\w+", expression))
    assert names
    assert names <= set(LABELS)
    for name, inside in re.findall(rf"({PREFIX}\w+)\{{(.*?)\}}", expression):
        for label, values in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', inside):
            assert label in LABELS[name] | OUTSIDE, (name, label)
            known = WORDS.get(label)
            assert known is None or set(values.split("|")) <= known, (label, values)
    kept = set(re.findall(r"\w+", " ".join(re.findall(r"(?:by|on) \((.*?)\)", expression))))
    assert kept <= OUTSIDE | set().union(*(LABELS[name] for name in names))


def test_legends_and_messages_name_labels_that_are_kept() -> None:
    """Another one would be empty."""
    for panel in BOARD["panels"]:
        for target in panel.get("targets", ()):
            told = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert told <= _kept(target["expr"]), panel["title"]
    for rule in RULES:
        told = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert told <= _kept(rule["expr"]), rule["alert"]


def _kept(expression: str) -> set[str]:
    """Labels of what it gives."""
    if aggregated := re.findall(r"by \((.*?)\)", expression):
        return set(re.findall(r"\w+", " ".join(aggregated)))
    (name, *_) = re.findall(rf"{PREFIX}\w+", expression)
    return LABELS[name] | OUTSIDE


def test_panels_have_places_of_their_own() -> None:
    """None lies over another, or beyond the board."""
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(numbers) == len(set(numbers))


def test_rules_say_what_to_do() -> None:
    """And how urgent it is; each has a name of its own."""
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}
    for rule in RULES:
        assert rule["annotations"]["description"].endswith(".")
        assert not rule["annotations"]["summary"].endswith(".")
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_bounds_are_those_that_the_readme_promises() -> None:
    """How stale a response can be, where all is well and where the log hangs."""
    readme = (ROOT / "README.md").read_text()

    assert f"| other process, healthy | {rules.HEALTHY_LAG * 1000:g} ms (p99) |" in readme
    assert f"hangs | {TRUST + UNTRUSTED_AGE:g} s, then" in readme
    assert f"log_unheard_seconds > {TRUST:g}" in rules.written()


def told(*command: str, given: str = "") -> str:
    """What promtool says; it finds nothing wrong."""
    done = subprocess.run(["promtool", *command], input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@promtool
def test_prometheus_reads_all_expressions(tmp_path: Path) -> None:
    """Those of the board with its variables replaced."""
    given = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*", "$route": ".*"}
    recorded = []
    for number, (_, expression) in enumerate(expressions()):
        if expression.startswith("label_values"):
            continue
        for variable, value in given.items():
            expression = expression.replace(variable, value)
        recorded.append({"record": f"r:{number}", "expr": expression})
    file = tmp_path / "all.yml"
    file.write_text(json.dumps({"groups": [{"name": "all", "rules": recorded}]}))

    assert f"{len(recorded)} rules found" in told("check", "rules", str(file))


@promtool
async def test_prometheus_finds_nothing_to_say_of_the_text() -> None:
    """Names, units and help are as it wants them."""
    async with CacheManager(redis_url=None, namespace="n") as manager:
        manager.engine.events.tally('/a"\\{id}').runs.add(0.1)
        assert told("check", "metrics", given=manager.metrics.text()) == ""


FIRES: list[tuple[str, dict[str, str]]] = [
    ("CacheLogUntrusted", {"log_trusted": "0x60"}),
    ("CacheLogUnheard", {"log_unheard_seconds": "4x60"}),
    ("CacheLogBehind", {"log_behind_records": "2000x60"}),
    ("CacheChangesQueued", {"log_queued": "1x60"}),
    ("CacheFlushing", {'log_flushes_total{cause="gap"': "0+1x60"}),
    ("CacheInvalidatesFails", {'invalidations_total{by="failed",route="/a"': "0+1x60"}),
    ("CacheBroken", {'failures_total{kind="internal"': "0+1x60"}),
    ("CacheOriginFails", {'failures_total{kind="origin"': "0+1x60"}),
    ("CacheTierLeftOut", {'tier_breaker_state{tier="2"': "2x60"}),
    ("CacheEntriesUnreadable", {'tier_unreadable_total{tier="2",reason="mac"': "0+1x60"}),
    (
        "CachePassedByUsers",
        {
            'passes_total{route="/a",reason="cookie"': "0+60x60",
            'requests_total{route="/a",outcome="pass"': "0+60x60",
        },
    ),
    (
        "CacheMemoryTooSmall",
        {'tier_evictions_total{tier="1",cause="size"': "0+600x60", "fills_total": "0+600x60"},
    ),
    ("CacheRunsSlow", {'failures_total{kind="coalesce-timeout"': "0+60x60"}),
    (
        "CacheChangesLate",
        {
            'log_lag_seconds_bucket{source="other",le="0.05"': "0+1x60",
            'log_lag_seconds_bucket{source="other",le="0.1"': "0+100x60",
            'log_lag_seconds_bucket{source="other",le="+Inf"': "0+100x60",
        },
    ),
    (
        "CacheRouteNeverHits",
        {
            'requests_total{route="/a",outcome="hit"': "0x60",
            'requests_total{route="/a",outcome="miss"': "0+60x60",
        },
    ),
    ("CacheWrongHits", {'audits_total{route="/a",verdict="wrong"': "0+1x60"}),
    ("CacheWorkersSilent", {"workers_unanswered": "1x60"}),
]

QUIET = {
    "log_trusted": "1x60",
    "log_unheard_seconds": "0.5x60",
    "log_behind_records": "3x60",
    "log_queued": "0x60",
    'log_flushes_total{cause="start"': "0+1x60",
    'failures_total{kind="origin"': "5x60",
    'tier_breaker_state{tier="2"': "0x60",
    'requests_total{route="/a",outcome="hit",tier="1"': "0+600x60",
    'requests_total{route="/a",outcome="miss"': "0+60x60",
    "fills_total": "0+60x60",
    'audits_total{route="/a",verdict="right"': "0+60x60",
    'audits_total{route="/a",verdict="wrong"': "0x60",
    'audits_total{route="/a",verdict="inconclusive"': "0+1x60",
    "workers_unanswered": "0x60",
}


def _test_of(series: dict[str, str], alert: str, fires: bool) -> dict[str, Any]:
    """A test of Prometheus: whether an alert fires 50 minutes after this began."""
    given = []
    for name, values in series.items():
        labels = f"{name}," if "{" in name else f"{name}{{"
        given.append({"series": f'{PREFIX}{labels}job="shop",instance="web-1"}}', "values": values})
    # A query counts alerts, as their labels and texts are none of this test's concern.
    query = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    samples = [{"labels": "{}", "value": int(fires)}]
    return {
        "interval": "1m",
        "input_series": given,
        "promql_expr_test": [{"expr": query, "eval_time": "50m", "exp_samples": samples}],
    }


@promtool
def test_each_alert_fires_where_it_is_to_and_nowhere_else(tmp_path: Path) -> None:
    """Of a cache in trouble; of one that is well, none does."""
    fires = [_test_of(series, alert, True) for alert, series in FIRES]
    quiet = [_test_of(QUIET, rule["alert"], False) for rule in RULES]
    file = tmp_path / "tests.yml"
    alerts = ROOT / "dashboards" / "alerts.yml"
    file.write_text(json.dumps({"rule_files": [str(alerts)], "tests": fires + quiet}))

    assert "SUCCESS" in told("test", "rules", str(file))
    assert {alert for alert, _ in FIRES} == {rule["alert"] for rule in RULES} - {
        "CacheRatioDropped"  # it looks at two days
    }
