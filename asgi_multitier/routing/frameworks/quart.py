"""Quart: rules of its URL map and its view functions, those of blueprints included."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ..layers import attribute
from ..routes import Leaf, Prediction
from ..security import Need
from .framework import (
    RAN_KEY,
    UNKNOWN,
    Framework,
    Ran,
    apart,
    around_it,
    checked_by,
    found,
    host_of,
    leaf_of,
    module,
)

_PLACE = re.compile(r"<(?:(?:[a-zA-Z_]\w*)(?:\(.*?\))?:)?(?P<name>[a-zA-Z_]\w*)>")
"""A place of a rule: `<name>`, `<int:name>`, `<any(a, b):name>`."""

_PORTS = (":80", ":443")

_OF_USERS = frozenset(("quart_auth", "quart_jwt_extended", "quart_login", "quart_security"))
"""Packages whose decorators ask who sends a request."""


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
        """One for each rule, except those of websockets; more where its methods differ in needs."""
        self._rules: dict[tuple[int, str], Leaf] = {}
        leaves = []
        for rule in self.app.url_map.iter_rules():
            if rule.websocket or rule.endpoint not in self.app.view_functions:
                continue
            for leaf in self._leaves(rule, self.app.view_functions[rule.endpoint]):
                self._rules |= {(id(rule), method): leaf for method in leaf.methods or ()}
                leaves.append(leaf)
        return leaves

    def _leaves(self, rule: Any, view: Any) -> Iterator[Leaf]:
        """The routes of a rule."""
        before = (*self._before(rule.endpoint), *_checks(view))
        kind = attribute(view, "view_class")
        groups = apart(rule.methods, lambda method: (*before, *_checks_of_method(kind, method)))
        for needs, methods in groups.items():
            yield leaf_of(
                rule,
                view,
                _template(rule),
                methods=methods,
                path_params=tuple(sorted(rule.arguments)),
                name=rule.endpoint,
                host=f"//{rule.host}" if rule.host else "",
                needs=needs,
            )

    def version(self) -> object:
        """The rules and the functions; all may be added to until the first request."""
        views, before = self.app.view_functions, self.app.before_request_funcs
        return (
            sum(1 for _ in self.app.url_map.iter_rules()),
            hash(tuple(map(id, views.values()))),
            sum(map(len, before.values())),
        )

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
        return found(self._rules.get((id(rule), scope["method"])), params)

    def _before(self, endpoint: str) -> Iterator[Need]:
        """The functions that the blueprints of an endpoint run before it: a hit runs none of them.

        Those of the application itself stand before all of its routes, as a middleware does, and
        are no more seen than that.
        """
        names = endpoint.split(".")[:-1]
        for end in range(1, len(names) + 1):
            for function in self.app.before_request_funcs.get(".".join(names[:end]), ()):
                yield checked_by("before_request function", function)

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


def _checks(view: Any) -> Iterator[Need]:
    """The decorators of packages for users around a view, or around a method of a class."""
    for function in around_it(view):
        made_by = (attribute(function, "__globals__") or {}).get("__name__", "")
        if (package := made_by.partition(".")[0]) in _OF_USERS:
            yield checked_by(f"decorator of {package} around", function)


def _checks_of_method(kind: Any, method: str) -> Iterator[Need]:
    """The same around the functions of a class of views that answer a method."""
    own = attribute(kind, method.lower())
    if own is None and method == "HEAD":
        own = attribute(kind, "get")
    yield from _checks(own)
    yield from _checks(attribute(kind, "dispatch_request"))


def _template(rule: Any) -> str:
    """The rule's path, as path templates of Starlette are written."""
    pieces, end = [], 0
    for place in _PLACE.finditer(rule.rule):
        pieces.append(rule.rule[end : place.start()])
        spans = not attribute(rule._converters[place["name"]], "part_isolating")
        pieces.append("{" + place["name"] + (":path}" if spans else "}"))
        end = place.end()
    return "".join([*pieces, rule.rule[end:]])
