"""Quart: rules of its URL map and its view functions, those of blueprints included."""

import re
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ..layers import attribute
from ..routes import Leaf, Prediction
from .framework import RAN_KEY, UNKNOWN, Framework, Ran, found, host_of, leaf_of, module

_PLACE = re.compile(r"<(?:(?:[a-zA-Z_]\w*)(?:\(.*?\))?:)?(?P<name>[a-zA-Z_]\w*)>")
"""A place of a rule: `<name>`, `<int:name>`, `<any(a, b):name>`."""

_PORTS = (":80", ":443")


class Quart(Framework):
    """One `Quart` application.

    What ran is told by its signal `request_started`, which it sends when it has found the route.
    """

    _connected = False

    @classmethod
    def reads(cls, app: Any) -> bool:
        """Whether its URL map can be asked, and it tells what it has chosen."""
        signal = attribute(module("quart.signals"), "request_started")
        return callable(attribute(app, "create_url_adapter")) and signal is not None

    def leaves(self) -> Sequence[Leaf]:
        """One for each rule, except those of websockets."""
        self._rules = {
            id(rule): _leaf(rule, self.app.view_functions[rule.endpoint])
            for rule in self.app.url_map.iter_rules()
            if not rule.websocket and rule.endpoint in self.app.view_functions
        }
        return tuple(self._rules.values())

    def version(self) -> object:
        """The rules and the functions; both may be added to until the first request."""
        views = self.app.view_functions
        return sum(1 for _ in self.app.url_map.iter_rules()), hash(tuple(map(id, views.values())))

    def choose(self, scope: Mapping[str, Any]) -> Prediction:
        """As a request context does it, by the application's own adapter."""
        self._listen()
        host, root_path = host_of(scope), scope.get("root_path", "")
        by_host = self.app.url_map.host_matching or self.app.config["SERVER_NAME"] is not None
        if by_host and host.endswith(_PORTS):
            return UNKNOWN  # whether that is the scheme's own port is not known here
        path = scope["path"]
        if root_path:
            path = _below(path, root_path)
        request = SimpleNamespace(
            method=scope["method"],
            scheme="http",
            host=host,
            path=path,
            root_path=root_path,
            query_string=b"",
        )
        rule, params = self.app.create_url_adapter(request).match(return_rule=True)
        if rule.provide_automatic_options and scope["method"] == "OPTIONS":
            return UNKNOWN
        return found(self._rules.get(id(rule)), params)

    def _listen(self) -> None:
        """Let the application tell what it has chosen, from here on."""
        if not self._connected:
            module("quart.signals").request_started.connect(_tell, self.app, weak=False)
            self._connected = True


async def _tell(app: Any, **_: Any) -> None:
    """Note what a request context has found. Quart awaits it before all functions of the user's."""
    request = module("quart").request
    rule = request.url_rule
    if rule is not None and request.routing_exception is None:
        view = app.view_functions.get(rule.endpoint)
        request.scope[RAN_KEY] = Ran(view, dict(request.view_args or {}))


def _below(path: str, root_path: str) -> str:
    """The path without the root path, as Quart takes it off; a space where it is not below it."""
    normalise = attribute(module("quart.asgi"), "_normalise_path")
    if normalise is not None:
        return str(normalise(path, root_path))
    return path.partition(root_path)[2] or " "  # until 0.20


def _leaf(rule: Any, view: Any) -> Leaf:
    return leaf_of(
        rule,
        view,
        _template(rule),
        methods=frozenset(rule.methods) if rule.methods else None,
        path_params=tuple(sorted(rule.arguments)),
        name=rule.endpoint,
        host=f"//{rule.host}" if rule.host else "",
    )


def _template(rule: Any) -> str:
    """The rule's path, as path templates of Starlette are written."""
    pieces, end = [], 0
    for place in _PLACE.finditer(rule.rule):
        pieces.append(rule.rule[end : place.start()])
        spans = not attribute(rule._converters[place["name"]], "part_isolating")
        pieces.append("{" + place["name"] + (":path}" if spans else "}"))
        end = place.end()
    return "".join([*pieces, rule.rule[end:]])
