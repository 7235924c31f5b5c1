"""Which responses are meant: those of a named route, or what a success of a route invalidates."""

import difflib
import inspect
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from ..config.rules import Invalidations
from ..config.templates import render_texts, within_bounds
from ..errors import InvalidationError
from ..selectors import MAX_TEXT, Selector, fitted, spellings
from .annotations import RouteName
from .globs import fill_glob, fill_path
from .routes import Leaf, Tree


def routes_named(tree: Tree, name: RouteName) -> list[Leaf]:
    """The routes of a name (with its mounts' names: `api:product`), path template or endpoint.

    Raises:
        InvalidationError: If there is none.
    """
    leaves = list(tree.leaves())
    found = [leaf for leaf in leaves if _is_called(leaf, name)]
    if not found:
        names = sorted({leaf.name for leaf in leaves if leaf.name})
        text = name if isinstance(name, str) else getattr(name, "__name__", repr(name))
        close = difflib.get_close_matches(text, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(names) or 'none'}"
        raise InvalidationError(f"there is no route {text!r}; {hint}")
    return found


def of_route(tree: Tree, name: RouteName, params: Mapping[str, object]) -> list[Selector]:
    """What selects the responses of a route: one selector for each place at which it stands.

    Args:
        tree: The application's routes.
        name: As for `routes_named`.
        params: Path parameters. With all of them a path is selected, with some a pattern of
            paths, with none all that the route filled.

    Raises:
        InvalidationError: If there is no such route, or it has no such parameter.
    """
    leaves = routes_named(tree, name)
    fitting = [leaf for leaf in leaves if params.keys() <= set(leaf.path_params)]
    if not fitting:
        known = sorted({param for leaf in leaves for param in leaf.path_params})
        raise InvalidationError(
            f"route {name!r} has no such parameters: {', '.join(params)}; "
            f"expected some of {', '.join(known) or 'none'}"
        )
    return list(
        dict.fromkeys(
            _filled(leaf, given) for leaf in fitting for given in (params, _canonical(leaf, params))
        )
    )


def of_success(
    tree: Tree,
    named: Invalidations,
    values: Mapping[str, Sequence[str]],
    request: object,
    root_path: str = "",
) -> list[Selector]:
    """What a success of a route invalidates besides its own URL.

    A pattern that parameters make too long becomes a wider one. An exception of a callable in
    `tags=`, `paths=` or `patterns=` reaches the caller.

    Args:
        tree: The application's routes.
        named: What the route names.
        values: What its templates are filled from.
        request: The argument of its callables.
        root_path: The root path of the request's scope.

    Raises:
        InvalidationError: If parameters with many values make more than 10,000 texts.
    """
    tags = render_texts(named.tags, values, request)
    selectors = [Selector("tag", tag) for tag in tags if within_bounds([tag])]
    roots = (root_path,)
    for path in render_texts(named.paths, values, request):
        meant = [each for one in spellings(path) for each in tree.readings(one, roots)]
        selectors += [Selector("path", each) for each in meant if len(each.encode()) <= MAX_TEXT]
    for name in named.routes:
        selectors += [Selector("route", leaf.template) for leaf in routes_named(tree, name)]
    for pattern in render_texts(named.patterns, values, request, pattern=True):
        meant = [each for each in tree.readings(pattern, roots) if each]
        selectors += [Selector("glob", fitted(each)) for each in meant]
    return list(dict.fromkeys(selectors))


def _is_called(leaf: Leaf, name: RouteName) -> bool:
    if isinstance(name, str):
        return name in (leaf.name, leaf.template)
    if isinstance(leaf.endpoint, type) and any(
        getattr(leaf.endpoint, method, None) is name for method in ("get", "head", "post", "query")
    ):
        return True
    return leaf.endpoint is not None and _unwrapped(leaf.endpoint) == _unwrapped(name)


def _unwrapped(endpoint: Any) -> Any:
    return inspect.unwrap(endpoint) if callable(endpoint) else endpoint


def _canonical(leaf: Leaf, params: Mapping[str, object]) -> dict[str, object]:
    """Parameters, given by the application, as texts that requests have in `Resolved.texts`."""
    convertors = getattr(leaf.matcher, "param_convertors", None) or {}
    found: dict[str, object] = {}
    for name, value in params.items():
        text = str(value.value if isinstance(value, Enum) else value)
        try:
            read = convertors[name].convert(text) if name in convertors else text
        except Exception:  # noqa: BLE001  # no request has this value
            read = text
        found[name] = leaf.canonical(name, read)
    return found


def _filled(leaf: Leaf, params: Mapping[str, object]) -> Selector:
    if params.keys() == set(leaf.path_params):
        return Selector("path", fill_path(leaf.path, params))
    pattern = fill_glob(leaf.path, params) if params else None
    return Selector("route", leaf.template) if pattern is None else Selector("glob", pattern)
