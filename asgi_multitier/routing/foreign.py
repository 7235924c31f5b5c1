"""What an application says of its routes, read so that no exception of its own gets out.

Only a table whose routes are asked as Starlette's router asks them (`matches`) can be followed.
Any other, such as Litestar's or Lilya's, belongs to an application without a readable table.
"""

import sys
from collections.abc import Iterator
from typing import Any

_MAX_DEPTH = 32


def attribute(thing: object, name: str) -> Any:
    """An attribute; None where there is none, or where reading it raises."""
    try:
        return getattr(thing, name, None)
    except Exception:  # noqa: BLE001  # a property of somebody else's
        return None


def routes_of(app: object) -> list[Any] | None:
    """The routes that an application's router asks, in its order; None where that is not known."""
    routes = attribute(app, "routes")
    if not isinstance(routes, list | tuple):
        return None
    readable = all(callable(attribute(route, "matches")) for route in routes)
    return list(routes) if readable else None


def routed(app: object) -> Any:
    """The nearest application with readable routes, from one and what it wraps; or None.

    An empty list may be an application's whose routes are yet to come, or a middleware's own
    setting, so it counts only where nothing further in has routes.
    """
    empty = None
    for _ in range(_MAX_DEPTH):
        if app is None:
            break
        routes = routes_of(app)
        if routes:
            return app
        if routes is not None and empty is None:
            empty = app
        inner = attribute(app, "app")
        app = attribute(app, "__wrapped__") if inner is None else inner
    return empty


def unreadable(app: object) -> str:
    """The name of the application's class if it has routes that cannot be read; else ""."""
    for _ in range(_MAX_DEPTH):
        if app is None:
            break
        if _has_routes(app) and routes_of(app) is None:
            return type(app).__qualname__
        inner = attribute(app, "app")
        app = attribute(app, "__wrapped__") if inner is None else inner
    return ""


def flat(app: object) -> Iterator[Any]:
    """An application's routes, with the routers that FastAPI includes since 0.137 taken apart."""
    routes = routes_of(app) or []
    contexts = attribute(sys.modules.get("fastapi.routing"), "iter_route_contexts")
    for route in routes if contexts is None else contexts(routes):
        # Until 0.142 a context hides the Starlette route, mount or host that it stands for.
        yield route if (made := attribute(route, "starlette_route")) is None else made


def front_ends(app: object) -> Iterator[tuple[Any, Any, str]]:
    """FastAPI's static front ends, the most specific first, as FastAPI asks them.

    It asks them when none of its other routes takes a request, and lists them nowhere.

    Yields:
        Their group, which has the dependencies; the front end; the path below which it stands.
    """
    router = attribute(app, "router")
    groups = attribute(app if router is None else router, "_iter_low_priority_routes")
    found = []
    for group in groups() if callable(groups) else ():
        prefix = attribute(group, "frontend_prefix") or ""
        original = attribute(group, "original_route")
        below = routes_of(group if original is None else original) or ()
        found += [(group, route, prefix + route.path.rstrip("/")) for route in below]
    yield from sorted(found, key=lambda each: len(each[2]), reverse=True)


def _has_routes(app: object) -> bool:
    try:
        return bool(getattr(app, "routes", None))
    except Exception:  # noqa: BLE001  # as above; there is something that raises
        return True
