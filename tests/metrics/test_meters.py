"""The table of meters: it reads every counter, and its labels take few values."""

import re
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asgi_multitier import CacheManager
from asgi_multitier.coherence.log import InvalidationStats
from asgi_multitier.events import Tally, TierStats
from asgi_multitier.events.counters import Counters
from asgi_multitier.metrics import METERS, PREFIX, Meter

UNREAD = {
    "hits": "of a tier; they are summed up from the routes",
    "gen": "a random text: each would be a series of its own",
    "flushes": "the sum of those by cause",
    "lag_p50": "a quantile is computed of the histogram",
    "lag_p99": "the same",
    "level": "the label of all meters of tiers",
    "name": "of a tier; the level stands for it",
}
"""What no meter reads, and why."""


class Seen:
    """Stands in front of an object, and notes what is read of it."""

    def __init__(self, given: object, read: set[str]) -> None:
        self._given = given
        self._read = read

    def __getattr__(self, name: str) -> Any:
        self._read.add(name)
        return getattr(self._given, name)


def _read_by_meters(manager: CacheManager) -> dict[type, set[str]]:
    """The attributes that all meters together read, by kind."""
    read: dict[type, set[str]] = {
        kind: set() for kind in (Tally, Counters, TierStats, InvalidationStats)
    }
    engine = manager.engine
    counters = Seen(engine.events, read[Counters])
    counters.tallies = {"r": Seen(engine.events.tally("r"), read[Tally])}
    stats = engine.log.stats
    statistics = engine.stack.statistics
    stack = SimpleNamespace(
        local=engine.stack.local,
        shared=engine.stack.shared,
        statistics=lambda hits: [Seen(one, read[TierStats]) for one in statistics(hits)],
    )
    log = SimpleNamespace(stats=lambda: Seen(stats(), read[InvalidationStats]))
    seen: Any = SimpleNamespace(
        events=counters,
        stack=stack,
        log=log,
        flights=engine.flights,
        clock=engine.clock,
        sampler=engine.sampler,
        audits=engine.audits,
    )
    for meter in METERS:
        list(meter.read(seen))
    return read


async def test_every_counter_is_read_by_a_meter() -> None:
    """One that is added and shown nowhere is found here."""
    async with CacheManager(redis_url=None, namespace="n") as manager:
        read = _read_by_meters(manager)
        counted = {name for name in vars(manager.engine.events) if not name.startswith("_")}

    for kind in (Tally, TierStats, InvalidationStats):
        assert {one.name for one in fields(kind)} - read[kind] - set(UNREAD) == set(), kind
    assert counted - read[Counters] == {"live", "traces"}  # for those who watch: they count nothing


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.name)
def test_names_say_kind_and_unit(meter: Meter) -> None:
    """As Prometheus has them: a counter ends in `_total`, a histogram in its unit."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", meter.name)
    assert (meter.kind == "counter") == meter.name.endswith("_total")
    assert meter.kind != "histogram" or meter.name.endswith(("_seconds", "_bytes"))
    assert meter.help.endswith(".")
    assert "\n" not in meter.help
    assert set(meter.labels) <= {
        "route", "outcome", "tier", "reason", "by", "kind", "coding", "operation", "cause",
        "direction", "source", "verdict",
    }  # fmt: skip


def test_the_page_has_the_table() -> None:
    """Each meter, in this order."""
    page = Path(__file__).parents[2] / "docs" / "guides" / "metrics.md"
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", page.read_text(), re.MULTILINE
    )

    assert rows == [
        (
            PREFIX + meter.name,
            meter.kind,
            ", ".join(f"`{label}`" for label in meter.labels) or "-",
            meter.help,
        )
        for meter in METERS
    ]
