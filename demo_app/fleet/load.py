"""The same load with the cache and without it, and one table of both."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .fleet import Fleet
from .instance import ROOT

CLIENTS = 40
RATE = 4
"""Tasks a second of each client: the same with the cache and without it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one load.

    Attributes:
        code: Locust's exit code.
        runs: How often the application asked its source.
        result: What the locustfile has counted; empty if it did not get so far.
    """

    code: int
    runs: int
    result: dict[str, Any]


def compare(fleet: Fleet, seconds: int) -> int:
    """Put the same load on all instances twice, print one table, and return an exit code.

    Args:
        fleet: Running instances, with the cache on. They are left so.
        seconds: How long each of both loads lasts.

    Returns:
        0; 1 after a failed request or a stale response, with the cache or without.
    """
    print(f"Load for {seconds} s with the cache ...", flush=True)
    cached = load(fleet, seconds)
    print(f"The same without it, for {seconds} s ...", flush=True)
    switch(fleet, "off")
    try:
        bare = load(fleet, seconds)
    finally:
        switch(fleet, "on")
    print("", *table(cached, bare), sep="\n", flush=True)
    return max(cached.code, bare.code)


def load(fleet: Fleet, seconds: int) -> Outcome:
    """Run the locustfile against all instances once."""
    before = source_calls(fleet.addresses)
    code, result = locust(fleet.addresses, seconds)
    return Outcome(code, source_calls(fleet.addresses) - before, result)


def locust(addresses: Iterable[str], seconds: int) -> tuple[int, dict[str, Any]]:
    """Run the locustfile, without its own tables; its exit code, and what it has counted."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        written = Path(folder, "result.json")
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "locustfile.py"), "--headless"]
        command += ["--users", str(CLIENTS), "--spawn-rate", str(CLIENTS), "--rate", str(RATE)]
        # What is under way at the end is waited for: it has run the application too.
        command += ["--run-time", f"{seconds}s", "--stop-timeout", "5"]
        command += ["--only-summary", "--loglevel", "WARNING"]
        command += ["--instances", ",".join(addresses), "--result", str(written)]
        ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if ended.returncode:
            print(ended.stdout, ended.stderr, sep="\n")
        return ended.returncode, json.loads(written.read_text()) if written.exists() else {}


def switch(fleet: Fleet, mode: Literal["on", "off"]) -> None:
    """Switch the cache of all instances, as an operator does."""
    for address in fleet.addresses:
        request = urllib.request.Request(
            f"{address}/_cache/api/mode",
            json.dumps({"mode": mode}).encode(),
            {"content-type": "application/json", "authorization": f"Bearer {fleet.token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            response.read()


def source_calls(addresses: Iterable[str]) -> int:
    """How often the instances have asked their sources since they started, together."""
    total = 0
    for address in addresses:
        with urllib.request.urlopen(f"{address}/instance", timeout=30) as response:
            total += json.load(response)["total"]
    return total


def table(cached: Outcome, bare: Outcome) -> list[str]:
    """Both loads side by side, line by line; below them the first failures."""
    both = (cached, bare)
    rows: list[tuple[str, Sequence[str]]] = [
        ("requests", [f"{_of(one, 'requests'):,.0f}" for one in both]),
        ("hit ratio", [f"{_hits(one):.1f} %" for one in both]),
        ("runs of the application", [f"{one.runs:,}" for one in both]),
        ("  for 1,000 requests", [f"{_runs_for_1000(one):,.0f}" for one in both]),
        ("mean time", [f"{_of(one, 'mean'):.0f} ms" for one in both]),
        ("p50", [f"{_of(one, 'p50'):.0f} ms" for one in both]),
        ("p99", [f"{_of(one, 'p99'):.0f} ms" for one in both]),
        ("failures", [f"{_of(one, 'failures'):.0f}" for one in both]),
        ("stale responses", [f"{_of(one, 'stale'):.0f}" for one in both]),
    ]
    head = ("", ["with the cache", "without"])
    lines = [f"{name:<26}{left:>16}{right:>12}" for name, (left, right) in (head, *rows)]
    return [*lines, *(line for one in both for line in one.result.get("complaints", ()))]


def _of(outcome: Outcome, name: str) -> float:
    return float(outcome.result.get(name) or 0)


def _hits(outcome: Outcome) -> float:
    """The share of reads that a tier answered, in percent."""
    sources = outcome.result.get("tiers", {})
    hits: int = sources.get("l1", 0) + sources.get("l2", 0)
    total: int = sum(sources.values())
    return 100 * hits / max(1, total)


def _runs_for_1000(outcome: Outcome) -> float:
    return 1000 * outcome.runs / max(1.0, _of(outcome, "requests"))
