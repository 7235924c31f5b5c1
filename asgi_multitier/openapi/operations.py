"""Which route of an application each operation of its OpenAPI document is."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..routing.layers import attribute
from ..routing.routes import Leaf, Tree


class Place(NamedTuple):
    """Where an operation stands in a document.

    Attributes:
        path: The path template, as the document has it.
        method: In capitals.
    """

    path: str
    method: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations_of(document: Mapping[str, Any], part: Tree) -> dict[Place, list[Leaf]]:
    """The operations of a document, each with the routes that may be meant, in the router's order.

    Several routes may have one path and one method: they differ by what their parameters take, or
    all but the first are never chosen.

    Args:
        document: The document.
        part: The routes of the application that it describes; mounted ones have their own.
    """
    paths = document.get("paths")
    found: dict[Place, list[Leaf]] = {}
    for leaf in part.children:
        path = attribute(leaf.matcher, "path_format")
        item = paths.get(path) if isinstance(paths, Mapping) and isinstance(leaf, Leaf) else None
        if isinstance(leaf, Leaf) and isinstance(item, Mapping):
            for method in _methods(leaf):
                if isinstance(item.get(method.lower()), Mapping):
                    found.setdefault(Place(path, method), []).append(leaf)
    return found


def _methods(leaf: Leaf) -> Iterator[str]:
    """The methods that a route names; one that takes all is in no document."""
    yield from sorted(leaf.methods or ())
