"""Reads an application's routes into a tree, without importing the framework that made them."""

import functools
from collections.abc import Iterator
from typing import Any

import msgspec

from .foreign import flat, front_ends, routed, routes_of
from .heads import head_of
from .layers import MAX_DEPTH, attribute
from .overrides import overriding
from .parameters import parameters_of
from .routes import Branch, Leaf, RouteNode, Tree
from .security import Need, needs_of

_FRAMEWORKS = ("starlette", "fastapi")
_ANYTHING = "/{path:path}"


def build(app: Any) -> Tree:
    """The tree of an application that has routes.

    Where the routes as a whole cannot be read, any of them may take a request and check who sent
    it: then no response of the application is cached.
    """
    try:
        return _tree(app, _Place())
    except Exception:  # noqa: BLE001  # the code of a framework or of the application
        return Tree((_opaque_leaf(app, _Place()),))


def containers(app: Any) -> list[Any]:
    """The application and everything below it that has a list of routes."""
    found: list[Any] = []
    _collect(app, found, 0)
    return found


def _collect(app: Any, found: list[Any], depth: int) -> None:
    found.append(app)
    for route in (routes_of(app) or ()) if depth < MAX_DEPTH else ():
        included = attribute(route, "original_router")
        inner = routed(included if included is not None else _inner(route))
        if inner is not None:
            _collect(inner, found, depth + 1)


class _Place(msgspec.Struct, frozen=True):
    """Where in the tree a list of routes stands."""

    path: str = ""
    name: str = ""
    host: str = ""
    params: tuple[str, ...] = ()
    depth: int = 0

    def below(self, route: Any) -> "_Place":
        """The place that a mount or a host makes."""
        name = getattr(route, "name", None)
        host = getattr(route, "host", None)
        return _Place(
            path=self.path + (getattr(route, "path", None) or ""),
            name=f"{self.name}{name}:" if name else self.name,
            host=f"//{host}" if isinstance(host, str) else self.host,
            params=self.params + tuple(p for p in _params(route) if p != "path"),
            depth=self.depth + 1,
        )


def _tree(app: Any, place: _Place) -> Tree:
    # FastAPI puts its own `root_path` into the scope, whatever the server's is.
    own = getattr(app, "root_path", "")
    return Tree(tuple(_nodes(app, place)), own if isinstance(own, str) else "")


def _nodes(app: Any, place: _Place) -> Iterator[RouteNode]:
    """The nodes of an application's own routes."""
    for route in flat(app):
        if _is_websocket(route):
            continue
        try:
            yield _node(route, place)
        except Exception:  # noqa: BLE001  # a route of an unknown kind
            yield _opaque_leaf(route, place)
    for group, front_end, path in front_ends(app):
        yield _front_end(group, front_end, path, place)


def _node(route: Any, place: _Place) -> RouteNode:
    inner = _inner(route)
    if inner is None:
        known = attribute(route, "endpoint") is not None
        return _leaf(route, place) if known else _opaque_leaf(route, place)
    below = place.below(route)
    if below.depth <= MAX_DEPTH and callable(attribute(inner, "matches")):
        # A route mounted in the place of an application matches its own path, and has no router.
        return _branch(route, Tree((_node(inner, below),)))
    target = routed(inner)
    if target is None or place.depth >= MAX_DEPTH:
        return _mounted_leaf(route, below)
    return _branch(route, _tree(target, below), target)


def _branch(route: Any, inner: Tree, app: Any = None) -> Branch:
    matches = route.matches
    return Branch(route, matches, inner, _is_opaque(route), head_of(matches), app)


def _inner(route: Any) -> Any:
    """The application to which a mount or a host passes requests; None for any other route."""
    if getattr(_original(route), "endpoint", None) is not None:
        return None
    base = attribute(route, "_base_app")
    app = attribute(route, "app") if base is None else base
    # A mount and a host convert parameters of their own; a static front end of FastAPI has none.
    return app if attribute(route, "param_convertors") is not None else None


def _leaf(route: Any, place: _Place) -> Leaf:
    methods = getattr(route, "methods", None)
    dependants, matches = _dependants(route), route.matches
    return Leaf(
        matcher=route,
        matches=matches,
        endpoint=getattr(route, "endpoint", None),
        path=place.path + (getattr(route, "path", None) or ""),
        host=place.host,
        name=place.name + (getattr(route, "name", None) or ""),
        methods=frozenset(methods) if methods else None,
        path_params=place.params + _params(route),
        declared={
            name: parameter
            for each in reversed(dependants)
            for name, parameter in parameters_of(each).items()
        },
        needs=_needs(dependants),
        opaque=_is_opaque(route),
        head=head_of(matches),
    )


def _mounted_leaf(route: Any, below: _Place) -> Leaf:
    """A mount of something without routes, such as static files."""
    return Leaf(
        matcher=route,
        matches=route.matches,
        endpoint=route.app,
        path=below.path + _ANYTHING,
        host=below.host,
        name=below.name.removesuffix(":"),
        path_params=(*below.params, "path"),
        opaque=_is_opaque(route),
    )


def _opaque_leaf(route: Any, place: _Place) -> Leaf:
    """What may take any request that reaches it; no rule holds there, so it needs nothing."""
    return Leaf(
        matcher=route,
        matches=attribute(route, "matches"),
        endpoint=attribute(route, "endpoint"),
        path=place.path + _ANYTHING,
        host=place.host,
        path_params=(*place.params, "path"),
        opaque=True,
    )


def _front_end(group: Any, front_end: Any, path: str, place: _Place) -> Leaf:
    """A static front end of FastAPI: everything below a path."""
    matches = attribute(front_end, "matches_with_path")
    return Leaf(
        matcher=group,
        matches=front_end.matches
        if matches is None
        else functools.partial(matches, path=path or "/"),
        endpoint=None,
        path=place.path + path + _ANYTHING,
        host=place.host,
        methods=frozenset({"GET", "HEAD"}),
        path_params=(*place.params, "path"),
        needs=_needs(_dependants(group)),
    )


def _dependants(route: Any) -> tuple[Any, ...]:
    """FastAPI's description of a route, and those of what overrides its dependencies."""
    dependant = attribute(route, "dependant")
    provider = attribute(route, "dependency_overrides_provider")
    return (dependant, *overriding(dependant, provider))


def _needs(dependants: tuple[Any, ...]) -> tuple[Need, ...]:
    return tuple(dict.fromkeys(need for each in dependants for need in needs_of(each)))


def _original(route: Any) -> Any:
    """The route that was written, where FastAPI puts an object in its place."""
    return getattr(route, "original_route", route)


def _params(route: Any) -> tuple[str, ...]:
    return tuple(getattr(route, "param_convertors", None) or ())


def _is_websocket(route: Any) -> bool:
    return any("WebSocket" in cls.__name__ for cls in type(_original(route)).__mro__)


def _is_opaque(route: Any) -> bool:
    """Whether the route's class replaced `matches`: it may look at more than a plan knows."""
    function = getattr(type(_original(route)), "matches", None)
    module = getattr(function, "__module__", "") or ""
    return module.partition(".")[0] not in _FRAMEWORKS
