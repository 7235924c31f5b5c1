"""The application's routes as a tree, and which of them its router will choose.

A tree and not a list, because a router commits: once a mount or a host matches, nothing after it is
tried, even if the mounted application finds nothing. Whether a route takes a request is decided by
the route itself (`matches`), with a scope of what a plan is stored by: method, path, root path and
host.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from .heads import Heads
from .parameters import Parameter
from .security import Need

EMPTY: Mapping[str, Any] = MappingProxyType({})

_FULL = 2
_PARTIAL = 1


class Leaf(msgspec.Struct, frozen=True):
    """A route that answers requests.

    Attributes:
        matcher: The framework's own route.
        matches: Its method that says whether it takes a scope.
        endpoint: What the router reports to have chosen.
        path: The path template, with those of its mounts.
        host: `//` and the host that it requires; "" for any.
        name: The route's name, with the names of its mounts before it.
        methods: What it takes; None for everything.
        path_params: Names of the path parameters, with those of its mounts.
        declared: Parameters that its endpoint declares, by the name that a template uses.
        needs: What the route reads from the request besides its URL, such as a security scheme.
        opaque: Whether the route's own code decides which requests it takes.
        head: The text with which each path begins that it takes, as its own router sees the path;
            "" where that is not known.
        framework: Whether a framework's own kind of router matches it; see `frameworks`.
    """

    matcher: Any
    matches: Callable[[dict[str, Any]], Any]
    endpoint: Any
    path: str
    host: str = ""
    name: str = ""
    methods: frozenset[str] | None = None
    path_params: tuple[str, ...] = ()
    declared: Mapping[str, Parameter] = msgspec.field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    opaque: bool = False
    head: str = ""
    framework: bool = False

    @property
    def template(self) -> str:
        """The route's identity: its path template, after the host where one is required."""
        return self.host + self.path

    def takes(self, methods: frozenset[str]) -> bool:
        """Whether it takes one of these methods."""
        return self.methods is None or bool(self.methods & methods)

    def canonical(self, name: str, value: object) -> str:
        """The text of a path parameter, canonical where the endpoint declares its type."""
        declared = self.declared.get(name)
        return declared.read(value) if declared and isinstance(value, str) else str(value)

    def __str__(self) -> str:
        methods = ",".join(sorted(self.methods)) if self.methods else "*"
        name = getattr(self.endpoint, "__qualname__", type(self.endpoint).__qualname__)
        return f"route {methods} {self.template} ({name})"


@dataclass(frozen=True, slots=True)
class Tree:
    """An application with routes.

    Attributes:
        children: Its routes, in the router's order.
        root_path: The application's own root path, which replaces the scope's; "" if it has none.
        chooser: Says what a router of another kind will choose; None to ask the routes.
    """

    children: tuple["RouteNode", ...] = ()
    root_path: str = ""
    chooser: "Callable[[dict[str, Any]], Prediction] | None" = None
    _heads: Heads = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        heads = ["" if child.opaque else child.head for child in self.children]
        object.__setattr__(self, "_heads", Heads(heads))

    def leaves(self) -> Iterator[Leaf]:
        """All routes that answer, in the router's order."""
        for child in self.children:
            if isinstance(child, Leaf):
                yield child
            else:
                yield from child.inner.leaves()

    def of(self, app: object) -> "Tree | None":
        """The part of it that an application makes which is mounted somewhere below; or None."""
        for child in self.children:
            if isinstance(child, Branch):
                found = child.inner if child.app is app else child.inner.of(app)
                if found is not None:
                    return found
        return None

    def near(self, path: str, root_path: str) -> Iterator["RouteNode"]:
        """Its routes that may take a path, in the router's order: all others begin otherwise.

        Args:
            path: The scope's `path`.
            root_path: The scope's `root_path`.
        """
        texts = {path, route_path(path, root_path)}  # not all frameworks' versions take it off
        return (self.children[place] for place in self._heads.beginning(texts))

    def path_of(self, path: str, root_path: str) -> str:
        """The path as the routes know it, which is what selectors of paths mean.

        Args:
            path: The scope's `path`, or a URL's path, decoded; the root path may stand before it.
            root_path: The scope's `root_path`. The application's own replaces it.
        """
        return route_path(path, self.root_path or root_path)

    def readings(self, text: str, root_paths: Iterable[str] = ("",)) -> list[str]:
        """The paths or patterns, as selectors have them, that a text may mean.

        What stands in `request.url.path`, or comes from `url_for`, has the root path in front.

        Args:
            text: A path or a pattern.
            root_paths: Those of the requests in which it is written.
        """
        roots = (self.root_path, *root_paths)
        return list(dict.fromkeys([text, *(route_path(text, root) for root in roots)]))


class Branch(msgspec.Struct, frozen=True):
    """A mount or a host: a route that passes requests on.

    Attributes:
        matcher: The framework's own route.
        matches: Its method that says whether it takes a scope.
        inner: The application to which it passes them.
        opaque: Whether the route's own code decides which requests it takes.
        head: As that of a leaf.
        app: The application, where it has routes; None for a single route.
    """

    matcher: Any
    matches: Callable[[dict[str, Any]], Any]
    inner: Tree
    opaque: bool = False
    head: str = ""
    app: Any = None


RouteNode: TypeAlias = Leaf | Branch


class Prediction(msgspec.Struct, frozen=True):
    """What the router will do with a request.

    Attributes:
        leaf: The route that it chooses; None if there is none.
        full: Whether the route takes the method too.
        path_params: Converted path parameters.
        certain: False if a route whose own code decides may take the request.
    """

    leaf: Leaf | None = None
    full: bool = False
    path_params: Mapping[str, Any] = msgspec.field(default_factory=dict)
    certain: bool = True


def predict(tree: Tree, scope: dict[str, Any]) -> Prediction:
    """What the router will choose: the first full match, else the first partial one."""
    if tree.chooser is not None:
        return tree.chooser(scope)
    if tree.root_path:
        scope["root_path"] = tree.root_path
    partial = Prediction()
    for node in tree.near(scope["path"], scope.get("root_path", "")):
        if node.opaque:
            if _may_take(node.matcher, scope):
                return Prediction(certain=False)
            continue
        match, child = node.matches(scope)
        if match.value == _FULL:
            scope.update(child)
            if isinstance(node, Branch):
                return predict(node.inner, scope)
            return Prediction(node, full=True, path_params=scope["path_params"])
        if match.value == _PARTIAL and partial.leaf is None and isinstance(node, Leaf):
            partial = Prediction(node, path_params=child.get("path_params", EMPTY))
    return partial


def route_path(path: str, root_path: str) -> str:
    """The path without the root path, as routers see it."""
    if root_path and (path == root_path or path.startswith(root_path + "/")):
        return path[len(root_path) :]
    return path


def _may_take(route: Any, scope: dict[str, Any]) -> bool:
    """Whether the path of a request lets an opaque route take it."""
    regex = getattr(route, "path_regex", None)
    path = route_path(scope["path"], scope.get("root_path", ""))
    return regex is None or regex.match(path) is not None
