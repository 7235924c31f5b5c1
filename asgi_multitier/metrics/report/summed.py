"""The sum of what several processes have counted.

They may be of different releases: what one of them does not have is the others' alone, and what is
of another kind there is left out.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

_FIRST = frozenset({"gen", "seq", "name", "bounds"})
"""What is that of the first: it has no sum."""

_WORST = frozenset({"lag_p50", "lag_p99", "behind", "unheard"})
"""Of what the greatest counts."""

_STATES = ("closed", "half-open", "open")


def summed(all_counted: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum; see the module.

    Args:
        all_counted: Of `counted`, as JSON has it; at least one, of which the first decides about
            what has no sum.
    """
    first, *others = all_counted
    total: dict[str, Any] = _copied(first)
    for other in others:
        add(total, other)
    return total


def add(total: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Add to what has been counted what another one has."""
    if "bounds" in total and total["bounds"] != other.get("bounds"):
        return  # other classes of durations, of another release
    for name, theirs in other.items():
        ours = total.get(name)
        if ours is None:
            total[name] = _copied(theirs)
        elif name not in _FIRST and theirs is not None:
            total[name] = _sum(name, ours, theirs)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _copied(inner) for name, inner in value.items()}
    return [*value] if isinstance(value, list) else value


def _sum(name: str, ours: Any, theirs: Any) -> Any:
    for kind, add in _BY_KIND:
        if isinstance(ours, kind):
            return add(name, ours, theirs) if isinstance(theirs, kind) else ours
    return ours


def _both(_: str, ours: bool, theirs: bool) -> bool:
    return ours and theirs


def _number(name: str, ours: float, theirs: float) -> float:
    return max(ours, theirs) if name in _WORST else ours + theirs


def _state(_: str, ours: str, theirs: str) -> str:
    return theirs if theirs in _STATES[_STATES.index(ours) if ours in _STATES else 0 :] else ours


def _inner(_: str, ours: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    add(ours, theirs)
    return ours


def _counts(_: str, ours: list[int], theirs: list[int]) -> list[int]:
    if len(ours) != len(theirs):
        return ours
    return [one + another for one, another in zip(ours, theirs, strict=True)]


_BY_KIND: tuple[tuple[Any, Callable[[str, Any, Any], Any]], ...] = (
    (bool, _both),  # before numbers, of which Python says it is one
    ((int, float), _number),
    (str, _state),
    (dict, _inner),
    (list, _counts),
)
