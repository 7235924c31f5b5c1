"""What `doctor` makes of what it was told."""

from pathlib import Path
from typing import Any

import pytest

from asgi_multitier.cli.checkup import of_fleet, of_log, of_machine, of_server, of_tiers
from asgi_multitier.cli.figures import duration, size
from asgi_multitier.redis.examination import Examination
from tests.cli.test_commands import FLEET, INSTANCE, LOG

MASTER = Examination(
    "redis://cache:6379/0",
    latency=0.0004,
    version="8.0.1",
    policy="volatile-lru",
    used=100,
    limit=1000,
    role="master",
)


def server(**changes: Any) -> Examination:
    """A server that is well, but for this."""
    fields = {name: getattr(MASTER, name) for name in MASTER.__slots__}
    return Examination(**(fields | changes))


SERVERS = (
    ("well", {}, {"ok"}, "answers in 0 ms"),
    ("away", {"error": "no answer"}, {"fail"}, "no answer"),
    ("far", {"latency": 0.05}, {"ok", "warn"}, "answers in 50 ms"),
    ("refuses", {"refused": ("XADD s * f v",)}, {"ok", "fail"}, "may not run XADD"),
    ("replica", {"role": "slave"}, {"ok", "fail"}, "give the master"),
    ("without a limit", {"policy": "noeviction", "limit": 0}, {"ok"}, "without a limit"),
    ("may evict the log", {"policy": "allkeys-lru"}, {"ok"}, "the log may be evicted"),
    ("evicts", {"policy": "allkeys-lru", "used": 950}, {"ok", "warn"}, "950 B of 1000 B"),
    ("is full", {"policy": "noeviction", "used": 950}, {"ok", "warn"}, "not stored when it is"),
    ("tells nothing", {"version": "", "policy": "", "role": ""}, {"ok"}, "permissions are"),
)


@pytest.mark.parametrize(
    ("changes", "levels", "text"), [row[1:] for row in SERVERS], ids=[row[0] for row in SERVERS]
)
def test_of_a_server(changes: dict[str, Any], levels: set[str], text: str) -> None:
    """Each way to be ill."""
    checks = list(of_server(server(**changes)))

    assert {check.level for check in checks} == levels
    assert any(text in check.text for check in checks)


def finding(kind: str) -> dict[str, Any]:
    """A finding of this kind."""
    return {"kind": kind, "text": "found", "nodes": []}


FLEETS = (
    ("well", {}, ["ok"]),
    ("not complete", {"complete": False}, ["fail"]),
    ("empty", {"instances": []}, ["warn"]),
    ("slow", {"instances": [INSTANCE | {"lag": 2.0}]}, ["ok", "warn"]),
    ("releases", {"findings": [finding("releases")]}, ["ok", "warn"]),
    ("generations", {"findings": [finding("generations")]}, ["ok", "fail"]),
    ("silent", {"findings": [finding("silent")]}, ["ok", "fail"]),
    ("replaced", {"findings": [finding("replaced")]}, ["ok", "warn"]),
)


@pytest.mark.parametrize(
    ("changes", "levels"), [row[1:] for row in FLEETS], ids=[row[0] for row in FLEETS]
)
def test_of_all_instances(changes: dict[str, Any], levels: list[str]) -> None:
    """What nothing stale comes of is a warning."""
    checks = list(of_fleet(FLEET | changes))

    assert [check.level for check in checks] == levels
    assert ("one generation" in checks[0].text) is (
        checks[0].level == "ok" and "generations" not in str(changes)
    )


LOGS = (
    ({}, ["ok"]),
    ({"trusted": False}, ["fail"]),
    ({"queued": 1}, ["ok", "fail"]),
    ({"processing_errors": 1}, ["ok", "warn"]),
    ({"forgotten": 1}, ["ok", "warn"]),
    ({"overflows": 1}, ["ok", "warn"]),
)


@pytest.mark.parametrize(("changes", "levels"), LOGS)
def test_of_the_log(changes: dict[str, Any], levels: list[str]) -> None:
    """As the workers see it."""
    assert [check.level for check in of_log(LOG | changes)] == levels


def test_of_this_machine(tmp_path: Path) -> None:
    """Directories that others could write to are not used."""
    own, open_, file = tmp_path / "own", tmp_path / "open", tmp_path / "file"
    own.mkdir(0o700)
    open_.mkdir()
    open_.chmod(0o755)
    file.write_text("")
    (tmp_path / "link").symlink_to(own)
    places = (own, open_, file, tmp_path / "link", tmp_path / "none")
    checks = list(of_machine(places))

    assert [check.level for check in checks] == ["ok", "fail", "fail", "fail"]
    assert "open to other users" in checks[1].text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**50, "1024.0 TiB")],
)
def test_sizes(count: int | None, text: str) -> None:
    """With the unit that fits."""
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (0.0124, "12 ms"), (1.25, "1.2 s")])
def test_durations(seconds: float | None, text: str) -> None:
    """With the unit that fits."""
    assert duration(seconds) == text


NEVER = {"level": 2, "name": "redis", "hits": 0, "writes": 0, "failures": {"get": 3}}
TIERS = (
    ("never answered", NEVER, ["warn"]),
    ("has answered", NEVER | {"hits": 1}, []),
    ("has taken something", NEVER | {"writes": 1}, []),
    ("was not asked", NEVER | {"failures": {}}, []),
    ("memory", NEVER | {"level": 1}, []),
)


@pytest.mark.parametrize(
    ("tier", "levels"), [row[1:] for row in TIERS], ids=[row[0] for row in TIERS]
)
def test_of_tiers(tier: dict[str, Any], levels: list[str]) -> None:
    """A shared tier that was not there since the start."""
    assert [check.level for check in of_tiers([tier])] == levels
