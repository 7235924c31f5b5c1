"""A report read from JSON: another worker may be of another release."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from .found import Cause, Finding, RouteReport
from .report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one process tells.

    Attributes:
        report: What it has found.
        observes: Whether it compares requests now.
        seconds: For how long it has been observed.
        pid: Its process.
    """

    report: Report
    observes: bool = False
    seconds: float = 0.0
    pid: int | None = None


def read_part(value: object) -> Part | None:
    """What another process has told; None if it is something else."""
    if not isinstance(value, dict) or not isinstance(value.get("routes"), list):
        return None
    routes = [_route(one) for one in value["routes"]]
    pid = value.get("pid")
    return Part(
        report=Report(routes=tuple(one for one in routes if one is not None)),
        observes=value.get("observes") is True,
        seconds=_seconds(value.get("seconds")) or 0.0,
        pid=pid if type(pid) is int else None,
    )


def _route(value: object) -> RouteReport | None:
    if not isinstance(value, dict) or not isinstance(value.get("route"), str):
        return None
    findings = value.get("findings")
    read = [_finding(one) for one in findings] if isinstance(findings, list) else []
    return RouteReport(
        route=value["route"],
        **_known(value, _OF_ROUTES),
        findings=tuple(one for one in read if one is not None),
    )


def _finding(value: object) -> Finding | None:
    if not isinstance(value, dict):
        return None
    cause = value.get("cause")
    if not isinstance(cause, str) or cause not in _CAUSES:
        return None
    return Finding(cause=Cause(cause), **_known(value, _OF_FINDINGS))


def _known(
    value: Mapping[str, Any], readers: Mapping[str, Callable[[object], Any]]
) -> dict[str, Any]:
    """The members that are as they should be; the others stay at what they are without."""
    read = {name: reader(value.get(name)) for name, reader in readers.items()}
    return {name: found for name, found in read.items() if found is not None}


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and value >= 0 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _counts(value: object) -> dict[str, int] | None:
    if not isinstance(value, dict):
        return None
    return {str(name): count for name, count in value.items() if _count(count) is not None}


def _others(value: object) -> tuple[tuple[str, str], ...] | None:
    if not isinstance(value, list):
        return None
    pairs = [(one.get("cause"), one.get("name")) for one in value if isinstance(one, dict)]
    return tuple(
        (cause, name) for cause, name in pairs if isinstance(cause, str) and isinstance(name, str)
    )


_CAUSES = frozenset(Cause)
_OF_ROUTES: Mapping[str, Callable[[object], Any]] = {
    "rule": _flag,
    "requests": _count,
    "hits": _count,
    "origin_seconds": _seconds,
    "saved_seconds": _seconds,
    "saved_bytes": _count,
    "memory": _count,
    "wrong": _count,
    "aged": _count,
    "lifetime": _seconds,
    "annotation": _text,
    "why": _text,
    "possible_hits": _count,
    "possible_seconds": _seconds,
    "share": _seconds,
    "would": _counts,
}
_OF_FINDINGS: Mapping[str, Callable[[object], Any]] = {
    "name": _text,
    "others": _others,
    "wrong": _count,
    "confidence": _seconds,
    "place": _text,
    "remedy": _text,
    "annotation": _text,
}
