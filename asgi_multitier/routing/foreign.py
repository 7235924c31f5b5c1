"""The routes of an application of any framework, read so that no exception of its own gets out.

Only routes that Starlette's router could use (with `matches`) can be read here; `frameworks` asks
the routers of some others. Any other application, such as one of Lilya, has no readable routes.
"""

import sys
from collections.abc import Iterator
from typing import Any

from .layers import attribute, layers_of

_SHOW_NONE = frozenset(("a2wsgi", "asgiref", "blacksheep", "channels", "sanic"))
"""Packages of frameworks and adapters of which applications show no routes at all."""


def routes_of(app: object) -> list[Any] | None:
    """The routes of an application's router, in its order; None where they cannot be read."""
    routes = attribute(app, "routes")
    if not isinstance(routes, list | tuple):
        return None
    readable = all(callable(attribute(route, "matches")) for route in routes)
    return list(routes) if readable else None


def routed(app: object) -> Any:
    """The nearest application with readable routes, from one and what it wraps; or None.

    An empty list may be that of an application without routes yet, or a setting of a middleware,
    so it counts only where nothing further in has routes.
    """
    empty = None
    for layer in layers_of(app):
        routes = routes_of(layer)
        if routes:
            return layer
        if routes is not None and empty is None:
            empty = layer
    return empty


def unreadable(app: object) -> str:
    """The name of the application's class if it has routes that cannot be read; else ""."""
    for layer in layers_of(app):
        if _has_routes(layer) and routes_of(layer) is None:
            return type(layer).__qualname__
    return ""


def unread_framework(app: object) -> str:
    """The name of the application's class if it is one of those that show no routes; else ""."""
    for layer in layers_of(app):
        if any(base.__module__.partition(".")[0] in _SHOW_NONE for base in type(layer).__mro__):
            return type(layer).__qualname__
    return ""


def flat(app: object) -> Iterator[Any]:
    """An application's routes, with the routers that FastAPI includes since 0.137 expanded."""
    routes = routes_of(app) or []
    contexts = attribute(sys.modules.get("fastapi.routing"), "iter_route_contexts")
    for route in routes if contexts is None else contexts(routes):
        # Until 0.142 a context hides the Starlette route, mount or host that it stands for.
        yield route if (made := attribute(route, "starlette_route")) is None else made


def front_ends(app: object) -> Iterator[tuple[Any, Any, str]]:
    """FastAPI's static front ends, the most specific first, as FastAPI tries them.

    It tries them when none of its other routes takes a request, and lists them nowhere.

    Yields:
        Their group, which has the dependencies; the front end; the path below which it is.
    """
    router = attribute(app, "router")
    groups = attribute(app if router is None else router, "_iter_low_priority_routes")
    found = []
    for group in groups() if callable(groups) else ():
        prefix = attribute(group, "frontend_prefix") or ""
        # In 0.138 a group is copied for each place at which its router is included.
        original = attribute(group, "starlette_route") or attribute(group, "original_route")
        below = routes_of(group if original is None else original) or ()
        found += [(group, route, prefix + route.path.rstrip("/")) for route in below]
    yield from sorted(found, key=lambda each: len(each[2]), reverse=True)


def _has_routes(app: object) -> bool:
    try:
        return bool(getattr(app, "routes", None))
    except Exception:  # noqa: BLE001  # the application's own; there is something that raises
        return True
