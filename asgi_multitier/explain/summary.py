"""What becomes of an application's routes, in one clause: for the line at its start."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ..routing import RouteTable
from ..routing.endpoints import is_of_framework
from ..routing.routes import Leaf
from .effects import changing
from .routes import ruled

_NAMED: Final = 2
"""Refused routes that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What becomes of the routes, without pages of the framework's own.

    Attributes:
        cached: How many are cached.
        observed: How many only observe, by `shadow=True`.
        bypassed: How many that answer GET have no rule.
        changing: How many take requests that change something, and answer none from the cache.
        refused: Those that depend on more than their URL, where a rule would cache them without
            it; with what that is.
    """

    cached: int
    observed: int
    bypassed: int
    changing: int
    refused: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        yield f"{self.cached} route{'' if self.cached == 1 else 's'} cached"
        if self.observed:
            yield f"{self.observed} only observed"
        yield f"{self.bypassed} bypassed"
        if self.changing:
            yield f"{self.changing} that change data"
        if self.refused:
            more = len(self.refused) - _NAMED
            rest = f"; {more} more" if more > 0 else ""
            yield f"{len(self.refused)} refused ({'; '.join(self.refused[:_NAMED])}{rest})"


def summary_of(table: RouteTable) -> Summary:
    """What becomes of the routes of an application: nothing of it runs."""
    table.refresh()
    kinds: dict[str, int] = {}
    refused = []
    for leaf in _own(table.tree.leaves()):
        policy, reason = ruled(table, leaf)
        if policy is None and reason == "security":
            refused.append(f"{leaf.template} depends on {leaf.needs[0].what}")
            continue
        kind = "observed" if policy is not None and policy.shadow else "cached"
        if policy is None:
            kind = "changing" if changing(leaf) and not _reads(leaf) else "bypassed"
        kinds[kind] = kinds.get(kind, 0) + 1
    return Summary(
        cached=kinds.get("cached", 0),
        observed=kinds.get("observed", 0),
        bypassed=kinds.get("bypassed", 0),
        changing=kinds.get("changing", 0),
        refused=tuple(refused),
    )


def _own(leaves: Iterable[Leaf]) -> Iterator[Leaf]:
    return (leaf for leaf in leaves if leaf.opaque or not is_of_framework(leaf.endpoint))


def _reads(leaf: Leaf) -> bool:
    return leaf.methods is None or "GET" in leaf.methods
