"""A report read from JSON: another worker may be of another release."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any, TypeAlias

from ..config.policy import Policy
from .found import Cause, Finding, RouteReport
from .report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one process tells.

    Attributes:
        report: What it has found.
        observes: Whether it compares requests now.
        seconds: For how long it has been observed.
        pending: Answers that are still compared.
        pid: Its process.
        policies: The rules of its routes; none of another process.
    """

    report: Report
    observes: bool = False
    seconds: float = 0.0
    pending: int = 0
    pid: int | None = None
    policies: Mapping[str, Policy] = field(default_factory=dict)


def read_part(value: object) -> Part | None:
    """What another process has told; None if it is something else."""
    if not isinstance(value, dict) or not isinstance(value.get("routes"), list):
        return None
    routes = [_route(one) for one in value["routes"]]
    pid = value.get("pid")
    return Part(
        report=Report(routes=tuple(one for one in routes if one is not None)),
        observes=value.get("observes") is True,
        seconds=_number(value.get("seconds")) or 0.0,
        pending=_count(value.get("pending")) or 0,
        pid=pid if type(pid) is int else None,
    )


def _route(value: object) -> RouteReport | None:
    if not isinstance(value, dict) or not isinstance(value.get("route"), str):
        return None
    return RouteReport(**_known(value, _OF_ROUTES))


def _finding(value: object) -> Finding | None:
    if not isinstance(value, dict) or _cause(value.get("cause")) is None:
        return None
    return Finding(**_known(value, _OF_FINDINGS))


def _known(value: Mapping[str, Any], readers: "_Readers") -> dict[str, Any]:
    """The members that are as they should be; the others stay at what they are without."""
    read = {name: reader(value.get(name)) for name, reader in readers}
    return {name: found for name, found in read.items() if found is not None}


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and value >= 0 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _cause(value: object) -> Cause | None:
    return Cause(value) if isinstance(value, str) and value in _CAUSES else None


def _findings(value: object) -> tuple[Finding, ...] | None:
    read = [_finding(one) for one in value] if isinstance(value, list) else []
    return tuple(one for one in read if one is not None)


def _counts(value: object) -> Mapping[str, int] | None:
    if not isinstance(value, dict):
        return None
    read = {str(word): _count(count) for word, count in value.items()}
    return {word: count for word, count in read.items() if count is not None}


def _pairs(value: object) -> tuple[tuple[str, str], ...] | None:
    """Kinds and names."""
    read = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    named = [(_text(one.get("cause")), _text(one.get("name"))) for one in read]
    return tuple((cause, name) for cause, name in named if cause is not None and name is not None)


_CAUSES = frozenset(Cause)

_Readers: TypeAlias = Sequence[tuple[str, Callable[[object], Any]]]

_READERS: Mapping[Any, Callable[[object], Any]] = {
    bool: _truth,
    int: _count,
    float: _number,
    float | None: _number,
    str: _text,
    str | None: _text,
    Cause: _cause,
    Mapping[str, int]: _counts,
    tuple[Finding, ...]: _findings,
    tuple[tuple[str, str], ...]: _pairs,
}
"""By the type of what is read."""

_OF_ROUTES: _Readers = [(one.name, _READERS[one.type]) for one in fields(RouteReport)]
_OF_FINDINGS: _Readers = [(one.name, _READERS[one.type]) for one in fields(Finding)]
