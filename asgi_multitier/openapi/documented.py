"""An OpenAPI document with what its readers should know of the cache.

It is a new document: of what was given, nothing is changed. What an application says itself, of a
304 or of a field, stays.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..config.policy import Policy
from ..errors import InvalidationError
from ..explain.effects import Changes, changing, target_of
from ..explain.routes import policy_for
from ..policy.status_codes import ANNOTATED, NEGATIVE
from ..routing import RouteTable
from ..routing.annotations import annotations_of
from ..routing.routes import Leaf, Tree
from ..routing.selection import routes_named
from .operations import Place, operations_of
from .stated import of_cached, of_change

_TEXT: Final = {"type": "string"}

_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ETag": {"description": "The version of this response, for `If-None-Match`.", "schema": _TEXT},
    "Cache-Status": {
        "description": "Whether the response comes from the cache, and why not (RFC 9211).",
        "schema": _TEXT,
    },
    "Age": {
        "description": "Seconds since the response was made; not sent when it is new.",
        "schema": {"type": "integer", "minimum": 0},
    },
}

_PARAMETER: Final = "If-None-Match"

_PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {
    _PARAMETER: {
        "name": _PARAMETER,
        "in": "header",
        "required": False,
        "description": "The `ETag` of a response that the client has; the answer may be 304.",
        "schema": _TEXT,
    }
}

_WITH_VALIDATOR: Final = frozenset((200, 203))
"""Statuses of responses that have a validator, so that a client can ask with it."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What is added besides the fields of the document's own extensions.

    Attributes:
        not_modified: Whether operations that are cached have a response 304.
        if_none_match: Whether they have the parameter `If-None-Match`.
    """

    not_modified: bool = True
    if_none_match: bool = False


def documented(
    document: Mapping[str, Any], table: RouteTable, part: Tree, extent: Extent
) -> dict[str, Any]:
    """The document, with what its readers should know of the cache.

    Args:
        document: As the framework has made it.
        table: The routes of the application that the cache is around, and their rules.
        part: The routes of the application that the document describes.
        extent: What is added.
    """
    writer = _Writer(document, table, part, extent)
    paths = dict(document.get("paths") or {})
    for place, operation in writer.operations():
        paths[place.path] = {**paths[place.path], place.method.lower(): operation}
    made = {**document, "paths": paths} if paths else dict(document)
    if components := writer.components():
        made["components"] = components
    return made


class _Writer:
    """Writes the operations of one document."""

    def __init__(
        self, document: Mapping[str, Any], table: RouteTable, part: Tree, extent: Extent
    ) -> None:
        self._document = document
        self._table = table
        self._extent = extent
        self._leaves = operations_of(document, part)
        self._changes = Changes(table.tree)
        self._places = _places(self._leaves)
        self._used: set[tuple[str, str]] = set()

    def operations(self) -> Iterator[tuple[Place, dict[str, Any]]]:
        """The operations of which there is something to say."""
        for place, leaves in self._leaves.items():
            said = [self._said(leaf, place.method) for leaf in leaves]
            # Where several routes are one operation, what differs is true for some requests only.
            if any(said[0]) and all(one == said[0] for one in said):
                yield place, self._operation(place, *said[0])

    def components(self) -> dict[str, Any]:
        """The components, with what the operations refer to."""
        given = self._document.get("components") or {}
        made: dict[str, Any] = dict(given)
        for section, known in (("headers", _FIELDS), ("parameters", _PARAMETERS)):
            used = {name: known[name] for name in known if (section, name) in self._used}
            if used:
                made[section] = {**used, **made.get(section, {})}
        return made

    # What is said.

    def _said(
        self, leaf: Leaf, method: str
    ) -> tuple[Policy | None, Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """The rule of a route, what is said of it, and what is said of its changes."""
        policy, _ = policy_for(self._table, leaf, method)
        if policy is not None and (policy.shadow or method not in policy.answered):
            policy = None
        cached = None if policy is None else of_cached(policy, self._dropping(leaf, policy))
        named = annotations_of(leaf.endpoint, method).invalidations
        dropped = None
        if named is not None and method in changing(leaf):
            dropped = of_change(named, self._paths_of)
        return policy, cached, dropped

    def _dropping(self, leaf: Leaf, policy: Policy) -> Iterator[Place]:
        """The operations that surely drop the responses of a route."""
        effects = self._changes.on(target_of(leaf, policy))
        by = {effect.by for effect in effects if effect.certain}
        for change in self._changes.all:
            if change.by in by:
                methods = changing(change.leaf)
                yield from (p for p in self._places.get(id(change.leaf), ()) if p.method in methods)

    def _paths_of(self, name: Any) -> Iterator[str]:
        """The paths of a route that this document has."""
        try:
            leaves = routes_named(self._table.tree, name)
        except InvalidationError:
            return  # the application does not start with it
        for leaf in leaves:
            yield from (place.path for place in self._places.get(id(leaf), ()))

    # How it is written.

    def _operation(
        self,
        place: Place,
        policy: Policy | None,
        cached: Mapping[str, Any] | None,
        dropped: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """One operation, with all that is said of it."""
        made: dict[str, Any] = dict(self._document["paths"][place.path][place.method.lower()])
        if policy is not None and cached is not None:
            made["x-cache"] = cached
            if policy.lifetime is not None:  # else each response says whether it is cached at all
                self._answer(made, place.method, policy)
        if dropped is not None:
            made["x-cache-invalidates"] = dropped
        return made

    def _answer(self, operation: dict[str, Any], method: str, policy: Policy) -> None:
        """Write what a cached operation answers."""
        kept = ANNOTATED | (NEGATIVE if policy.negative is not None else frozenset())
        responses: dict[str, Any] = dict(operation.get("responses") or {})
        asks = method in ("GET", "HEAD") and any(str(c) in responses for c in _WITH_VALIDATOR)
        for code in map(str, sorted(kept)):
            if code in responses:
                names = [n for n in _FIELDS if n != "ETag" or int(code) in _WITH_VALIDATOR]
                responses[code] = self._with_fields(responses[code], names)
        if asks and self._extent.not_modified:
            unchanged = responses.get("304", {"description": "Not Modified"})
            responses["304"] = self._with_fields(unchanged, _FIELDS)
        if asks and self._extent.if_none_match:
            operation["parameters"] = self._with_parameter(operation.get("parameters") or [])
        operation["responses"] = responses

    def _with_fields(self, response: Any, names: Iterable[str]) -> Any:
        """A response with references to fields, besides those that it names itself."""
        if not isinstance(response, Mapping) or "$ref" in response:
            return response
        own = dict(response.get("headers") or {})
        known = {name.lower() for name in own}
        for name in names:
            if name.lower() not in known:
                own[name] = self._refer("headers", name)
        return {**response, "headers": own}

    def _with_parameter(self, parameters: list[Any]) -> list[Any]:
        """Parameters with `If-None-Match`, unless the operation has it."""
        reference = {"$ref": f"#/components/parameters/{_PARAMETER}"}
        named = (p.get("name") for p in parameters if isinstance(p, Mapping))
        if reference in parameters or any(str(n).lower() == _PARAMETER.lower() for n in named):
            return parameters
        return [*parameters, self._refer("parameters", _PARAMETER)]

    def _refer(self, section: str, name: str) -> dict[str, str]:
        """A reference to a component, which the document then has."""
        self._used.add((section, name))
        return {"$ref": f"#/components/{section}/{name}"}


def _places(operations: Mapping[Place, list[Leaf]]) -> dict[int, list[Place]]:
    """The operations of each route, by its identity."""
    found: dict[int, list[Place]] = {}
    for place, leaves in operations.items():
        for leaf in leaves:
            found.setdefault(id(leaf), []).append(place)
    return found
