"""The application's routes as a tree, without importing the framework that made them.

A tree and not a list, because a router commits: once a mount or a host matches, nothing after it is
asked, even if the mounted application finds nothing. Whether a route takes a request is asked of
the route itself (`matches`), with a scope made of what a plan is remembered by: method, path, root
path and host.
"""

import functools
import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin
from uuid import UUID

from .foreign import flat, front_ends, routed, routes_of
from .layers import MAX_DEPTH, attribute
from .overrides import overriding, placed
from .security import Need, needs_of

_FULL = 2
_PARTIAL = 1
_FRAMEWORKS = ("starlette", "fastapi")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter that a template may name.

    Attributes:
        alias: Its name in the query string.
        canonical: Brings a value's text into one form (`007` and `7` are one integer), or None.
        fallback: Makes what the endpoint gets where it was not sent; None where the signature says
            nothing of it.
        required: Whether requests without it in the query are refused.
        many: Whether the endpoint takes all the values that were sent, not only the last.
    """

    alias: str
    canonical: Callable[[str], str] | None = None
    fallback: Callable[[], Any] | None = None
    required: bool = False
    many: bool = False

    def read(self, text: str) -> str:
        """The text in its one form."""
        return text if self.canonical is None else self.canonical(text)

    def read_all(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Of the values that were sent, those that the endpoint takes."""
        return tuple(dict.fromkeys(map(self.read, texts if self.many else texts[-1:])))

    def default(self) -> tuple[str, ...]:
        """What a client would send to mean the default; nothing where no text means it."""
        if self.fallback is None:
            return ()
        try:
            value = self.fallback()
        except Exception:  # noqa: BLE001  # the application's own; it fails there as well
            return ()
        several = self.many and isinstance(value, list | tuple | set | frozenset | deque)
        texts = [_default_text(one) for one in (value if several else [value])]
        return tuple(dict.fromkeys(self.read(text) for text in texts if text is not None))


@dataclass(frozen=True, slots=True)
class Leaf:
    """A route: what answers.

    Attributes:
        matcher: The framework's own route.
        matches: Its method that says whether it takes a scope.
        endpoint: What the router reports to have chosen.
        name: The route's name, with the names of its mounts before it.
        template: The whole path as it was written, mounts included: the route's identity, after
            `//` and the host where one is asked for.
        methods: What it takes; None for everything.
        path: The path template alone.
        params: Path parameters, mounts' included.
        fields: Parameters with a declaration, by the name that a template uses.
        needs: What the route reads from the request beside its URL, such as a security scheme.
        opaque: Whether it decides by code of its own which requests it takes.
    """

    matcher: Any
    matches: Callable[[dict[str, Any]], Any]
    endpoint: Any
    name: str
    template: str
    path: str
    methods: frozenset[str] | None
    params: tuple[str, ...]
    fields: Mapping[str, Field]
    needs: tuple[Need, ...]
    opaque: bool

    def takes(self, methods: frozenset[str]) -> bool:
        """Whether it takes one of these methods."""
        return self.methods is None or bool(self.methods & methods)

    def __str__(self) -> str:
        methods = ",".join(sorted(self.methods)) if self.methods else "*"
        name = getattr(self.endpoint, "__qualname__", type(self.endpoint).__qualname__)
        return f"route {methods} {self.template} ({name})"


@dataclass(frozen=True, slots=True)
class Tree:
    """An application with routes.

    Attributes:
        children: Its routes, in the router's order.
        root_path: The root path that it insists on; "" if it takes the scope's.
    """

    children: tuple["Node", ...] = ()
    root_path: str = ""

    def leaves(self) -> Iterator[Leaf]:
        """All routes that answer, in the router's order."""
        for child in self.children:
            if isinstance(child, Leaf):
                yield child
            else:
                yield from child.inner.leaves()


@dataclass(frozen=True, slots=True)
class Branch:
    """A mount or a host: what passes on.

    Attributes:
        matcher: The framework's own route.
        matches: Its method that says whether it takes a scope.
        inner: The application that it passes on to.
        opaque: Whether it decides by code of its own which requests it takes.
    """

    matcher: Any
    matches: Callable[[dict[str, Any]], Any]
    inner: Tree
    opaque: bool = False


Node: TypeAlias = Leaf | Branch


@dataclass(frozen=True, slots=True)
class Found:
    """What the tree says about a request.

    Attributes:
        leaf: The route; None if there is none.
        full: Whether it takes the method too.
        path_params: Converted path parameters.
        certain: False if a route that decides by code of its own may take the request.
    """

    leaf: Leaf | None = None
    full: bool = False
    path_params: Mapping[str, Any] | None = None
    certain: bool = True


def build(app: Any) -> Tree:
    """The tree of an application that has routes.

    Where all of them together cannot be read, any of them may take a request and check who asks:
    then nothing of the application is cached.
    """
    try:
        return _tree(app, _Place())
    except Exception:  # noqa: BLE001  # somebody else's code
        return Tree((_opaque_leaf(app, _Place()),))


def containers(app: Any) -> list[Any]:
    """The application and everything below it that has a list of routes."""
    found: list[Any] = []
    _collect(app, found, 0)
    return found


def fingerprint(apps: list[Any]) -> list[tuple[int, ...]]:
    """Changes when a route is added to one of them or taken away, or a dependency is overridden."""
    lists = [attribute(app, "routes") for app in apps]
    counted = [(id(routes), len(routes)) if routes else (0, 0) for routes in lists]
    return [*counted, *placed(apps)]


def find(tree: Tree, scope: dict[str, Any]) -> Found:
    """What the router will choose: the first full match, else the first partial one."""
    if tree.root_path:
        scope["root_path"] = tree.root_path
    partial = Found()
    for node in tree.children:
        if node.opaque:
            if _may_take(node.matcher, scope):
                return Found(certain=False)
            continue
        match, child = node.matches(scope)
        if match.value == _FULL:
            scope.update(child)
            if isinstance(node, Branch):
                return find(node.inner, scope)
            return Found(node, full=True, path_params=scope["path_params"])
        if match.value == _PARTIAL and partial.leaf is None and isinstance(node, Leaf):
            partial = Found(node, path_params=child.get("path_params", {}))
    return partial


@dataclass(frozen=True, slots=True)
class _Place:
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
    return Tree(tuple(_nodes(app, place)), _root_path(app))


def _nodes(app: Any, place: _Place) -> Iterator[Node]:
    """The nodes of an application's own routes."""
    for route in flat(app):
        if _is_websocket(route):
            continue
        try:
            yield _node(route, place)
        except Exception:  # noqa: BLE001  # a route of a kind that is not known
            yield _opaque_leaf(route, place)
    for group, front_end, path in front_ends(app):
        yield _front_end(group, front_end, path, place)


def _node(route: Any, place: _Place) -> Node:
    inner = _inner(route)
    if inner is None:
        known = attribute(route, "endpoint") is not None
        return _leaf(route, place) if known else _opaque_leaf(route, place)
    below = place.below(route)
    if below.depth <= MAX_DEPTH and callable(attribute(inner, "matches")):
        # A route in the place of an application asks its own path, and has no router.
        return Branch(route, route.matches, Tree((_node(inner, below),)), _is_opaque(route))
    target = routed(inner)
    if target is None or place.depth >= MAX_DEPTH:
        return _passing_leaf(route, place)
    return Branch(route, route.matches, _tree(target, below), _is_opaque(route))


def _inner(route: Any) -> Any:
    """The application that a mount or a host passes on to; None for what answers itself."""
    original = getattr(route, "original_route", route)
    if getattr(original, "endpoint", None) is not None:
        return None
    base = attribute(route, "_base_app")
    app = attribute(route, "app") if base is None else base
    # A mount and a host convert parameters of their own; a static front end of FastAPI has none.
    return app if attribute(route, "param_convertors") is not None else None


def _root_path(app: Any) -> str:
    """FastAPI puts its own `root_path` into the scope, whatever the server said."""
    own = getattr(app, "root_path", "")
    return own if isinstance(own, str) else ""


def _is_websocket(route: Any) -> bool:
    original = getattr(route, "original_route", route)
    return any("WebSocket" in cls.__name__ for cls in type(original).__mro__)


def _opaque_leaf(route: Any, place: _Place) -> Leaf:
    """What may take any request that reaches it; no rule holds there, so it needs nothing."""
    return Leaf(
        matcher=route,
        matches=attribute(route, "matches"),
        endpoint=attribute(route, "endpoint"),
        name="",
        template=f"{place.host}{place.path}/{{path:path}}",
        path=f"{place.path}/{{path:path}}",
        methods=None,
        params=(*place.params, "path"),
        fields={},
        needs=(),
        opaque=True,
    )


def _front_end(group: Any, front_end: Any, path: str, place: _Place) -> Leaf:
    """A static front end of FastAPI: everything below a path."""
    below = f"{place.path}{path}/{{path:path}}"
    matches = attribute(front_end, "matches_with_path")
    return Leaf(
        matcher=group,
        matches=front_end.matches
        if matches is None
        else functools.partial(matches, path=path or "/"),
        endpoint=None,
        name="",
        template=place.host + below,
        path=below,
        methods=frozenset({"GET", "HEAD"}),
        params=(*place.params, "path"),
        fields={},
        needs=_needs(_dependants(group)),
        opaque=False,
    )


def _leaf(route: Any, place: _Place) -> Leaf:
    methods = getattr(route, "methods", None)
    path = place.path + (getattr(route, "path", None) or "")
    dependants = _dependants(route)
    return Leaf(
        matcher=route,
        matches=route.matches,
        endpoint=getattr(route, "endpoint", None),
        name=place.name + (getattr(route, "name", None) or ""),
        template=place.host + path,
        path=path,
        methods=frozenset(methods) if methods else None,
        params=place.params + _params(route),
        fields={
            name: field for each in reversed(dependants) for name, field in _fields(each).items()
        },
        needs=_needs(dependants),
        opaque=_is_opaque(route),
    )


def _dependants(route: Any) -> tuple[Any, ...]:
    """FastAPI's description of a route, and those of what overrides its dependencies."""
    dependant = attribute(route, "dependant")
    provider = attribute(route, "dependency_overrides_provider")
    return (dependant, *overriding(dependant, provider))


def _needs(dependants: Sequence[Any]) -> tuple[Need, ...]:
    return tuple(dict.fromkeys(need for each in dependants for need in needs_of(each)))


def _passing_leaf(route: Any, place: _Place) -> Leaf:
    """A mount of something without routes, such as static files."""
    below = place.below(route)
    return Leaf(
        matcher=route,
        matches=route.matches,
        endpoint=route.app,
        name=below.name.removesuffix(":"),
        template=f"{below.host}{below.path}/{{path:path}}",
        path=f"{below.path}/{{path:path}}",
        methods=None,
        params=(*below.params, "path"),
        fields={},
        needs=(),
        opaque=_is_opaque(route),
    )


def _params(route: Any) -> tuple[str, ...]:
    return tuple(getattr(route, "param_convertors", None) or ())


def _is_opaque(route: Any) -> bool:
    """Whether the route's class replaced `matches`: it may look at more than a plan knows."""
    original = getattr(route, "original_route", route)
    function = getattr(type(original), "matches", None)
    module = getattr(function, "__module__", "") or ""
    return module.partition(".")[0] not in _FRAMEWORKS


def _may_take(route: Any, scope: dict[str, Any]) -> bool:
    """Whether the path alone keeps a route with code of its own from taking the request."""
    regex = getattr(route, "path_regex", None)
    return regex is None or regex.match(_route_path(scope)) is not None


def _route_path(scope: Mapping[str, Any]) -> str:
    return route_path(scope["path"], scope.get("root_path", ""))


def route_path(path: str, root_path: str) -> str:
    """The path without the root path, as routers see it."""
    if root_path and (path == root_path or path.startswith(root_path + "/")):
        return path[len(root_path) :]
    return path


def _collect(app: Any, found: list[Any], depth: int) -> None:
    found.append(app)
    for route in (routes_of(app) or ()) if depth < MAX_DEPTH else ():
        included = attribute(route, "original_router")
        inner = routed(included if included is not None else _inner(route))
        if inner is not None:
            _collect(inner, found, depth + 1)


def _fields(dependant: Any) -> dict[str, Field]:
    """The path and query parameters that a FastAPI route declares, its dependencies' included."""
    found: dict[str, Field] = {}
    if dependant is None:
        return found
    for field in dependant.path_params:
        declared = Field(field.alias, _canonical(field.field_info.annotation))
        found[field.name] = found[field.alias] = declared
    for field in dependant.query_params:
        model = _model_fields(field.field_info.annotation)
        if model is not None:
            found |= {name: _query_field(name, info) for name, info in model.items()}
        else:
            declared = _query_field(field.alias, field.field_info)
            found[field.name] = found[declared.alias] = declared
    for inner in dependant.dependencies:
        found = _fields(inner) | found
    return found


def _model_fields(annotation: Any) -> Mapping[str, Any] | None:
    """The fields of a model of query parameters, which may be optional as a whole."""
    for part in _alternatives(annotation):
        fields = getattr(part, "model_fields", None)
        if isinstance(fields, Mapping):
            return fields
    return None


def _query_field(name: str, info: Any) -> Field:
    """A query parameter, from what Pydantic knows of it."""
    element, many = _element(info.annotation)
    canonical = _canonical(element)
    alias = info.validation_alias or info.alias or name
    if not isinstance(alias, str):
        # One of several names; which of them a request uses is not known here.
        return Field(name, canonical, many=many)
    fallback = functools.partial(info.get_default, call_default_factory=True)
    return Field(alias, canonical, fallback, info.is_required(), many)


def _element(annotation: Any) -> tuple[Any, bool]:
    """The type of one value, and whether the framework collects all that were sent."""
    for part in _alternatives(annotation):
        kind = get_origin(part) or part
        if inspect.isclass(kind) and issubclass(kind, _COLLECTIONS) and not issubclass(kind, str):
            members = [_bare(member) for member in get_args(part) if member is not Ellipsis]
            return members[0] if len(set(members)) == 1 else Any, True
    return annotation, False


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The parts of a union, or the one type."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return tuple(map(_bare, parts))


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _default_text(value: Any) -> str | None:
    """What a client would send to mean this value; None where no text does."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, str | int | float | Decimal | UUID) else None


_COLLECTIONS = (Sequence, AbstractSet, deque)
_SCALARS = frozenset({int, float, bool, UUID, str, type(None)})


def _canonical(annotation: Any) -> Callable[[str], str] | None:
    """How the framework reads a parameter of this type, as text to text; None if it stays as is."""
    parts = _alternatives(annotation)
    if not all(map(_has_one_form, parts)):
        return None
    return None if set(parts) <= {str, type(None)} else _reader(annotation)


def _has_one_form(part: Any) -> bool:
    """Whether a value of this type is one text, however it was written."""
    return inspect.isclass(part) and (part in _SCALARS or issubclass(part, Enum))


@functools.lru_cache(maxsize=256)
def _reader(annotation: Any) -> Callable[[str], str] | None:
    pydantic = sys.modules.get("pydantic")
    adapter: Any = getattr(pydantic, "TypeAdapter", None)
    if adapter is None:
        return None
    validate = adapter(annotation).validate_python

    def read(text: str) -> str:
        try:
            value = validate(text)
        except ValueError:
            # The framework will refuse the request; what its tags would be does not matter.
            return text
        return str(value.value if isinstance(value, Enum) else value)

    return read
