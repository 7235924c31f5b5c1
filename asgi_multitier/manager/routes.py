"""The routes of an application, with nothing of it running: for a lint, and for those who look."""

from collections.abc import Iterator
from typing import Any

from ..errors import ConfigError
from ..explain.routes import RoutesReport, report_of
from ..routing import RouteTable
from ..routing.layers import attribute, layers_of
from ..shadow.initial import Initial, initial
from .identity.loading import added_caches, is_cache


def routes_of(app: Any) -> RoutesReport:
    """The routes of an application, and what is odd about them.

    Args:
        app: The application, with a `CacheMiddleware` around it or added to it.

    Raises:
        ConfigError: If it has none.
    """
    table = next(tables_around(app), None)
    if table is None:
        allowed = "an application with a CacheMiddleware"
        raise ConfigError.of("app", app, allowed, where="routes")
    return report_of(table, layers_around(app))


def proposals_of(app: Any) -> Initial:
    """What could be written at the routes of an application, with a cache or without one.

    Args:
        app: The application.

    Raises:
        ConfigError: If its routes cannot be read.
    """
    found = next(tables_around(app), None)
    table = RouteTable(app) if found is None else found
    if not any(True for _ in table.tree.leaves()):
        kind = table.unreadable or type(app).__qualname__
        raise ConfigError(
            f"init: the routes of {kind} are of an unknown kind, or there are none; expected an "
            "application of FastAPI, Starlette, Litestar, Quart, Django or Falcon, or write rules "
            "by hand: "
            "CacheMiddleware(app, rules=[Rule('/products/*', 10, shadow=True)])"
        )
    return initial(table, has_cache=found is not None)


def tables_around(app: Any) -> Iterator[RouteTable]:
    """The rules of each cache around an application or added to it, from the outside in."""
    for layer in layers_of(app):
        if is_cache(type(layer)):
            yield layer.table
        for one in added_caches(layer):
            rules, default = one.kwargs.get("rules", ()), one.kwargs.get("default")
            yield RouteTable(layer, rules=rules, default=default)


def layers_around(app: Any) -> tuple[list[str], list[str]]:
    """The classes of the layers outside of the cache and inside of it, from the outside in."""
    kinds: list[Any] = []
    for layer in layers_of(app):
        kinds.append(type(layer))
        added = attribute(layer, "user_middleware")
        kinds += [attribute(one, "cls") for one in (added if isinstance(added, list) else ())]
    at = next((number for number, kind in enumerate(kinds) if is_cache(kind)), len(kinds))
    names = [str(getattr(kind, "__name__", kind)) for kind in kinds]
    return names[:at], names[at + 1 :]
