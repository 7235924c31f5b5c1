"""Falcon: resources and their responders, as its compiled router has them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from inspect import ismethod
from typing import Any, NamedTuple

from ..endpoints import enclosed
from ..layers import attribute
from ..routes import Leaf, Prediction
from ..security import Need
from .framework import RAN_KEY, UNKNOWN, Framework, Ran, around_it, checked_by, found, leaf_of

_PLACE = re.compile(r"\{(?P<name>[A-Za-z_]\w*)(?::(?P<converter>\w+)(?:\([^}]*\))?)?\}")
"""A place of a URI template: `{name}`, `{name:int}`, `{name:int(2)}`."""

_WITHIN_SEGMENT = frozenset((None, "int", "float", "uuid", "dt"))


class Falcon(Framework):
    """One `falcon.asgi.App`.

    What ran is told by a component that is added to its middleware, once for each application:
    Falcon calls it when it has found the resource, after all that may change the path.
    """

    @classmethod
    def reads(cls, app: Any) -> bool:
        """Whether its router is Falcon's own, and it tells what it has chosen."""
        router = attribute(app, "_router")
        return (
            any(base.__module__.startswith("falcon.asgi") for base in type(app).__mro__)
            and isinstance(attribute(router, "_roots"), list)
            and type(router).__module__.startswith("falcon.")
            and callable(attribute(router, "_find"))
            and callable(attribute(app, "_router_search"))
            and callable(attribute(app, "add_middleware"))
            and isinstance(attribute(app, "_unprepared_middleware"), list)
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
        """The function into which its router has compiled the routes; another for each change.

        Until the first request there is none: then the templates and resources.
        """
        compiled = self.app._router._find
        if not ismethod(compiled):
            return compiled
        return tuple((node.uri_template, id(node.resource)) for node in self._nodes())

    def choose(self, scope: Mapping[str, Any]) -> Prediction:
        """As `App._get_responder` does it, by the application's router."""
        if not any(isinstance(each, _Telling) for each in self.app._unprepared_middleware):
            self.app.add_middleware(_Telling())
        path = scope["path"] or "/"
        if self.app.req_options.strip_url_path_trailing_slash and path != "/":
            path = path.removesuffix("/")
        routed = self.app._router_search(path, req=None)
        if routed is None or routed[0] is None:
            return UNKNOWN
        return found(self._by_responder.get((routed[3], scope["method"])), routed[2])

    def ran(self, scope: Mapping[str, Any]) -> Ran | None:
        """What Falcon has chosen, by its template and the method."""
        told = scope.get(RAN_KEY)
        if not isinstance(told, _Told):
            return None
        leaf = self._by_responder.get((told.template, told.method))
        return None if leaf is None else Ran(leaf.endpoint, told.path_params)

    def _nodes(self) -> Iterator[Any]:
        """The nodes of the router that have a resource."""
        nodes = list(reversed(self.app._router._roots))
        while nodes:
            node = nodes.pop()
            nodes += reversed(node.children)
            if node.resource is not None:
                yield node


class _Told(NamedTuple):
    """What Falcon says of a request when it has found its resource.

    Attributes:
        template: The URI template.
        method: In capitals.
        path_params: Converted path parameters.
    """

    template: str
    method: str
    path_params: Mapping[str, Any]


class _Telling:
    """A component of Falcon's middleware that notes what has a request."""

    async def process_resource(self, req: Any, _: Any, __: Any, params: Any) -> None:
        """Note it; Falcon calls this before the responder."""
        req.scope[RAN_KEY] = _Told(req.uri_template, req.method, dict(params))


def _leaf(node: Any, method: str, responder: Any) -> Leaf:
    return leaf_of(
        node,
        responder,
        _PLACE.sub(_place, node.uri_template),
        methods=frozenset((method,)),
        path_params=tuple(place["name"] for place in _PLACE.finditer(node.uri_template)),
        needs=tuple(_hooks(responder)),
    )


def _hooks(responder: Any) -> Iterator[Need]:
    """The hooks before a responder: a hit runs none of them.

    Those after it run with each response that is stored.
    """
    for function in around_it(responder):
        made_by = attribute(function, "__globals__") or {}
        if made_by.get("__name__") == "falcon.hooks" and function.__code__.co_name != "do_after":
            held = enclosed(function)
            hook = held.get("async_action") or held.get("sync_action") or function
            yield checked_by("hook", attribute(hook, "__wrapped__") or hook)


def _place(place: re.Match[str]) -> str:
    within = place["converter"] in _WITHIN_SEGMENT
    return "{" + place["name"] + ("}" if within else ":path}")
