"""Falcon: resources and their responders, as its compiled router has them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..layers import attribute
from ..routes import Leaf, Prediction
from .framework import RAN_KEY, UNKNOWN, Framework, Ran, found, leaf_of

_PLACE = re.compile(r"\{(?P<name>[A-Za-z_]\w*)(?::(?P<converter>\w+)(?:\([^}]*\))?)?\}")
"""A place of a URI template: `{name}`, `{name:int}`, `{name:int(2)}`."""

_WITHIN_SEGMENT = frozenset((None, "int", "float", "uuid", "dt"))


class Falcon(Framework):
    """One `falcon.asgi.App`.

    What ran is told by a component that is added to its middleware: Falcon calls it when it has
    found the resource, after all that may change the path.
    """

    _added = False

    @classmethod
    def reads(cls, app: Any) -> bool:
        """Whether its router is Falcon's own, and it tells what it has chosen."""
        router = attribute(app, "_router")
        return (
            any(base.__module__.startswith("falcon.asgi") for base in type(app).__mro__)
            and isinstance(attribute(router, "_roots"), list)
            and type(router).__module__.startswith("falcon.")
            and callable(attribute(app, "_router_search"))
            and callable(attribute(app, "add_middleware"))
        )

    def leaves(self) -> Sequence[Leaf]:
        """One for each template and responder."""
        self._by_responder: dict[tuple[str, str], Leaf] = {}
        for node in self._nodes():
            for method, responder in node.method_map.items():
                own = str(attribute(responder, "__module__")).startswith("falcon.")
                if not own and method != "WEBSOCKET":
                    leaf = _leaf(node, method, responder)
                    self._by_responder[node.uri_template, method] = leaf
        return tuple(self._by_responder.values())

    def version(self) -> object:
        """The templates and resources."""
        return hash(tuple((node.uri_template, id(node.resource)) for node in self._nodes()))

    def choose(self, scope: Mapping[str, Any]) -> Prediction:
        """As `App._get_responder` does it, by the application's router."""
        if not self._added:
            self.app.add_middleware(_Telling(self))
            self._added = True
        path = scope["path"] or "/"
        if self.app.req_options.strip_url_path_trailing_slash and path != "/":
            path = path.removesuffix("/")
        routed = self.app._router_search(path, req=None)
        if routed is None or routed[0] is None:
            return UNKNOWN
        return found(self._by_responder.get((routed[3], scope["method"])), routed[2])

    def ran_of(self, template: str, method: str, params: Mapping[str, Any]) -> Ran | None:
        """What Falcon has chosen, by its template and the method."""
        leaf = self._by_responder.get((template, method))
        return None if leaf is None else Ran(leaf.endpoint, dict(params))

    def _nodes(self) -> Iterator[Any]:
        """The nodes of the router that have a resource."""
        nodes = list(reversed(self.app._router._roots))
        while nodes:
            node = nodes.pop()
            nodes += reversed(node.children)
            if node.resource is not None:
                yield node


class _Telling:
    """A component of Falcon's middleware that notes what has a request.

    Args:
        framework: Knows the responders.
    """

    def __init__(self, framework: Falcon) -> None:
        self._framework = framework

    async def process_resource(self, req: Any, _: Any, __: Any, params: Any) -> None:
        """Note it; Falcon calls this before the responder."""
        ran = self._framework.ran_of(req.uri_template, req.method, params)
        if ran is not None:
            req.scope[RAN_KEY] = ran


def _leaf(node: Any, method: str, responder: Any) -> Leaf:
    return leaf_of(
        node,
        responder,
        _PLACE.sub(_place, node.uri_template),
        methods=frozenset((method,)),
        path_params=tuple(place["name"] for place in _PLACE.finditer(node.uri_template)),
    )


def _place(place: re.Match[str]) -> str:
    within = place["converter"] in _WITHIN_SEGMENT
    return "{" + place["name"] + ("}" if within else ":path}")
