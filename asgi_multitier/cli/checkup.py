"""What `doctor` makes of what it was told. Pure, but for the directories of this machine."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .._about import page
from ..coherence.nearby.directory import parents
from ..redis.examination import Examination
from .figures import duration, size

_SLOW = 0.02
"""Seconds of the fastest of some round trips, above which the server is far away or busy."""

_LAG = 0.5
_FULL = 0.9
_MINOR = ("releases", "versions", "collision", "clock", "breaker", "replaced")
"""Findings of which nothing stale comes."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        level: Whether it is well.
        text: What was found, and what to do.
    """

    level: Literal["ok", "warn", "fail"]
    text: str

    def as_json(self) -> dict[str, str]:
        """As JSON has it."""
        return {"level": self.level, "text": self.text}


def address_of(config: Any) -> str:
    """The address of the server, of the settings that a process tells; "" if it is not there."""
    settings = config.get("settings") if isinstance(config, dict) else None
    return next(
        (str(one["value"] or "") for one in settings or () if one["name"] == "redis_url"), ""
    )


def of_fleet(fleet: dict[str, Any], address: str = "") -> Iterator[Check]:
    """All instances.

    Args:
        fleet: What was told of them.
        address: That of the server of the log, without credentials; "" if it is not known.
    """
    if not fleet["complete"]:
        named = f" at {address}" if address and fleet["source"] == "redis" else ""
        yield Check(
            "fail",
            f"the server of the log{named} does not answer: other instances are not known",
        )
        return
    up = [one for one in fleet["instances"] if one["state"] == "up"]
    kinds = {finding["kind"] for finding in fleet["findings"]}
    if not up:
        yield Check(
            "warn",
            "no instance tells of itself here: check the namespace, and whether the application "
            "runs with heartbeat=True",
        )
    else:
        split = "" if "generations" in kinds else ", one generation of the log"
        yield Check("ok", f"{len(up)} instance{'s' if len(up) > 1 else ''}{split}")
    for finding in fleet["findings"]:
        yield Check("warn" if finding["kind"] in _MINOR else "fail", finding["text"])
    slow = [one for one in up if one["lag"] > _LAG]
    if slow:
        named = ", ".join(f"{one['host']}/{one['pid']}" for one in slow[:5])
        yield Check(
            "warn",
            f"records take more than {_LAG:g} s to {named}: look for a blocked event loop or a "
            "slow network",
        )


def of_server(server: Examination) -> Iterator[Check]:
    """The server of the log."""
    if server.error:
        yield Check("fail", f"{server.error}: check address, user, password and the network")
        return
    known = f" {server.version}" if server.version else ""
    level: Literal["ok", "warn"] = "warn" if (server.latency or 0) > _SLOW else "ok"
    yield Check(level, f"server{known} at {server.name} answers in {duration(server.latency)}")
    if server.refused:
        for command in server.refused:
            where = page("guides/redis.md#permissions")
            yield Check("fail", f"the user may not run {command}: see {where}")
    else:
        yield Check("ok", "permissions are complete")
    if server.role == "slave":
        yield Check("fail", "this server is a replica, which refuses writes: give the master")
    if server.policy.startswith("allkeys") or server.policy == "noeviction":
        yield from _memory(server)
    elif server.policy:
        yield Check("ok", f"maxmemory-policy {server.policy}")


def _memory(server: Examination) -> Iterator[Check]:
    if not server.limit:
        yield Check("ok", f"maxmemory-policy {server.policy}, without a limit of memory")
        return
    used = f"{size(server.used)} of {size(server.limit)} are used"
    full = (server.used or 0) > _FULL * server.limit
    if server.policy == "noeviction":
        means = "entries are not stored when it is full"
    else:
        means = "the log may be evicted, and then every process starts with empty memory"
    yield Check(
        "warn" if full else "ok",
        f"maxmemory-policy {server.policy}: {means}; {used} ({page('guides/redis.md#memory')})",
    )


def of_log(log: dict[str, Any]) -> Iterator[Check]:
    """The log, as the workers of one machine see it."""
    if not log["trusted"]:
        yield Check("fail", "a worker here cannot follow the log: see its log lines")
    else:
        yield Check("ok", "the log is followed")
    if log["queued"]:
        yield Check("fail", f"{log['queued']:,} invalidations wait to be written to the log")
    if log["processing_errors"]:
        yield Check(
            "warn",
            f"{log['processing_errors']:,} records could not be read, and everything was dropped "
            "each time: look who else writes, and whether all have the same secret",
        )
    if log["forgotten"] or log["overflows"]:
        yield Check("warn", "more selectors were in force at once than there is room for")


def of_tiers(tiers: Iterable[dict[str, Any]]) -> Iterator[Check]:
    """The shared tiers, as the workers of one machine see them."""
    for tier in tiers:
        used = tier["hits"] or tier["writes"] or not tier["failures"].get("get")
        if tier["level"] > 1 and not used:
            yield Check(
                "warn",
                f"L{tier['level']} {tier['name']} has not answered since the start: responses are "
                "kept in memory alone, and without a server invalidations reach this machine "
                "alone; start it, correct the address (REDIS_URL), or set redis_url=None",
            )


def of_machine(directories: Iterable[Path] | None = None) -> Iterator[Check]:
    """The directories by which the workers of this machine find each other.

    Args:
        directories: Where they are looked for; None for the usual places.
    """
    if not hasattr(os, "geteuid"):
        return
    for place in parents() if directories is None else directories:
        try:
            state = place.lstat()
        except OSError:
            continue
        if not stat.S_ISDIR(state.st_mode):
            problem = "is not a directory"
        elif state.st_uid != os.geteuid():
            problem = "belongs to another user"
        elif state.st_mode & 0o077:
            problem = "is open to other users"
        else:
            yield Check("ok", f"workers meet in {place}, which this user alone can enter")
            continue
        yield Check("fail", f"{place} {problem}, so workers do not use it: remove it")
