"""The load with the cache and without it."""

from collections.abc import Iterable
from typing import Any

import pytest

from demo_app.fleet import load as loads
from demo_app.fleet.fleet import Fleet
from demo_app.fleet.load import Outcome, compare, locust, table
from tests.demo.backwards import backwards_server
from tests.demo.support import ask

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

RESULT = {"requests": 1000, "mean": 12.4, "p50": 2, "p99": 151.2, "failures": 0, "stale": 0}
TIERS = {"l1": 900, "l2": 50, "coalesced": 20, "source": 30}


def test_table_has_both_loads() -> None:
    """Hit ratio and runs of the application side by side; complaints below."""
    cached = Outcome(0, 33, {**RESULT, "tiers": TIERS})
    bare = Outcome(1, 1000, {**RESULT, "mean": 151.0, "tiers": {"other": 1000}, "stale": 1})
    bare.result["complaints"] = ["stale: /products/7 shows 7 v1 after v2"]

    assert table(cached, bare) == [
        "                            with the cache     without",
        "requests                             1,000       1,000",
        "hit ratio                           95.0 %       0.0 %",
        "runs of the application                 33       1,000",
        "  for 1,000 requests                    33       1,000",
        "mean time                            12 ms      151 ms",
        "p50                                   2 ms        2 ms",
        "p99                                 151 ms      151 ms",
        "failures                                 0           0",
        "stale responses                          0           1",
        "stale: /products/7 shows 7 v1 after v2",
    ]


def test_table_of_a_load_that_did_not_begin() -> None:
    """Zeros, and no error of its own."""
    assert "requests                                 0           0" in table(
        Outcome(1, 0, {}), Outcome(1, 0, {})
    )


def test_same_load_is_put_on_with_the_cache_and_without(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The caches are switched off between both, and on again in the end."""

    def five_requests(addresses: Iterable[str], seconds: int) -> tuple[int, dict[str, Any]]:
        for address in addresses:
            for _ in range(5):
                ask(f"{address}/categories").raise_for_status()
        return 0, {**RESULT, "requests": 10, "tiers": {"l1": 10}}

    for address in fleet.addresses:
        ask(f"{address}/categories")
    monkeypatch.setattr(loads, "locust", five_requests)
    code = compare(fleet, 1)
    runs = [line for line in capsys.readouterr().out.splitlines() if line.startswith("runs of")]
    again = ask(f"{fleet.addresses[0]}/categories").headers["cache-status"]

    assert code == 0
    assert runs == ["runs of the application                  0          10"]
    assert "; hit;" in again


def test_locust_counts_and_finds_nothing_wrong(fleet: Fleet) -> None:
    """Two seconds of reads and edits of two instances."""
    code, result = locust(fleet.addresses, 2)

    assert (code, result["failures"], result["stale"]) == (0, 0, 0)
    assert result["requests"] > 0
    assert result["tiers"]["l1"] > 0


def test_locust_fails_where_versions_go_backwards(capsys: pytest.CaptureFixture[str]) -> None:
    """A server whose versions decrease is detected, and locust's own tables are shown."""
    with backwards_server() as address:
        code, result = locust((address,), 4)

    assert code == 1
    assert result["stale"] > 0
    assert "stale responses" in capsys.readouterr().out
