"""Litestar: handlers, controllers and routers, as its router has registered them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..annotations import NO_ANNOTATIONS, annotations_of
from ..globs import takes
from ..layers import attribute
from ..routes import Leaf, Prediction
from ..security import Need, all_cookies_need, all_headers_need, cookie_need, header_need
from .framework import UNKNOWN, Framework, Ran, checked_by, found, leaf_of, module


class Litestar(Framework):
    """One `Litestar` application.

    Its router leaves the handler in the scope, so what ran is seen at each run.
    """

    @classmethod
    def reads(cls, app: Any) -> bool:
        """Whether its router can be asked."""
        return callable(attribute(attribute(app, "asgi_router"), "handle_routing"))

    def leaves(self) -> Sequence[Leaf]:
        """One for each path and handler."""
        self._by_handler: dict[int, list[Leaf]] = {}
        leaves = []
        for route in self.app.routes:
            for handler, methods, arguments in _handlers(route):
                leaf = _leaf(route, handler, methods, arguments)
                self._by_handler.setdefault(id(handler), []).append(leaf)
                leaves.append(leaf)
        return leaves

    def version(self) -> object:
        """Its routes: `register` adds one, or replaces that of a path which gets a handler more.

        Those that were read are held by their leaves, so no other object has their identities.
        """
        return tuple(map(id, self.app.routes))

    def choose(self, scope: Mapping[str, Any]) -> Prediction:
        """As `ASGIRouter.__call__` does it, by the same function of the router."""
        path, root_path = scope["path"], scope.get("root_path", "")
        if root_path:
            path = path.split(root_path, maxsplit=1)[-1]
        path = module("litestar.utils").normalize_path(path)
        routed = self.app.asgi_router.handle_routing(path=path, method=scope["method"])
        handler, params = routed[1], routed[3]
        if attribute(handler, "is_mount"):
            return UNKNOWN
        leaves = self._by_handler.get(id(handler), [])
        if len(leaves) > 1:  # a handler may have several paths
            leaves = [leaf for leaf in leaves if takes(leaf.path, path)]
        fitting = [leaf for leaf in leaves if params.keys() == set(leaf.path_params)]
        return found(fitting[0] if len(fitting) == 1 else None, params)

    def ran(self, scope: Mapping[str, Any]) -> Ran | None:
        """What `ASGIRouter.__call__` has put into the scope."""
        handler = scope.get("route_handler")
        if handler is None:
            return None
        return Ran(_endpoint(handler), scope.get("path_params") or {})


def _handlers(route: Any) -> Iterator[tuple[Any, frozenset[str], Any]]:
    """The handlers of a path, with their methods and Litestar's description of the arguments.

    There are none for websockets and mounted applications.

    That which Litestar itself makes for OPTIONS is left out.
    """
    by_method: dict[str, tuple[Any, ...]] = attribute(route, "route_handler_map") or {}
    handlers = {id(each[0]): each for each in by_method.values()}
    for key, (handler, arguments) in handlers.items():
        methods = frozenset(m for m, each in by_method.items() if id(each[0]) == key)
        if methods != {"OPTIONS"}:
            yield handler, methods, arguments


def _leaf(route: Any, handler: Any, methods: frozenset[str], arguments: Any) -> Leaf:
    return leaf_of(
        route,
        _endpoint(handler),
        route.path,
        methods=methods,
        path_params=tuple(route.path_parameters),
        name=attribute(handler, "name") or "",
        needs=tuple(dict.fromkeys((*_guards(handler), *_declared(arguments)))),
    )


def _endpoint(handler: Any) -> Any:
    """What carries the marks: the handler, where it was decorated itself, else its function."""
    function = attribute(handler, "fn")
    if function is None or annotations_of(handler) != NO_ANNOTATIONS:
        return handler
    return function


def _guards(handler: Any) -> Iterator[Need]:
    """What runs before a handler, of its own and of the layers around it: a hit runs none of it.

    A `before_request` of the application itself stands before all of its routes, as a middleware
    does, and is no more seen than that.
    """
    # Litestar makes each one async.
    resolve = attribute(handler, "resolve_guards")
    for guard in resolve() if callable(resolve) else ():
        yield checked_by("guard", attribute(guard, "func") or guard)
    resolve = attribute(handler, "resolve_before_request")
    before = resolve() if callable(resolve) else None
    outermost = next(iter(attribute(handler, "ownership_layers") or ()), None)
    if before is not None and before is not attribute(outermost, "before_request"):
        yield checked_by("before_request function", attribute(before, "func") or before)


def _declared(arguments: Any) -> Iterator[Need]:
    """The headers and cookies that a handler and its dependencies declare as arguments."""
    for parameter in arguments.expected_header_params:
        yield header_need(parameter.field_alias)
    for parameter in arguments.expected_cookie_params:
        yield cookie_need(parameter.field_alias)
    if "headers" in arguments.expected_reserved_kwargs:
        yield all_headers_need("headers")
    if "cookies" in arguments.expected_reserved_kwargs:
        yield all_cookies_need("cookies")
